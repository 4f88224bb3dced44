"""The table of particle types: which are shown, their names, colours, sizes, symmetry and number of picks."""

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QColorDialog, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_tomoflow.gui.picker.particle_types import ParticleType
from napari_tomoflow.gui.picker.session import Session

_COLUMNS = ("", "Type", "Ø (Å)", "Box (Å)", "Sym.", "Picks")
_COLOUR, _NAME, _DIAMETER, _BOX, _SYMMETRY, _PICKS = range(len(_COLUMNS))
_FIELDS: dict[int, tuple[str, Callable[[str], Any]]] = {
    _NAME: ("name", str.strip),
    _DIAMETER: ("diameter_ang", float),
    _BOX: ("box_ang", float),
    _SYMMETRY: ("symmetry", lambda text: text.strip().upper()),
}
_TIPS = {
    _COLOUR: "Tick to show the picks of this type; double-click to choose another colour.",
    _DIAMETER: "Diameter of the sphere the particle fills; snapping looks no farther than its radius.",
    _BOX: "Edge of the cube that will be cut out around a particle.",
    _SYMMETRY: "Point group in Schoenflies' notation: C1, C7, D2, T, O, I.",
    _PICKS: "Number of picks in this tomogram.",
}
_ROW_PX = 24
_LEAST_COLUMN_PX = 24


class TypeTable(QTableWidget):
    """Types of a session, one in each row; the current row is the type that new picks are of."""

    chosen = Signal(int)
    """The type of the row a person went to."""

    changed = Signal(int, dict)
    """The type a person changed, and its new values."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(_COLUMNS), parent)
        self._types: list[int] = []
        self.setHorizontalHeaderLabels(_COLUMNS)
        for column, tip in _TIPS.items():
            self.horizontalHeaderItem(column).setToolTip(tip)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        self.horizontalHeader().setMinimumSectionSize(_LEAST_COLUMN_PX)
        self.verticalHeader().setDefaultSectionSize(_ROW_PX)
        self.verticalHeader().setVisible(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.itemChanged.connect(self._take_change)
        self.currentCellChanged.connect(lambda row, *_: self.chosen.emit(self._types[row]) if row >= 0 else None)
        self.cellDoubleClicked.connect(self._ask_colour)

    def show_session(self, session: Session) -> None:
        """Bring the rows in step with the types of a session."""
        with QSignalBlocker(self):
            self._types = [index for index, one in enumerate(session.types) if one.is_present]
            self.setRowCount(len(self._types))
            counts = session.counts() if session.tomogram else [0] * len(session.types)
            for row, index in enumerate(self._types):
                self._fill(row, session.types[index], int(counts[index]))
            self.setCurrentCell(self._types.index(session.active_type), _NAME)

    def _fill(self, row: int, one: ParticleType, n_picks: int) -> None:
        texts = ("", one.name, f"{one.diameter_ang:g}", f"{one.box_ang:g}", one.symmetry, str(n_picks))
        for column, text in enumerate(texts):
            item = self.item(row, column)
            if item is None:
                item = QTableWidgetItem()
                self.setItem(row, column, item)
            if item.text() != text:
                item.setText(text)
        colour, picks = self.item(row, _COLOUR), self.item(row, _PICKS)
        colour.setData(Qt.ItemDataRole.DecorationRole, QColor(one.colour))
        colour.setCheckState(Qt.CheckState.Checked if one.is_visible else Qt.CheckState.Unchecked)
        colour.setFlags(colour.flags() & ~Qt.ItemFlag.ItemIsEditable)
        picks.setFlags(picks.flags() & ~Qt.ItemFlag.ItemIsEditable)

    def _take_change(self, item: QTableWidgetItem) -> None:
        index = self._types[item.row()]
        if item.column() == _COLOUR:
            self.changed.emit(index, {"is_visible": item.checkState() == Qt.CheckState.Checked})
        elif item.column() in _FIELDS:
            name, read = _FIELDS[item.column()]
            try:
                value = read(item.text())
            except ValueError:
                value = 0.0  # which no size may be: the session says so in a sentence
            self.changed.emit(index, {name: value})

    def _ask_colour(self, row: int, column: int) -> None:
        if column == _COLOUR:
            colour = QColorDialog.getColor(self.item(row, column).data(Qt.ItemDataRole.DecorationRole), self)
            if colour.isValid():
                self.changed.emit(self._types[row], {"colour": colour.name()})
