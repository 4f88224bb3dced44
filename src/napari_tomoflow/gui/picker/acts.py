"""What each key of the picker does."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from napari_tomoflow.gui.docking import docked
from napari_tomoflow.gui.picker.tools import TOOLS

if TYPE_CHECKING:
    from napari_tomoflow.gui.picker.picker import Picker

_STEP_DEG = 5.0

Acts = dict[str, Callable[[], None]]
"""Key, as napari writes it, → what it does."""


def acts_of(picker: "Picker") -> Acts:
    """Return what each key does in the picker."""
    acts: Acts = {
        "C": lambda: picker.snap_picks(picker.session.selection),
        "N": lambda: picker.walk(1),
        "B": lambda: picker.walk(-1),
        "O": picker.lay_into_pick,
        "T": picker.toggle_tilts,
        "G": partial(_show_gallery, picker),
        "F": picker.board.toggle_fill,
        "P": lambda: picker.panel.setVisible(picker.panel.isHidden()),
        "V": lambda: picker.room.show_panes(picker.seen.isHidden()),
        "[": lambda: picker.step_tomogram(-1),
        "]": lambda: picker.step_tomogram(1),
    }
    acts |= {tool[0].upper(): partial(picker.set_tool, tool) for tool in TOOLS}
    for axis, key in enumerate("XYZ"):
        acts[key] = partial(picker.turn_selected, axis, _STEP_DEG)
        acts[f"Shift-{key}"] = partial(picker.turn_selected, axis, -_STEP_DEG)
    return acts | acts_on_picks(picker)


def acts_on_picks(picker: "Picker") -> Acts:
    """Return what keys do wherever picks can be selected, the gallery included."""
    acts: Acts = {
        "Delete": picker.delete_picks,
        "Control-A": picker.select_all,
        "Control-Z": picker.undo,
        "Control-Shift-Z": picker.redo,
    }
    return acts | {str(number): partial(picker.choose_type, number) for number in range(1, 10)}


def _show_gallery(picker: "Picker") -> None:
    """Show tiles of all picks below the panes, so that one sees where a click on a tile goes."""
    from napari_tomoflow.gui.gallery.gallery import Gallery  # which needs a picker

    docked(picker.viewer, "Gallery", Gallery, area="bottom")
