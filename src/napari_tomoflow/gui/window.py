"""A napari window with the *Tomoflow* dock in it."""

from pathlib import Path

import napari
from qtpy.QtWidgets import QWidget

from napari_tomoflow.gui.dock import TomoflowDock

PLUGIN = "napari-tomoflow"
DOCK_TITLE = "Tomoflow"

_WIDTH_OF_DOCK = 430


def open_window(project: Path | None = None, *, show: bool = True) -> tuple[napari.Viewer, TomoflowDock]:
    """Open napari with the dock, on a project if one is given."""
    viewer = napari.Viewer(title="napari-tomoflow", show=show)
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, DOCK_TITLE, tabify=True)
    if project is not None:
        dock.open_project(project)
    _widen(dock)
    return viewer, dock


def _widen(dock: QWidget) -> None:
    """Give the dock the width its forms want; napari would share it with the layer controls' narrow one."""
    dock.setMinimumWidth(_WIDTH_OF_DOCK)
