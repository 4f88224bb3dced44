"""How the window is shared between the panes of the picker and the canvas of the viewer."""

from typing import Any

from qtpy.QtWidgets import QWidget

from napari_tomoflow.gui.docking import give_room
from napari_tomoflow.gui.picker.scene import timer

_AFTER_LAYOUT_MS = 50
"""Qt lays docks out a few rounds of events after they were asked to change."""


class Room:
    """The room of a picker.

    Parameters
    ----------
    picker
        The widget in a dock.
    panes, panel
        Its parts.
    viewer
        Its canvas gets what is left.
    """

    def __init__(self, picker: QWidget, panes: QWidget, panel: QWidget, viewer: Any) -> None:
        self._picker, self._panes, self._panel = picker, panes, panel
        self._is_taken = False
        self._timer = timer(picker, _AFTER_LAYOUT_MS, self._share)
        self._fit_timer = timer(picker, _AFTER_LAYOUT_MS, viewer.reset_view)

    @property
    def is_settled(self) -> bool:
        """Whether everything has its place."""
        return not self._timer.isActive() and not self._fit_timer.isActive()

    def take(self) -> None:
        """Take the room there is, the first time the picker is seen."""
        if not self._is_taken:
            self._is_taken = True
            self._timer.start()

    def show_panes(self, are_wanted: bool) -> None:
        """Show the panes, or leave their room to the canvas."""
        self._panes.setVisible(are_wanted)
        if not are_wanted:
            self._panel.show()  # else nothing would be left to click on
        self._timer.start()

    def _share(self) -> None:
        """Take the room that what is shown needs, and fit the canvas into the rest."""
        give_room(self._picker, all_there_is=not self._panes.isHidden())
        self._fit_timer.start()
