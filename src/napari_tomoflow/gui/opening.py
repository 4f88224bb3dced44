"""Results of a project as layers of a viewer."""

from typing import Any

import numpy as np
from napari.layers import Layer

from napari_tomoflow.core import model
from napari_tomoflow.core.errors import MissingError
from napari_tomoflow.core.model import Noun, TiltSeries, Tomogram
from napari_tomoflow.gui.canvas import attend, hide_other_space
from napari_tomoflow.gui.layers import METADATA_KEY, TO_LAYER, to_layers
from napari_tomoflow.project import Project


def open_result(viewer: Any, project: Project, series: str, job: int) -> list[Layer]:
    """Open what a job made of a series; what has no picture of its own shows the tilt series it belongs to.

    Raises
    ------
    TomoflowError
        There is nothing to open yet, or its files are gone.
    """
    item = project.job(job).items.get(series)
    if item is None or not item.outputs:
        raise MissingError(f"Job {job} has made nothing of {series} to open; its log says how far it came.")
    kinds = [getattr(model, name) for name in item.outputs if getattr(model, name, None) in TO_LAYER]
    return [
        layer for kind in kinds or [TiltSeries] for layer in show_noun(viewer, project.load(kind, series, from_job=job))
    ]


def show_noun(viewer: Any, noun: Noun) -> list[Layer]:
    """Add the layers of a noun, in place of those an earlier look at it left."""
    attend(viewer)
    layers = [Layer.create(*layer) for layer in to_layers(noun, grid_ang=_grid_ang(viewer))]
    for layer in layers:
        _make_room(viewer, layer)
        viewer.add_layer(layer)
    if layers:
        hide_other_space(viewer, layers[0].axis_labels[-3:])
    go_to_start(viewer, noun)
    return layers


def go_to_start(viewer: Any, noun: Noun) -> None:
    """Set the slider to what one looks at first: the lowest tilt, or the middle of a volume."""
    if isinstance(noun, TiltSeries):
        start_ang = int(np.argmin(np.abs(noun.tilt_deg))) * noun.pixel_ang
    elif isinstance(noun, Tomogram):
        start_ang = noun.origin_ang_zyx[0]
    else:
        return
    viewer.dims.ndisplay = 2
    viewer.dims.set_point(viewer.dims.ndim - 3, start_ang)


def _grid_ang(viewer: Any) -> float:
    """Take the finest voxel in view: points on a finer grid would make the sliders step in between."""
    nouns = [layer.metadata.get(METADATA_KEY) for layer in viewer.layers]
    return min((noun.voxel_ang for noun in nouns if isinstance(noun, Tomogram)), default=1.0)


def _make_room(viewer: Any, layer: Layer) -> None:
    """Remove an image of the same name. Points and labels stay: somebody may have worked on them."""
    if layer.name in viewer.layers:
        old = viewer.layers[layer.name]
        known = old.metadata.get(METADATA_KEY)
        if isinstance(known, TiltSeries | Tomogram):
            viewer.layers.remove(old)
