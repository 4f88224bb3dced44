"""What the panel of the picker is made of: its keys, its buttons, its tables."""

from collections.abc import Callable, Mapping

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QScrollArea,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_tomoflow.gui.background import Background
from napari_tomoflow.gui.keys import key_button, keys_label
from napari_tomoflow.gui.picker.score_plot import ScorePlot
from napari_tomoflow.gui.picker.seen import SHAPES
from napari_tomoflow.gui.picker.snapping import METHODS
from napari_tomoflow.gui.picker.tools import TOOLS
from napari_tomoflow.gui.picker.type_table import TypeTable
from napari_tomoflow.gui.tomogram_view.look import Look

KEYS = {
    "S": "select: click a pick, drag it; click beside to look there",
    "A": "add: click to pick",
    "E": "erase with the brush",
    "R": "rotate: drag in the middle of a pick to tilt it, at its rim to spin it",
    "C": "snap the selected picks to the local centre",
    "Delete": "delete the selected picks",
    "1": "… 9: make new and selected picks of that type",
    "Control-A": "select all picks in view",
    "N": "next pick",
    "B": "pick before",
    "X": "turn the selected picks by 5° about their x; Y and Z likewise, with Shift the other way",
    "O": "lay the oblique plane into the selected pick",
    "T": "picks on the tilt images / in the tomogram",
    "G": "gallery of all picks",
    "F": "the pane under the mouse alone / all four",
    "P": "hide the panel / show it again",
    "V": "the canvas alone, as large as it can be / the panes again",
    "Control-Z": "undo",
    "Control-Shift-Z": "redo",
    "[": "tomogram before",
    "]": "next tomogram",
}
"""Keys of the picker and what each does."""

CANVAS_KEYS = (
    "S select   A add   E erase   R rotate   C snap   Delete   1–9 type   Ctrl+Z undo   [ ] tomogram   T tilts   "
    "F pane   V canvas   P panel"
)
"""The keys one needs most; where there is little room lines are broken between them."""

_WIDTH_PX, _BOARD_WIDTH_PX = 340, 320
_TYPES_HEIGHT_PX = 120
_PLENTY_PX = 10_000


