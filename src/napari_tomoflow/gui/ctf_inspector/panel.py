"""What the panel of the CTF inspector is made of."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QVBoxLayout

from napari_tomoflow.gui.ctf_inspector.plots import DefocusPlot, ResolutionPlot, SpectrumPlot
from napari_tomoflow.gui.ctf_inspector.session import Hand
from napari_tomoflow.gui.keys import key_button, keys_label
from napari_tomoflow.gui.rows import grid_of, saving_line, show_obstacle

if TYPE_CHECKING:
    from napari_tomoflow.gui.ctf_inspector.inspector import CtfInspector

KEYS = {
    "N": "next tilt to look at",
    "B": "the one before",
    "X": "leave this tilt out, or take it in",
    "F": "fit this tilt near the defocus of the field",
    "Control-Z": "undo",
    "Control-Shift-Z": "redo",
}
"""Keys of the inspector while its layer is active, and what each does."""

_DEFOCUS_STEP_UM, _MOST_UM = 0.02, 100.0


class Panel:
    """The widgets of the inspector, laid out on it.

    Parameters
    ----------
    inspector
        The widget they are laid out on.
    acts
        What each of the `KEYS` does.
    set_defocus, fit_again, save
        What the other buttons do.
    """

    def __init__(
        self,
        inspector: "CtfInspector",
        acts: Mapping[str, Callable[[], None]],
        set_defocus: Callable[[], None],
        fit_again: Callable[[Hand], None],
        save: Callable[[], None],
    ) -> None:
        self.title, self.quality, self.hand, self.tilt, self.last = (QLabel() for _ in range(5))
        for label in (self.title, self.quality, self.hand, self.tilt, self.last):
            label.setWordWrap(True)
        self.spectrum = SpectrumPlot()
        self.tilt_plots = (DefocusPlot(), ResolutionPlot())
        self.defocus = QDoubleSpinBox(decimals=3, minimum=0.0, maximum=_MOST_UM, singleStep=_DEFOCUS_STEP_UM)
        self.defocus.setSuffix(" µm")
        self.defocus.setToolTip("<p>Defocus of this tilt; rings and curve follow while it is changed.</p>")
        texts = {
            "N": "Next doubtful", "B": "Back", "X": "Leave out", "F": "Fit near it", "Control-Z": "Undo",
            "Control-Shift-Z": "Redo",
        }  # fmt: skip
        self.by_key = {key: key_button(text, acts[key], key, KEYS[key]) for key, text in texts.items()}
        self.set_button = key_button("Set", set_defocus, does="give this tilt the defocus of the field")
        does = "fit all tilts again with this hand, whatever the images say"
        self.hand_buttons = (
            key_button("Fit with hand −1", lambda: fit_again(-1), does=does),
            key_button("Fit with hand +1", lambda: fit_again(1), does=does),
        )
        self.save_button = key_button("Save as a job", save)
        self._lay_out(inspector)

    def show_tilt(self, words: str, defocus_ang: float, is_kept: bool) -> None:
        """Take what is said of the tilt in view, and its defocus into the field."""
        self.tilt.setText(words)
        self.by_key["X"].setText("Leave out" if is_kept else "Take in")
        self.defocus.blockSignals(True)
        self.defocus.setValue(1e-4 * defocus_ang)
        self.defocus.blockSignals(False)

    def enable(
        self, *, free: bool, has_one: bool, has_doubts: bool, can_undo: bool, can_redo: bool, obstacle: str
    ) -> None:
        """Let only those buttons be pressed that would do something."""
        able = {"N": has_doubts, "B": has_doubts, "X": free, "F": has_one}
        able |= {"Control-Z": can_undo, "Control-Shift-Z": can_redo}
        for key, is_able in able.items():
            self.by_key[key].setEnabled(is_able)
        for button in self.hand_buttons:
            button.setEnabled(free)
        self.set_button.setEnabled(has_one)
        self.defocus.setEnabled(has_one)
        show_obstacle(self.save_button, obstacle)

    def _lay_out(self, inspector: "CtfInspector") -> None:
        buttons = (
            (self.defocus, self.set_button, self.by_key["F"]),
            (self.by_key["X"], self.by_key["B"], self.by_key["N"]),
            (self.by_key["Control-Z"], self.by_key["Control-Shift-Z"]),
            self.hand_buttons,
        )
        progress = QGridLayout()
        for line in (inspector.looking, inspector.background):
            progress.addWidget(line, 0, 0)  # one over the other: what a person began is the one to be seen
        layout = QVBoxLayout(inspector)
        layout.addWidget(self.title)
        layout.addWidget(self.spectrum, 3)
        layout.addWidget(self.tilt)
        for plot in self.tilt_plots:
            layout.addWidget(plot, 1)
        for label in (self.quality, self.hand):
            layout.addWidget(label)
        layout.addLayout(grid_of(buttons))
        layout.addLayout(saving_line(self.last, self.save_button))
        layout.addLayout(progress)
        layout.addWidget(keys_label(KEYS))
