"""Something of every tilt over its angle; a click goes to the tilt, and the tilt in view is marked."""

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QWidget

BACKGROUND = "#262930"
FOREGROUND = "#c8ccd4"
KEPT, LEFT_OUT = "#59e673", "#808080"
_LEAST_HEIGHT_PX = 150
_MARK = "#ffd24d"


def style(plot: pg.PlotWidget, left: str, bottom: str) -> None:
    """Make a plot look like the others: its axes named, nothing to drag or to open by accident."""
    plot.setMinimumHeight(_LEAST_HEIGHT_PX)
    plot.setMenuEnabled(False)
    plot.hideButtons()
    plot.setMouseEnabled(x=False, y=False)
    for side, text in (("left", left), ("bottom", bottom)):
        axis = plot.getAxis(side)
        axis.setLabel(text, color=FOREGROUND)
        axis.enableAutoSIPrefix(False)
        axis.setPen(FOREGROUND)
        axis.setTextPen(FOREGROUND)


class TiltPlot(pg.PlotWidget):
    """A plot over the tilt angle.

    Parameters
    ----------
    label : str
        Of the vertical axis, with its unit.
    """

    tilt_chosen = Signal(int)
    """Index in the stack of the tilt a person clicked, or dragged the mark to."""

    def __init__(self, label: str, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=BACKGROUND)
        style(self, label, "tilt (°)")
        self._tilt_deg = np.zeros(0)
        self._tilt = 0
        self.mark = pg.InfiniteLine(angle=90, movable=True, pen=pg.mkPen(_MARK, width=2))
        self.addItem(self.mark)
        self.mark.sigPositionChanged.connect(self._take_mark)
        self.scene().sigMouseClicked.connect(self._take_click)

    def set_tilts(self, tilt_deg: NDArray[np.float64]) -> None:
        """Take the angles of the tilts."""
        self._tilt_deg = tilt_deg

    def show_tilt(self, tilt: int) -> None:
        """Mark the tilt in view."""
        self._tilt = tilt
        self.mark.blockSignals(True)
        self.mark.setValue(float(self._tilt_deg[tilt]))
        self.mark.blockSignals(False)

    def nearest(self, angle_deg: float) -> int:
        """Return the tilt nearest to an angle."""
        return int(np.argmin(np.abs(self._tilt_deg - angle_deg)))

    def _take_mark(self) -> None:
        tilt = self.nearest(float(self.mark.value()))
        if tilt != self._tilt:
            self._tilt = tilt
            self.tilt_chosen.emit(tilt)

    def _take_click(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton and len(self._tilt_deg):
            place = self.getPlotItem().vb.mapSceneToView(event.scenePos())
            self.tilt_chosen.emit(self.nearest(float(place.x())))