class Panel(QWidget):
    """Everything beside the panes: what one needs all the time on top, the rest in tabs.

    It shows and tells; what it all does is the picker's affair.

    Parameters
    ----------
    acts
        Key → what it does; the buttons do the same.
    """

    def __init__(self, acts: Mapping[str, Callable[[], None]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._acts = acts
        self.title, self.statistics, self.last = QLabel(), QLabel(), QLabel()
        for label in (self.title, self.statistics, self.last):
            label.setWordWrap(True)
        self.tomograms = QComboBox()
        self.types = TypeTable()
        self.scores = ScorePlot()
        self.look = Look()
        self.background = Background()
        self._make_tools()
        self._make_numbers()
        self._lay_out()

    def button(self, text: str, key: str) -> QPushButton:
        """Make a button for what a key does."""
        return key_button(text, self._acts[key], key, KEYS[key])

    def show_saving(self, unsaved: tuple[str, ...], *, in_project: bool) -> None:
        """Say what saving would do."""
        names = ", ".join(unsaved)
        if not unsaved:
            said = "Nothing was changed since it was saved."
        elif in_project:
            said = f"Save the picks of {names}, each as a job; nothing is overwritten."
        else:
            said = f"Make the picks of {names} layers, to be saved as files; until then they are in memory alone."
        self.save.setEnabled(bool(unsaved))
        self.save.setText("Save as jobs" if in_project else "Make layers")
        self.save.setToolTip(f"<p>{said}</p>")

    def _make_tools(self) -> None:
        self.tools = {tool: self.button(tool.capitalize(), tool[0].upper()) for tool in TOOLS}
        group = QButtonGroup(self)
        for button in self.tools.values():
            button.setCheckable(True)
            group.addButton(button)
        self.undo, self.redo = self.button("Undo", "Control-Z"), self.button("Redo", "Control-Shift-Z")
        self.snap, self.delete = self.button("Snap", "C"), self.button("Delete", "Delete")
        self.before, self.after = self.button("◀", "["), self.button("▶", "]")
        self.to_pick, self.tilts = self.button("Into the pick", "O"), self.button("Tilts", "T")
        self.tilts.setCheckable(True)
        self.gallery = self.button("Gallery", "G")
        self.fill = self.button("One pane alone", "F")
        self.open, self.save = QPushButton("Open…"), QPushButton("Save as jobs")
        self.add_type, self.remove_type = QPushButton("New type"), QPushButton("Remove type")
        self.drop_hidden = QPushButton("Delete hidden")
        self.drop_hidden.setToolTip("<p>Delete the picks of this type that score less than the line.</p>")

    def _make_numbers(self) -> None:
        self.snaps = QCheckBox("snap on click")
        self.method, self.shape = QComboBox(), QComboBox()
        self.method.addItems(METHODS)
        self.shape.addItems(SHAPES)
        self.shape.setToolTip("<p>Spheres have the diameter of their type, boxes its edge; both shrink away.</p>")
        self.arrows = QCheckBox("arrows")
        self.arrows.setToolTip("<p>The axes of each particle: x red, y green, z blue.</p>")
        self.arrows.setChecked(True)
        self.brush = _spin("brush ", " Å", 10.0, 5000.0, 200.0, 10.0)
        self.frame = [_spin(f"{name} ", "°", -180.0, 180.0, 0.0, 5.0) for name in ("rot", "tilt", "psi")]
        for spin in self.frame:
            spin.setWrapping(True)
        self.side = _spin("side ", " Å", 50.0, 1e5, 1000.0, 50.0)
        self.follows = QCheckBox("follows the pick")
        self.follows.setToolTip("<p>The oblique plane lies in the x–y plane of whatever pick is selected.</p>")

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.addLayout(_row(self.title, self.save, stretch=0))
        layout.addLayout(_row(self.before, self.tomograms, self.after, self.open, stretch=1))
        layout.addLayout(_row(*self.tools.values()))
        layout.addLayout(_row(self.undo, self.redo, self.snap, self.delete))
        layout.addWidget(self.last)
        self.tabs = QTabWidget()
        types = _row(self.add_type, self.remove_type)
        clicks = _group("Click and brush", (self.snaps, self.method), (self.brush,))
        scores = _group("Scores of this type", (self.scores,), (self.drop_hidden,))
        drawn = _group("Picks", (self.shape, self.arrows))
        slices = _group("Slices", (self.look,), (self.fill,))
        rot, tilt, psi = self.frame
        oblique = _group("Oblique plane", (rot, tilt), (psi, self.side), (self.to_pick, self.follows))
        self.types.setMinimumHeight(_TYPES_HEIGHT_PX)
        self.tabs.addTab(_scrolled(self.types, types, clicks), "Types")
        self.tabs.addTab(_scrolled(drawn, slices, oblique), "View")
        self.tabs.addTab(_scrolled(scores, self.statistics), "Scores")
        self.tabs.addTab(_scrolled(keys_label(KEYS)), "Keys")
        layout.addWidget(self.tabs, 1)
        layout.addLayout(_row(self.tilts, self.gallery))
        layout.addWidget(self.background)
        self.setMinimumWidth(_WIDTH_PX)


def board_with_keys(board: QWidget) -> QWidget:
    """Put the keys one needs most below the panes."""
    seen = QWidget()
    keys = QLabel(CANVAS_KEYS)
    keys.setWordWrap(True)
    column = QVBoxLayout(seen)
    column.setContentsMargins(0, 0, 0, 0)
    column.addWidget(board, 1)
    column.addWidget(keys)
    board.setMinimumWidth(_BOARD_WIDTH_PX)
    return seen


def side_by_side(seen: QWidget, panel: Panel) -> QSplitter:
    """Put what one sees to the left of the panel, and give it what room there is."""
    parts = QSplitter(Qt.Orientation.Horizontal)
    for part in (seen, panel):
        parts.addWidget(part)
    parts.setStretchFactor(0, 1)
    parts.setSizes([_PLENTY_PX, _WIDTH_PX])
    return parts


def _scrolled(*parts: QWidget | QLayout) -> QScrollArea:
    """Put parts below each other; where there is no room for all of them one scrolls."""
    content = QWidget()
    column = QVBoxLayout(content)
    column.setContentsMargins(2, 4, 2, 2)
    for part in parts:
        if isinstance(part, QLayout):
            column.addLayout(part)
        else:
            column.addWidget(part)
    column.addStretch(1)
    area = QScrollArea()
    area.setWidget(content)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    return area


def _spin(prefix: str, suffix: str, low: float, high: float, value: float, step: float) -> QDoubleSpinBox:
    spin = QDoubleSpinBox(minimum=low, maximum=high, value=value, decimals=0, prefix=prefix, suffix=suffix)
    spin.setSingleStep(step)
    spin.setKeyboardTracking(False)
    return spin


def _row(*widgets: QWidget, stretch: int = -1) -> QHBoxLayout:
    row = QHBoxLayout()
    for at, widget in enumerate(widgets):
        row.addWidget(widget, 1 if stretch in (-1, at) else 0)
    return row


def _group(name: str, *rows: tuple[QWidget, ...]) -> QGroupBox:
    group = QGroupBox(name)
    grid = QGridLayout(group)
    for row, widgets in enumerate(rows):
        for column, widget in enumerate(widgets):
            grid.addWidget(widget, row, column, 1, 1 if len(widgets) > 1 else -1)
    return group
