"""Results of map-back, opened in a viewer."""

from typing import Any

from napari_tomoflow.core.model import MappedBack, Tomogram
from napari_tomoflow.gui.docking import docked
from napari_tomoflow.gui.map_back.view import PlacedAverages
from napari_tomoflow.gui.opening import show_noun
from napari_tomoflow.project import Project


def open_map_back(viewer: Any, project: Project, series: str, job: int) -> PlacedAverages:
    """Show the averages a job placed in its tomogram, with the panel that belongs to them.

    Raises
    ------
    TomoflowError
        Files of the result or of the tomogram are gone or damaged.
    """
    placed = project.load(MappedBack, series, from_job=job)
    show_noun(viewer, project.load(Tomogram, series, from_job=job))
    view = docked(viewer, "Placed averages", PlacedAverages)
    view.open_placed(placed, project)
    return view
