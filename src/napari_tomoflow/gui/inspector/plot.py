"""The residual of every tilt over its angle; a click goes to the tilt, and the tilt in view is marked."""

import numpy as np
import pyqtgraph as pg
from qtpy.QtWidgets import QWidget

from napari_tomoflow.gui.inspector.session import Session
from napari_tomoflow.gui.tilt_plot import FOREGROUND, KEPT, LEFT_OUT, TiltPlot

_DOT_PX = 8


class ResidualPlot(TiltPlot):
    """A plot of residual over tilt angle."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("residual (nm)", parent)
        self.stems = pg.PlotDataItem(connect="pairs", pen=pg.mkPen(FOREGROUND, width=1))
        self.dots = pg.ScatterPlotItem(size=_DOT_PX, pen=None)
        for item in (self.stems, self.dots):
            self.addItem(item)

    def show_session(self, session: Session) -> None:
        """Draw the residuals as they now are; tilts left out are grey, and without one lie on the axis."""
        tilt_deg = session.alignment.tilt_deg
        self.set_tilts(tilt_deg)
        residual_nm = np.nan_to_num(session.tilt_residuals_ang() / 10.0)
        kept = session.alignment.kept
        self.stems.setData(np.repeat(tilt_deg, 2), np.column_stack([np.zeros_like(residual_nm), residual_nm]).ravel())
        brushes = [pg.mkBrush(KEPT if one else LEFT_OUT) for one in kept]
        self.dots.setData(x=tilt_deg, y=residual_nm, brush=brushes)
        top = max(float(residual_nm[kept].max(initial=0.0)), 1e-3)
        self.setYRange(0.0, 1.1 * top, padding=0)
