"""Three panes with one crosshair: the slices x-y, x-z and y-z of a volume, their axes linked."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, Qt, Signal
from qtpy.QtWidgets import QWidget

from napari_tomoflow.gui.tomogram_view.slabs import Axis

_BACKGROUND = "#101216"
_CROSSHAIR = (255, 210, 77, 150)
ACROSS: Mapping[str, Axis] = {"xy": 0, "xz": 1, "yz": 2}
"""Pane → the axis it lies across."""

_NO_LIMIT_PX = 1e6
_SPARE_SHARE = 2
"""Per cent that y-z and x-z get more than they need: their scale is that of x-y, and there are gaps between."""

_AXES_OF = {"xy": (2, 1), "xz": (2, 0), "yz": (0, 1)}
"""Pane → the axes of the specimen that run to its right and down it."""


class Panes(pg.GraphicsLayoutWidget):
    """x-y with y-z to its right and x-z below; a click or a drag of the crosshair moves the place looked at."""

    moved = Signal(tuple)
    """The place a person chose, (z, y, x) in Å."""

    box_class: ClassVar[type[pg.ViewBox]] = pg.ViewBox

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setBackground(_BACKGROUND)
        self.place_ang_zyx = (0.0, 0.0, 0.0)
        self.images: dict[str, pg.ImageItem] = {}
        self._boxes: dict[str, pg.ViewBox] = {}
        self._lines: dict[str, tuple[pg.InfiniteLine, pg.InfiniteLine]] = {}
        for pane, (row, column) in {"xy": (0, 0), "yz": (0, 1), "xz": (1, 0)}.items():
            self._make_pane(pane, row, column)
        self._boxes["yz"].setYLink(self._boxes["xy"])
        self._boxes["xz"].setXLink(self._boxes["xy"])
        self.scene().sigMouseClicked.connect(self._take_click)

    def show_image(
        self,
        pane: str,
        image: NDArray[np.float32],
        levels: tuple[float, float],
        extents_ang: tuple[tuple[float, float], ...],
    ) -> None:
        """Draw a slice where it lies.

        Parameters
        ----------
        pane
        image : float32[rows, columns]
            Along the first and the second axis it does not lie across.
        levels
            Values shown black and white; swapped, they invert.
        extents_ang
            Where the volume begins and ends along z, y and x.
        """
        right, down = (extents_ang[axis] for axis in _AXES_OF[pane])
        item = self.images[pane]
        item.setImage(image.T if pane == "yz" else image, levels=levels, autoLevels=False)
        item.setRect(QRectF(right[0], down[0], right[1] - right[0], down[1] - down[0]))

    def show_place(self, place_ang_zyx: tuple[float, float, float]) -> None:
        """Move the crosshair."""
        self.place_ang_zyx = place_ang_zyx
        for pane, lines in self._lines.items():
            for line, axis in zip(lines, _AXES_OF[pane], strict=True):
                line.blockSignals(True)
                line.setValue(place_ang_zyx[axis])
                line.blockSignals(False)

    def show_all(self, extents_ang: tuple[tuple[float, float], ...]) -> None:
        """Bring the whole volume into view, and give the panes room as it has extent."""
        depth, height, width = (high - low for low, high in extents_ang)
        grid = self.ci.layout
        for stretch, prefer, limit, lengths, place in (
            (grid.setRowStretchFactor, grid.setRowPreferredHeight, grid.setRowMaximumHeight, (height, depth), 0),
            (grid.setColumnStretchFactor, grid.setColumnPreferredWidth, grid.setColumnMaximumWidth, (width, depth), 1),
        ):
            for at, share in enumerate(self._shares(lengths, place)):
                stretch(at, share)
                prefer(at, float(share))  # what is more than that is shared out by the stretch
                limit(at, _NO_LIMIT_PX if share else 0.0)
        grid.activate()  # now, so that what follows fits
        spans = {
            pane: QRectF(right[0], down[0], right[1] - right[0], down[1] - down[0])
            for pane, (right, down) in ((pane, [extents_ang[axis] for axis in _AXES_OF[pane]]) for pane in self._boxes)
        }
        # One scale for all, as their axes are linked: that of the pane with the least room.
        shown = [(spans[pane], box.rect()) for pane, box in self._boxes.items() if box.isVisible()]
        needed = [
            max(span.width() / max(box.width(), 1.0), span.height() / max(box.height(), 1.0)) for span, box in shown
        ]
        ang_per_px = max(needed, default=1.0)
        for pane, box in self._boxes.items():
            seen = QRectF(0.0, 0.0, ang_per_px * box.rect().width(), ang_per_px * box.rect().height())
            seen.moveCenter(spans[pane].center())
            box.setRange(seen, padding=0.0)

    def _shares(self, lengths: tuple[float, float], place: int) -> tuple[int, int]:
        """Return per cent of the room for two rows (0) or columns (1) that show so much."""
        second = max(1, round(100 * lengths[1] / sum(lengths)) + _SPARE_SHARE)
        return 100 - second, second

    def _make_pane(self, pane: str, row: int, column: int) -> None:
        box = self._boxes[pane] = self.box_class(lockAspect=True, invertY=True)
        self.addItem(box, row, column)
        image = self.images[pane] = pg.ImageItem(axisOrder="row-major")
        box.addItem(image)
        pen = pg.mkPen(_CROSSHAIR, width=1)
        upright, level = (pg.InfiniteLine(angle=angle, movable=True, pen=pen) for angle in (90, 0))
        self._lines[pane] = (upright, level)
        for line, axis in zip((upright, level), _AXES_OF[pane], strict=True):
            box.addItem(line)
            line.sigPositionChanged.connect(lambda line, axis=axis: self._go_to({axis: float(line.value())}))

    def _take_click(self, event: Any) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        for pane, box in self._boxes.items():
            if box.sceneBoundingRect().contains(event.scenePos()):
                point = box.mapSceneToView(event.scenePos())
                right, down = _AXES_OF[pane]
                self._go_to({right: float(point.x()), down: float(point.y())})

    def _go_to(self, changes: Mapping[int, float]) -> None:
        place = tuple(changes.get(axis, value) for axis, value in enumerate(self.place_ang_zyx))
        self.moved.emit(place)
