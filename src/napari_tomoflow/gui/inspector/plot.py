"""The residual of every tilt over its angle; a click goes to the tilt, and the tilt in view is marked."""

from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QWidget

from napari_tomoflow.gui.inspector.session import Session

_BACKGROUND = "#262930"
_FOREGROUND = "#c8ccd4"
_KEPT, _LEFT_OUT = "#59e673", "#808080"
_DOT_PX = 8
_LEAST_HEIGHT_PX = 150
_MARK = "#ffd24d"


class ResidualPlot(pg.PlotWidget):
    """A plot of residual over tilt angle."""

    tilt_chosen = Signal(int)
    """Index in the stack of the tilt a person clicked, or dragged the mark to."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=_BACKGROUND)
        self.setMinimumHeight(_LEAST_HEIGHT_PX)
        self.setMenuEnabled(False)
        self.hideButtons()
        for side, text, units in (("left", "residual", "nm"), ("bottom", "tilt", "°")):
            axis = self.getAxis(side)
            axis.setLabel(f"{text} ({units})", color=_FOREGROUND)
            axis.enableAutoSIPrefix(False)
            axis.setPen(_FOREGROUND)
            axis.setTextPen(_FOREGROUND)
        self.setMouseEnabled(x=False, y=False)
        self._tilt_deg = np.zeros(0)
        self._tilt = 0
        self.stems = pg.PlotDataItem(connect="pairs", pen=pg.mkPen(_FOREGROUND, width=1))
        self.dots = pg.ScatterPlotItem(size=_DOT_PX, pen=None)
        self.mark = pg.InfiniteLine(angle=90, movable=True, pen=pg.mkPen(_MARK, width=2))
        for item in (self.stems, self.dots, self.mark):
            self.addItem(item)
        self.mark.sigPositionChanged.connect(self._take_mark)
        self.scene().sigMouseClicked.connect(self._take_click)

    def show_session(self, session: Session) -> None:
        """Draw the residuals as they now are; tilts left out are grey, and without one lie on the axis."""
        self._tilt_deg = session.alignment.tilt_deg
        residual_nm = np.nan_to_num(session.tilt_residuals_ang() / 10.0)
        kept = session.alignment.kept
        self.stems.setData(
            np.repeat(self._tilt_deg, 2), np.column_stack([np.zeros_like(residual_nm), residual_nm]).ravel()
        )
        brushes = [pg.mkBrush(_KEPT if one else _LEFT_OUT) for one in kept]
        self.dots.setData(x=self._tilt_deg, y=residual_nm, brush=brushes)
        top = max(float(residual_nm[kept].max(initial=0.0)), 1e-3)
        self.setYRange(0.0, 1.1 * top, padding=0)

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
