"""The table of a project: one row per series, one column per stage."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSize, Qt, Signal
from qtpy.QtGui import QBrush, QColor, QFont
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from napari_tomoflow.core.stages import STAGES
from napari_tomoflow.project import Cell

Rows = Mapping[str, Mapping[str, Cell]]

_SIGNS = {
    "done": ("✔", "#7ddc6a"),
    "running": ("▶", "#4dc3ff"),
    "waiting": ("…", "#a0a0a0"),
    "failed": ("✖", "#ff6f6f"),
    "cancelled": ("■", "#ffb74d"),
    "interrupted": ("⚡", "#ffb74d"),
}
_UNITS = {
    "_e_ang2": "e/Å²",
    "_ang": "Å",
    "_deg": "°",
    "_px": "px",
    "_kv": "kV",
    "_mm": "mm",
    "_nm": "nm",
    "_um": "µm",
    "_s": "s",
}
_PLOT_WIDTH = 380
_STALE = ("↻", "#ffd24d")
_UNKNOWN = ("?", "#a0a0a0")


class ProjectModel(QAbstractTableModel):
    """Series × stages, as the job folders have it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.series: list[str] = []
        self.stages: list[str] = []
        self._rows: Rows = {}

    def show_rows(self, rows: Rows) -> bool:
        """Take the table of a project; tell whether anything is different from before."""
        series, stages = list(rows), _columns(rows)
        if (series, stages) != (self.series, self.stages):
            self.beginResetModel()
            self.series, self.stages, self._rows = series, stages, rows
            self.endResetModel()
            return True
        if rows == self._rows:
            return False
        self._rows = rows
        if series and stages:
            self.dataChanged.emit(self.index(0, 0), self.index(len(series) - 1, len(stages) - 1))
        return True

    def cell(self, index: QModelIndex) -> Cell | None:
        """Return what a cell of the table shows; None where nothing was done."""
        if not index.isValid():
            return None
        return self._rows[self.series[index.row()]].get(self.stages[index.column()])

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Count the series."""
        return len(self.series)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Count the stages shown."""
        return len(self.stages)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Name columns by stage and rows by series."""
        if role == Qt.ItemDataRole.DisplayRole:
            return (self.stages if orientation == Qt.Orientation.Horizontal else self.series)[section]
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Show a cell: sign and status, its colour, and all that is known of it as a tooltip."""
        cell = self.cell(index)
        if cell is None:
            return "Nothing done yet." if role == Qt.ItemDataRole.ToolTipRole else None
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{sign(cell)[0]} {status_text(cell)}"
        if role == Qt.ItemDataRole.ForegroundRole:
            return QBrush(QColor(sign(cell)[1]))
        if role == Qt.ItemDataRole.ToolTipRole:
            return describe(self.series[index.row()], self.stages[index.column()], cell)
        return None


class ProjectTable(QTableView):
    """The view of a `ProjectModel`."""

    cell_opened = Signal(str, str)
    """Series and stage of a cell that was double-clicked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = ProjectModel(self)
        self.setModel(self.rows)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectItems)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setStretchLastSection(True)
        self.verticalHeader().setDefaultSectionSize(26)
        self.doubleClicked.connect(self._open)

    def selected_series(self) -> tuple[str, ...]:
        """Return the series of the selected rows, in the order of the table; none selected is none."""
        rows = sorted({index.row() for index in self.selectionModel().selectedIndexes()})
        return tuple(self.rows.series[row] for row in rows)

    def current(self) -> tuple[str, str, Cell] | None:
        """Return series, stage and cell under the cursor."""
        index = self.currentIndex()
        cell = self.rows.cell(index)
        return None if cell is None else (self.rows.series[index.row()], self.rows.stages[index.column()], cell)

    def sizeHint(self) -> QSize:
        """Ask for room for a handful of series."""
        return QSize(380, 150)

    def _open(self, index: QModelIndex) -> None:
        if self.rows.cell(index) is not None:
            self.cell_opened.emit(self.rows.series[index.row()], self.rows.stages[index.column()])


def sign(cell: Cell) -> tuple[str, str]:
    """Return the sign and the colour of a cell."""
    return _STALE if cell.stale and cell.status == "done" else _SIGNS.get(cell.status, _UNKNOWN)


def status_text(cell: Cell) -> str:
    """Return the status in a word."""
    return "stale" if cell.stale and cell.status == "done" else cell.status


def describe(series: str, stage: str, cell: Cell) -> str:
    """Tell what matters of a cell, as rich text: tooltips of plain text do not wrap."""
    quality = cell.quality
    lines = [f"<b>{html.escape(series)}</b> · {stage} · {status_text(cell)} (job {cell.job})"]
    if cell.stale:
        lines.append("Something it was made from has been run again since; run this stage again to renew it.")
    if cell.error:
        lines.append(f"<span style='color:#ff8a80'>{html.escape(cell.error)}</span>")
    lines += [f"<span style='color:#ffd24d'>{html.escape(str(text))}</span>" for text in quality.get("warnings", ())]
    lines += [f"{_words(name)}: <b>{_short(value)}</b>" for name, value in quality.items() if _is_plain(value)]
    if cell.status == "done":
        lines.append("<i>Double-click to open.</i>")
    return "<p>" + "<br>".join(lines) + "</p>"


def describe_fully(series: str, stage: str, cell: Cell) -> str:
    """Tell everything that is known of a cell, tables and plots included."""
    parts = [describe(series, stage, cell)]
    plots = sorted(cell.folder.glob("*.png"))
    parts += [f"<p><img src='{html.escape(plot.as_uri())}' width='{_PLOT_WIDTH}'></p>" for plot in plots]
    for name, value in cell.quality.items():
        if isinstance(value, Mapping):
            parts.append(_table(name, [{"what": _words(key), "value": entry} for key, entry in value.items()]))
        elif isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value):
            parts.append(_table(name, value))
    return "".join(parts)


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    heads = "".join(f"<th align='left'>{_words(name)}&nbsp;&nbsp;</th>" for name in rows[0])
    cells = ("".join(f"<td>{_short(value)}&nbsp;&nbsp;</td>" for value in row.values()) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<p><b>{_words(title).capitalize()}</b></p><table><tr>{heads}</tr>{body}</table>"


def _is_plain(value: Any) -> bool:
    return isinstance(value, int | float | str | bool)


def _words(name: Any) -> str:
    """Write the name of a quality for people: ``tilt_from_deg`` becomes ``tilt from (°)``."""
    text = str(name)
    for ending, unit in _UNITS.items():
        if text.endswith(ending):
            text = f"{text.removesuffix(ending)} ({unit})"
            break
    text = f"number of {text[2:]}" if text.startswith("n_") else text
    return html.escape(text.replace("_", " "))


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return html.escape("–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value))


def _columns(rows: Rows) -> list[str]:
    """Show every stage; one that starts series only where some series was started so."""
    used = {stage for cells in rows.values() for stage in cells}
    known = [stage.name for stage in STAGES if stage.name in used or not _starts_series(stage.inputs)]
    return known + sorted(used - {stage.name for stage in STAGES})


def _starts_series(inputs: Mapping[str, Any]) -> bool:
    return not any(needed.kind.__name__ == "TiltSeries" for needed in inputs.values())


def bold(font: QFont) -> QFont:
    """Return a bold copy of a font."""
    heavy = QFont(font)
    heavy.setBold(True)
    return heavy


def names_text(names: Sequence[str], shown: int = 3) -> str:
    """Join names for a line of limited length."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
