"""Widgets of this plugin in the docks of a viewer."""

from typing import Any, TypeVar, cast

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

W = TypeVar("W", bound=QWidget)

_CANVAS_WIDTH_PX = 220
"""What the canvas keeps beside a widget that has panes of its own."""


def docked(viewer: Any, name: str, kind: type[W], area: str = "right") -> W:
    """Bring the widget of a kind that a viewer shows to the front; it is docked under a name if there is none.

    Parameters
    ----------
    viewer
    name
        Display name of the widget, as in the manifest.
    kind
        Its class; made with the viewer.
    area
        Side of the window; on the right docks share their place.
    """
    widgets: list[QWidget] = list(viewer.window.dock_widgets.values())
    for there in widgets:
        if isinstance(there, kind):
            dock = _dock_of(there)
            if dock is not None:
                dock.show()
                dock.raise_()
            return there
    widget = kind(viewer)
    viewer.window.add_dock_widget(widget, name=name, area=area, tabify=area == "right")
    return cast(W, widget)


def give_room(widget: QWidget, *, all_there_is: bool) -> None:
    """Give the dock of a widget what the canvas and the docks on the left can spare, or but its own least width."""
    dock, window = _dock_of(widget), widget.window()
    if dock is None or not isinstance(window, QMainWindow):
        return
    left = Qt.DockWidgetArea.LeftDockWidgetArea
    beside = [
        other for other in window.findChildren(QDockWidget)
        if other.isVisible() and not other.isFloating() and window.dockWidgetArea(other) == left
    ]  # fmt: skip
    spared = window.width() - _CANVAS_WIDTH_PX - max((other.minimumSizeHint().width() for other in beside), default=0)
    width = spared if all_there_is else 1
    for docks, size in (([dock], width), (beside, 1)):
        window.resizeDocks(docks, [size] * len(docks), Qt.Orientation.Horizontal)


def _dock_of(widget: QWidget) -> QDockWidget | None:
    above = widget.parentWidget()
    while above is not None and not isinstance(above, QDockWidget):
        above = above.parentWidget()
    return above
