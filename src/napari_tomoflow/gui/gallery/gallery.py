"""The gallery of picks, beside the picker and in step with it."""

from typing import Any

import numpy as np
from qtpy.QtCore import QItemSelection, QItemSelectionModel, QSignalBlocker, QTimer
from qtpy.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_tomoflow.gui.docking import docked
from napari_tomoflow.gui.gallery.tile_list import TileList, TileModel
from napari_tomoflow.gui.gallery.tiles import DIRECTIONS, columns, sorted_rows
from napari_tomoflow.gui.keys import bind_shortcuts
from napari_tomoflow.gui.picker.acts import acts_on_picks
from napari_tomoflow.gui.picker.picker import Picker
from napari_tomoflow.gui.picker.session import counted

_AFTER_MS = 150
_PER_ROW = 3
_GO, _DELETE = "goes there", "deletes the pick"
_ALL = "all types"


class Gallery(QWidget):
    """Look over all picks of a tomogram at once, the best or the worst first.

    Parameters
    ----------
    napari_viewer
        Its picker, docked if it is not yet there, has the picks.
    picker
        Another picker than that of the viewer.
    """

    def __init__(self, napari_viewer: Any, picker: Picker | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.picker = picker or docked(napari_viewer, "Picker", Picker)
        self.model = TileModel(self)
        self.tiles = TileList(self.model, self._take_click)
        self.by, self.of_type, self.click = QComboBox(), QComboBox(), QComboBox()
        self.direction = QComboBox()
        self.direction.addItems(list(DIRECTIONS))
        self.falls = QCheckBox("falling")
        self.falls.setChecked(True)
        self.about = QLabel()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_AFTER_MS)
        self._timer.timeout.connect(self.refresh)
        for combo in (self.by, self.of_type, self.direction):
            combo.currentTextChanged.connect(lambda text: self._timer.start())
        self.falls.toggled.connect(lambda checked: self._timer.start())
        self.tiles.selectionModel().selectionChanged.connect(lambda *_: self._take_selection())
        self.picker.changed.connect(self._timer.start)
        self.picker.panel.look.changed.connect(self._timer.start)
        self.picker.selected.connect(self._show_selection)
        self._lay_out()
        bind_shortcuts(self, acts_on_picks(self.picker))
        self.refresh()

    @property
    def is_settled(self) -> bool:
        """Whether all tiles in view are there."""
        return self.model.drawing.is_done and not self._timer.isActive()

    def refresh(self) -> None:
        """Show the picks as they now are; the tiles in view stay in view."""
        session, tomogram = self.picker.session, self.picker.tomogram
        if not session.tomogram or tomogram is None:
            self.about.setText("Open a tomogram in the picker, and its picks are shown here.")
            return
        present = {one.name: index for index, one in enumerate(session.types) if one.is_present}
        _offer(self.by, list(columns(session)))
        _offer(self.of_type, [_ALL, *present])
        _offer(self.click, [_GO, _DELETE, *(f"makes it {name}" for name in present)])
        rows, texts = sorted_rows(
            session, self.by.currentText(), self.falls.isChecked(), present.get(self.of_type.currentText())
        )
        scrolled = self.tiles.verticalScrollBar().value()
        with QSignalBlocker(self.tiles.selectionModel()):
            self.model.show(
                session, tomogram, rows, texts, self.direction.currentText(), self.picker.panel.look.filter()
            )
        self.tiles.verticalScrollBar().setValue(scrolled)
        self.about.setText(
            f"<b>{session.tomogram}</b> · {counted(len(rows))}, each in its box; {self.by.currentText()} below"
        )
        self._show_selection()

    def _take_click(self, row: int) -> None:
        """Do to a pick what a click is to do."""
        session, does = self.picker.session, self.click.currentText()
        if does == _GO:
            self.picker.look_at_pick(row)
        elif does == _DELETE:
            self.picker.delete_picks(np.array([row]))
        else:
            index = self.click.currentIndex() - 2
            present = [at for at, one in enumerate(session.types) if one.is_present]
            self.picker.retype_picks(np.array([row]), present[index])

    def _take_selection(self) -> None:
        chosen = [index.row() for index in self.tiles.selectionModel().selectedIndexes()]
        self.picker.session.select(self.model.rows[chosen])

    def _show_selection(self) -> None:
        """Mark the tiles of the picks that are selected."""
        selected = QItemSelection()
        places = np.flatnonzero(np.isin(self.model.rows, self.picker.session.selection))
        for run in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1):
            if len(run):
                selected.select(self.model.index(int(run[0])), self.model.index(int(run[-1])))
        with QSignalBlocker(self.tiles.selectionModel()):
            self.tiles.selectionModel().select(selected, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        self.tiles.viewport().update()

    def _lay_out(self) -> None:
        grid = QGridLayout()
        rows: tuple[tuple[str, QWidget], ...] = (
            ("Sorted by", self.by), ("", self.falls), ("Type", self.of_type), ("Seen", self.direction),
            ("A click", self.click),
        )  # fmt: skip
        for at, (name, widget) in enumerate(rows):
            grid.addWidget(QLabel(name), at // _PER_ROW, 2 * (at % _PER_ROW))
            grid.addWidget(widget, at // _PER_ROW, 2 * (at % _PER_ROW) + 1)
        layout = QVBoxLayout(self)
        layout.addLayout(grid)
        layout.addWidget(self.about)
        layout.addWidget(self.tiles, 1)


def _offer(combo: QComboBox, entries: list[str]) -> None:
    """Offer entries; what was chosen stays chosen if it is still there."""
    if [combo.itemText(at) for at in range(combo.count())] != entries:
        chosen = combo.currentText()
        with QSignalBlocker(combo):
            combo.clear()
            combo.addItems(entries)
            combo.setCurrentText(chosen if chosen in entries else entries[0])
