"""Plots of a CTF: defocus and resolution over tilt, and the spectrum of one tilt against its fit."""

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_tomoflow.core.ctf.curves import Curve
from napari_tomoflow.gui.ctf_inspector.session import Session
from napari_tomoflow.gui.tilt_plot import BACKGROUND, FOREGROUND, KEPT, LEFT_OUT, TiltPlot, style

Floats = NDArray[np.float64]

_DOT_PX = 8
_LEAST_HEIGHT_PX = 260
_PICTURE_SHARE, _CURVES_SHARE = 2, 3
_DOUBTFUL, _BAND, _MEASURED, _FITTED = "#ff6b59", "#59e67350", "#c8ccd4", "#ffd24d"
_TICKS_ANG = (60, 30, 20, 15, 12, 10, 8, 7, 6, 5, 4, 3.5, 3)


class DefocusPlot(TiltPlot):
    """Defocus over tilt: the two defocus values as a bar, their mean as a dot; doubtful tilts red."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("defocus (µm)", parent)
        self.bars = pg.PlotDataItem(connect="pairs", pen=pg.mkPen(_BAND, width=5))
        self.dots = pg.ScatterPlotItem(size=_DOT_PX, pen=None)
        for item in (self.bars, self.dots):
            self.addItem(item)

    def show_session(self, session: Session) -> None:
        """Draw the defocus as it now is; tilts left out are grey."""
        self.set_tilts(session.tilt_deg)
        ctf, x = session.ctf, session.tilt_deg
        ends_um = 1e-4 * np.column_stack([ctf.defocus_v_ang, ctf.defocus_u_ang])
        self.bars.setData(np.repeat(x, 2), ends_um.ravel())
        self.dots.setData(x=x, y=1e-4 * ctf.defocus_ang, brush=_brushes(session))


class ResolutionPlot(TiltPlot):
    """How far the rings agree with the fit, over tilt; finer is higher."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("rings to (Å)", parent)
        self.dots = pg.ScatterPlotItem(size=_DOT_PX, pen=None)
        self.addItem(self.dots)
        self.getAxis("left").setTicks([_ticks()])

    def show_session(self, session: Session) -> None:
        """Draw the resolution as it now is; tilts without one are not drawn."""
        self.set_tilts(session.tilt_deg)
        known = np.isfinite(session.ctf.fit_ang)
        brushes = [brush for brush, one in zip(_brushes(session), known, strict=True) if one]
        self.dots.setData(x=session.tilt_deg[known], y=1.0 / session.ctf.fit_ang[known], brush=brushes)


class SpectrumPlot(pg.GraphicsLayoutWidget):
    """The spectrum of one tilt: measured (left) and fitted half as a picture, and the radial curves."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setBackground(BACKGROUND)
        box = self.addViewBox(row=0, col=0, lockAspect=True, enableMouse=False, enableMenu=False)
        self.picture = pg.ImageItem(axisOrder="row-major")
        box.addItem(self.picture)
        self.curves = self.addPlot(row=0, col=1)
        self.ci.layout.setColumnStretchFactor(0, _PICTURE_SHARE)
        self.ci.layout.setColumnStretchFactor(1, _CURVES_SHARE)
        self.setMinimumHeight(_LEAST_HEIGHT_PX)
        style(self.curves, "power over background", "resolution (Å)")
        self.curves.getAxis("bottom").setTicks([_ticks()])
        self.measured = self.curves.plot(pen=pg.mkPen(_MEASURED, width=1))
        self.fitted = self.curves.plot(pen=pg.mkPen(_FITTED, width=2))
        self.reach = pg.InfiniteLine(angle=90, pen=pg.mkPen(FOREGROUND, style=Qt.PenStyle.DashLine))
        self.curves.addItem(self.reach)

    def show_curve(self, k_inv_ang: Floats, measured: Floats, fitted: Floats, fit_ang: float) -> None:
        """Draw the radial curves, and a line where their agreement ends; only the curves are known at once."""
        self.measured.setData(k_inv_ang, measured)
        self.fitted.setData(k_inv_ang, fitted)
        self.reach.setVisible(bool(np.isfinite(fit_ang)))
        if np.isfinite(fit_ang):
            self.reach.setValue(1.0 / fit_ang)

    def show_measured(self, k_inv_ang: Floats, curve: Curve, picture: NDArray[np.float32]) -> None:
        """Draw the curves and the picture of a tilt that was measured."""
        self.show_curve(k_inv_ang, curve.measured, curve.fitted, curve.fit_ang)
        self.picture.setImage(picture, levels=(0.0, 1.0))

    def clear_all(self) -> None:
        """Show nothing."""
        self.clear_picture()
        nothing = np.zeros(0)
        self.show_curve(nothing, nothing, nothing, float("nan"))

    def clear_picture(self) -> None:
        """Take away the picture of another tilt."""
        self.picture.clear()


def _brushes(session: Session) -> list[Any]:
    doubtful = session.doubtful
    colours = [_DOUBTFUL if tilt in doubtful else KEPT for tilt in range(session.ctf.n_tilts)]
    return [pg.mkBrush(colour if kept else LEFT_OUT) for colour, kept in zip(colours, session.kept, strict=True)]


def _ticks() -> list[tuple[float, str]]:
    return [(1.0 / ang, f"{ang:g}") for ang in _TICKS_ANG]
