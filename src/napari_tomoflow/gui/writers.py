"""Layers to files. What cannot be written is said in one sentence, and nothing is left behind."""

from pathlib import Path
from typing import Any

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import DensityMap, FinishedMap, Labels, ParticleSet, TiltSeries, Tomogram
from napari_tomoflow.gui.layers import from_layer
from napari_tomoflow.gui.tomograms_in_view import frames_in_view, warn
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.io.particle_tables import write_particle_table


def write_image(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a tomogram, a map or a tilt series as MRC, at full resolution."""
    noun = from_layer((data, attributes, "image"))
    if isinstance(noun, TiltSeries):
        write_mrc(Path(path), noun.images, noun.pixel_ang, stack=True)
    elif isinstance(noun, DensityMap | FinishedMap):
        write_mrc(Path(path), noun.volume, noun.voxel_ang)
    elif isinstance(noun, Tomogram):
        write_mrc(Path(path), noun.volume, noun.voxel_ang, origin_ang_zyx=noun.origin_ang_zyx)
    else:
        raise DataError(f"{attributes.get('name', '')} does not say its pixel size; import it before saving.")
    return [path]


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a segmentation as MRC."""
    noun = from_layer((data, attributes, "labels"))
    if isinstance(noun, Labels):
        write_mrc(Path(path), noun.volume, noun.voxel_ang, label="labels")
    return [path]


def write_points(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write particles as a table of the program that the name's ending tells, with all it has a place for."""
    noun = from_layer((data, attributes, "points"))
    if isinstance(noun, ParticleSet):
        view = frames_in_view()
        lost = write_particle_table(Path(path), view.named(noun), frames=view.frames)
        warn(Path(path).name, lost)
    return [path]
