"""Picks of a project, opened in the picker."""

from typing import Any

from napari_tomoflow.gui.docking import docked
from napari_tomoflow.gui.picker.picker import Picker
from napari_tomoflow.project import Project


def open_picker(viewer: Any, project: Project, series: str, job: int | None = None) -> Picker:
    """Open the picks of a series, those of a job or the newest, in the picker of a viewer; docked if it is not yet."""
    picker = docked(viewer, "Picker", Picker)
    picker.open_project(project.folder)
    picker.open_tomogram(series, job)
    return picker
