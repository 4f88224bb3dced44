"""How the scores of picks are spread, with a line that hides those below it."""

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

_BACKGROUND, _FOREGROUND = "#262930", "#c8ccd4"
_MARK = "#ffd24d"
_HEIGHT_PX = 150
_N_BINS = 60


class ScorePlot(pg.PlotWidget):
    """A histogram of scores and a threshold that can be dragged."""

    threshold_moved = Signal(float)
    """The score below which picks are to be hidden."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=_BACKGROUND)
        self.setFixedHeight(_HEIGHT_PX)
        self.setMenuEnabled(False)
        self.hideButtons()
        self.setMouseEnabled(x=False, y=False)
        for side, text in (("left", "picks (number)"), ("bottom", "score (no unit)")):
            axis = self.getAxis(side)
            axis.setLabel(text, color=_FOREGROUND)
            axis.enableAutoSIPrefix(False)
            axis.setPen(_FOREGROUND)
            axis.setTextPen(_FOREGROUND)
        self.bars = pg.PlotCurveItem([0.0, 1.0], [0.0], stepMode="center", fillLevel=0, brush="#4dc3ff", pen=None)
        self.line = pg.InfiniteLine(angle=90, movable=True, pen=pg.mkPen(_MARK, width=2))
        self._scores: NDArray[np.float64] | None = None
        for item in (self.bars, self.line):
            self.addItem(item)
        self.line.sigPositionChanged.connect(lambda line: self.threshold_moved.emit(float(line.value())))

    def show_scores(self, scores: NDArray[np.float64], threshold: float) -> None:
        """Draw the spread of scores; where there are none the plot is hidden."""
        scores = scores[np.isfinite(scores)]
        self.setVisible(len(scores) > 0)
        if self._scores is None or not np.array_equal(scores, self._scores):
            self._scores = scores
            counts, edges = np.histogram(scores, _N_BINS) if len(scores) else (np.zeros(1), np.array([0.0, 1.0]))
            self.bars.setData(edges, counts, stepMode="center")
            self.setXRange(float(edges[0]), float(edges[-1]), padding=0.02)
            self.setYRange(0.0, max(1.0, 1.05 * float(counts.max())), padding=0)
        lowest = float(scores.min()) if len(scores) else 0.0
        self.line.blockSignals(True)
        self.line.setValue(max(threshold, lowest))
        self.line.blockSignals(False)
