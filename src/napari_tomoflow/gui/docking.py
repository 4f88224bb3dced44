"""Widgets of this plugin in the docks of a viewer."""

from typing import Any, TypeVar, cast

from qtpy.QtWidgets import QWidget

W = TypeVar("W", bound=QWidget)


def docked(viewer: Any, name: str, kind: type[W]) -> W:
    """Return the widget of a kind that a viewer shows; it is docked under a name if there is none.

    Parameters
    ----------
    viewer
    name
        Display name of the widget, as in the manifest.
    kind
        Its class; made with the viewer.
    """
    widgets: list[QWidget] = list(viewer.window.dock_widgets.values())
    for there in widgets:
        if isinstance(there, kind):
            return there
    widget = kind(viewer)
    viewer.window.add_dock_widget(widget, name=name, area="right", tabify=True)
    return cast(W, widget)
