"""The list of tiles: only those in view are cut out, in a thread."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QAbstractListModel, QModelIndex, QObject, QSize, Qt
from qtpy.QtGui import QColor, QIcon, QImage, QPainter, QPen, QPixmap
from qtpy.QtWidgets import QListView, QWidget

from napari_tomoflow.core.model import Tomogram
from napari_tomoflow.gui.gallery.tiles import key_of, tile
from napari_tomoflow.gui.picker.picks import CENTERS, QUATERNIONS, TYPE, Rows
from napari_tomoflow.gui.picker.session import Session
from napari_tomoflow.gui.tomogram_view.drawing import Drawing, Pictures
from napari_tomoflow.gui.tomogram_view.slabs import Filter

TILE_PX = 96

_MOST_KEPT = 20_000
"""Tiles remembered: 50 MB."""

_MOST_ASKED = 400
"""Tiles waited for at a time: those seen last, whatever was scrolled past."""

_BORDER_PX = 3
_EMPTY = "#30343c"


class TileModel(QAbstractListModel):
    """Picks in some order, each with its tile once that has been cut out."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: Rows = np.zeros(0, np.int64)
        self.direction = ""
        self._texts: list[str] = []
        self._filter = Filter()
        self._session: Session | None = None
        self._tomogram: Tomogram | None = None
        self._tiles: OrderedDict[Any, NDArray[np.uint8]] = OrderedDict()
        self._asked: OrderedDict[Any, int] = OrderedDict()
        self.drawing = Drawing(self._prepare, self._take, self)

    @property
    def n_tiles(self) -> int:
        """Number of tiles cut out and remembered."""
        return len(self._tiles)

    def show(
        self, session: Session, tomogram: Tomogram, rows: Rows, texts: list[str], direction: str, chosen: Filter
    ) -> None:
        """Show picks in an order, with a text for each."""
        self.beginResetModel()
        self._session, self._tomogram, self.direction = session, tomogram, direction
        self.rows, self._texts, self._filter = rows, texts, chosen
        self._asked.clear()
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of tiles."""
        return len(self.rows)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the text or the picture of a tile."""
        if self._session is None or not index.isValid():
            return None
        row = int(self.rows[index.row()])
        if role == Qt.ItemDataRole.DisplayRole:
            return self._texts[index.row()]
        if role == Qt.ItemDataRole.DecorationRole:
            return self._picture(row, self._session)
        if role == Qt.ItemDataRole.ToolTipRole:
            z, y, x = self._session.picks[CENTERS][row]
            name = self._session.types[int(self._session.picks[TYPE][row])].name
            return f"{name}, x {x:.0f} Å, y {y:.0f} Å, z {z:.0f} Å"
        return None

    def _picture(self, row: int, session: Session) -> QIcon:
        """Return the tile in a frame of its type's colour; an empty one is asked for."""
        key = key_of(session, row, self.direction, self._filter)
        found = self._tiles.get(key)
        picture = QPixmap(TILE_PX, TILE_PX)
        picture.fill(QColor(_EMPTY))
        painter = QPainter(picture)
        if found is None:
            self._ask(key, row)
        else:
            n = len(found)
            painter.drawImage(picture.rect(), QImage(found.tobytes(), n, n, n, QImage.Format.Format_Grayscale8))
        pen = QPen(QColor(session.types[int(session.picks[TYPE][row])].colour))
        pen.setWidth(_BORDER_PX)
        painter.setPen(pen)
        painter.drawRect(picture.rect().adjusted(1, 1, -2, -2))
        painter.end()
        icon = QIcon(picture)
        icon.addPixmap(picture, QIcon.Mode.Selected)  # else Qt would tint what one wants to look at
        return icon

    def _ask(self, key: Any, row: int) -> None:
        if key not in self._asked:
            self._asked[key] = row
            while len(self._asked) > _MOST_ASKED:
                self._asked.popitem(last=False)
            self.drawing.ask()

    def _prepare(self) -> Pictures | None:
        session, tomogram = self._session, self._tomogram
        direction, chosen = self.direction, self._filter
        if session is None or tomogram is None or not self._asked:
            return None
        wanted = []
        for key, row in self._asked.items():
            one = session.types[int(session.picks[TYPE][row])]
            center, turn = session.picks[CENTERS][row].copy(), session.picks[QUATERNIONS][row].copy()
            wanted.append((key, center, turn, one.box_ang, one.diameter_ang))

        def cut_out() -> Iterator[tuple[Any, NDArray[np.uint8]]]:
            for key, center, turn, box_ang, depth_ang in wanted:
                yield key, tile(tomogram, center, turn, direction, box_ang, depth_ang, chosen)

        return cut_out

    def _take(self, key: Any, image: NDArray[np.uint8]) -> None:
        row = self._asked.pop(key, None)
        self._tiles[key] = image
        if len(self._tiles) > _MOST_KEPT:
            self._tiles.popitem(last=False)
        where = np.flatnonzero(self.rows == row)
        if row is not None and len(where):
            index = self.index(int(where[0]))
            self.dataChanged.emit(index, index, [Qt.ItemDataRole.DecorationRole])


class TileList(QListView):
    """Tiles side by side, as many in a line as there is room for."""

    def __init__(self, model: TileModel, clicked: Callable[[int], None], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setModel(model)
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setUniformItemSizes(True)
        self.setLayoutMode(QListView.LayoutMode.Batched)
        self.setSelectionMode(QListView.SelectionMode.ExtendedSelection)
        self.setIconSize(QSize(TILE_PX, TILE_PX))
        self.setGridSize(QSize(TILE_PX + 12, TILE_PX + 28))
        self.clicked.connect(lambda index: clicked(int(model.rows[index.row()])))
