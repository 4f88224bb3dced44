"""Plots of an average: agreement of its halves, its iterations, its directions, its scores."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QWidget

from napari_tomoflow.gui.tilt_plot import BACKGROUND, FOREGROUND, KEPT, LEFT_OUT, style

_CURVES = {"unmasked": "#7fa8d8", "masked": "#e0a35c", "randomised": "#ff6b59", "corrected": "#ffffff"}
_THRESHOLDS = (0.143, 0.5)
_TICKS_ANG = (100, 60, 40, 30, 25, 20, 17, 15, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3)
_MARK, _OLDER = "#ffd24d", "#59e673"
_BINS = 40
_DOT_PX = 8


class FscPlot(pg.PlotWidget):
    """The FSC of the halves over the resolution, with its thresholds; that of an iteration in green."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=BACKGROUND)
        style(self, "FSC", "resolution (Å)")
        self.setYRange(-0.1, 1.02)
        self.getAxis("bottom").setTicks([[(1.0 / ang, f"{ang:g}") for ang in _TICKS_ANG]])
        legend = self.addLegend(offset=(-10, 5), labelTextColor=FOREGROUND)
        for threshold in _THRESHOLDS:
            self.addItem(pg.InfiniteLine(threshold, angle=0, pen=pg.mkPen(FOREGROUND, style=Qt.PenStyle.DotLine)))
        widths = {name: 2 if name == "corrected" else 1 for name in _CURVES}
        self.curves = {name: self.plot(pen=pg.mkPen(of, width=widths[name])) for name, of in _CURVES.items()}
        self.iteration = self.plot(pen=pg.mkPen(_OLDER, width=2, style=Qt.PenStyle.DashLine))
        self.reach = pg.InfiniteLine(angle=90, pen=pg.mkPen(_MARK, style=Qt.PenStyle.DashLine))
        self.addItem(self.reach)
        for name, curve in self.curves.items():
            legend.addItem(curve, name)

    def show_quality(self, quality: Mapping[str, Any]) -> None:
        """Draw what the stage has left; nothing where it left nothing."""
        fsc = quality.get("fsc", {})
        k = np.array(fsc.get("frequency_inv_ang", []), np.float64)
        for name, curve in self.curves.items():
            values = np.array(fsc.get(name, []), np.float64)
            curve.setData(k[: len(values)], values)
        self.iteration.setData([], [])
        found = quality.get("resolution_ang")
        self.reach.setVisible(found is not None)
        if found is not None:
            self.reach.setValue(1.0 / found)
        if len(k):
            self.setXRange(0.0, float(k[-1]), padding=0.0)

    def show_iteration(self, one: Mapping[str, Any], width_ang: float) -> None:
        """Draw the FSC of an iteration, whose shells are steps of one over the width of the box."""
        values = np.array(one.get("fsc", []), np.float64)
        self.iteration.setData(np.arange(len(values)) / width_ang, values)


class ConvergencePlot(pg.PlotWidget):
    """The resolution of every iteration; a click chooses one."""

    chosen = Signal(int)
    """Index of an iteration that a person clicked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=BACKGROUND)
        style(self, "resolution (Å)", "iteration")
        self.getAxis("bottom").setTickSpacing(levels=[(1.0, 0.0)])
        self.line = self.plot(
            pen=pg.mkPen(FOREGROUND), symbol="o", symbolSize=_DOT_PX, symbolBrush=KEPT, connect="finite"
        )
        self.mark = pg.InfiniteLine(angle=90, pen=pg.mkPen(_MARK, width=2))
        self.addItem(self.mark)
        self.mark.hide()
        self._count = 0
        self.scene().sigMouseClicked.connect(self._take_click)

    def show_quality(self, quality: Mapping[str, Any]) -> None:
        """Draw the iterations; those without a resolution leave a gap."""
        history = quality.get("iterations", [])
        found = [np.nan if one["resolution_ang"] is None else one["resolution_ang"] for one in history]
        self._count = len(found)
        self.line.setData(np.arange(1, len(found) + 1), np.array(found, np.float64))
        self.mark.hide()

    def _take_click(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._count:
            place = self.getPlotItem().vb.mapSceneToView(event.scenePos())
            self.choose(int(np.clip(round(place.x()), 1, self._count)) - 1)

    def choose(self, index: int) -> None:
        """Mark an iteration and tell of it."""
        self.mark.setValue(index + 1)
        self.mark.show()
        self.chosen.emit(index)


class DirectionsPlot(pg.PlotWidget):
    """From where the untilted beam sees the particles, in cells of equal area: brighter where there are more."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=BACKGROUND)
        style(self, "cos of the polar angle", "azimuth (°)")
        self.picture = pg.ImageItem(axisOrder="row-major")
        self.picture.setColorMap(pg.colormap.get("viridis"))
        self.addItem(self.picture)
        self.setRange(xRange=(0.0, 360.0), yRange=(-1.0, 1.0), padding=0.02)

    def show_quality(self, quality: Mapping[str, Any]) -> None:
        """Draw the counts of particles."""
        counts = np.array(quality.get("directions", []), np.float64)
        if counts.ndim == 2:
            self.picture.setImage(counts, levels=(0.0, max(1.0, float(counts.max()))))
            self.picture.setRect(0.0, -1.0, 360.0, 2.0)
        else:
            self.picture.clear()


class ScorePlot(pg.PlotWidget):
    """How many particles have which score, and a line to drag: those left of it are left out."""

    moved = Signal(float)
    """Where the line is now."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=BACKGROUND)
        style(self, "particles", "score (correlation with the average)")
        self.bars = {
            colour: pg.BarGraphItem(x=[0], height=[0], width=0, brush=colour, pen=None) for colour in (KEPT, LEFT_OUT)
        }
        for bars in self.bars.values():
            self.addItem(bars)
        self.line = pg.InfiniteLine(angle=90, movable=True, pen=pg.mkPen(_MARK, width=2))
        self.addItem(self.line)
        self.line.sigPositionChanged.connect(self._take_line)
        self._scores = np.zeros(0)

    def show_scores(self, scores: NDArray[np.float64]) -> None:
        """Draw the histogram; the line goes before its beginning."""
        self._scores = scores[np.isfinite(scores)]
        self.line.setVisible(len(self._scores) > 0)
        if len(self._scores):
            low, high = float(self._scores.min()), float(self._scores.max())
            self.line.setBounds((low - 1e-6 - 0.05 * (high - low), high))
            self.line.setValue(low - 1e-6)
        self._draw()

    def _take_line(self) -> None:
        self._draw()
        self.moved.emit(float(self.line.value()))

    def _draw(self) -> None:
        if not len(self._scores):
            for bars in self.bars.values():
                bars.setOpts(x=[0], height=[0], width=0)
            return
        edges = np.histogram_bin_edges(self._scores, _BINS)
        middles, width = (edges[1:] + edges[:-1]) / 2, float(edges[1] - edges[0])
        kept = self._scores >= self.line.value()
        for colour, own in ((KEPT, kept), (LEFT_OUT, ~kept)):
            counts = np.histogram(self._scores[own], edges)[0]
            below = np.histogram(self._scores[kept], edges)[0] if colour == LEFT_OUT else np.zeros_like(counts)
            self.bars[colour].setOpts(x=middles, y0=below, height=counts, width=width)
