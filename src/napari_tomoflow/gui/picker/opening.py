"""Picks of a project, opened in the picker."""

from typing import Any

from napari_tomoflow.gui.docking import docked
from napari_tomoflow.gui.picker.picker import Picker
from napari_tomoflow.project import Project


def open_picker(viewer: Any, project: Project, series: str) -> Picker:
    """Open a tomogram of a project in the picker of a viewer, which is docked if it is not yet there."""
    picker = docked(viewer, "Picker", Picker)
    picker.open_project(project.folder)
    picker.open_tomogram(series)
    return picker
