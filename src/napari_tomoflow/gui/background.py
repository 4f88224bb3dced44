"""Work that a widget has done for it in a thread, with its progress and its Cancel button."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari.qt.threading import create_worker
from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QWidget

from napari_tomoflow.core.errors import Cancelled, TomoflowError
from napari_tomoflow.core.report import Gauge, Report
from napari_tomoflow.project import compute_lane

_POLL_MS = 50
_BAR_STEPS = 1000

Work = Callable[[Report], Any]


@dataclass(frozen=True)
class _Outcome:
    """How work ended that was not stopped by a bug."""

    result: Any = None
    problem: str = ""
    is_cancelled: bool = False


class Background(QWidget):
    """A line with progress and *Cancel*; it is there while something is worked on, one thing at a time."""

    ended = Signal()
    """Nothing is worked on any more: it is done, failed or was cancelled."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.problem = ""
        self._gauge = Gauge()
        self._worker: Any = None
        self.text = QLabel()
        self.bar = QProgressBar()
        self.bar.setRange(0, _BAR_STEPS)
        self.bar.setTextVisible(False)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.clicked.connect(lambda checked=False: self.cancel())
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        for widget, stretch in ((self.text, 2), (self.bar, 1), (self.cancel_button, 0)):
            line.addWidget(widget, stretch)
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._poll)
        self._show_busy(False)

    @property
    def is_busy(self) -> bool:
        """Whether something is being worked on."""
        return self._worker is not None

    def start(self, work: Work, take: Callable[[Any], None]) -> bool:
        """Do ``work(report)`` in a thread and give its result to `take` in this one.

        Returns
        -------
        bool
            False where something else is being worked on, and nothing was begun.
        """
        if self.is_busy:
            return False
        self.problem = ""
        gauge = self._gauge = Gauge()
        worker: Any = create_worker(_do, work, gauge, lambda: worker.abort_requested, _start_thread=False)

        def end(outcome: _Outcome) -> None:
            self._end()
            self.problem = outcome.problem
            if self.problem:
                show_error(self.problem)
            elif not outcome.is_cancelled:
                take(outcome.result)
            self.ended.emit()

        def fail(error: Exception) -> None:
            self._end()
            self.problem = f"{type(error).__name__}: {error}"
            self.ended.emit()

        worker.returned.connect(end)
        worker.errored.connect(fail)
        self._worker = worker
        self._show_busy(True)
        worker.start()
        return True

    def cancel(self) -> None:
        """Ask the work to stop; what it would have given is dropped."""
        self._gauge.cancel()

    def _end(self) -> None:
        self._worker = None
        self._show_busy(False)

    def _show_busy(self, is_busy: bool) -> None:
        # Kept in the layout when hidden, so that what is below does not jump.
        policy = self.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.setSizePolicy(policy)
        self.setVisible(is_busy)
        if is_busy:
            self._poll()
            self._timer.start()
        else:
            self._timer.stop()

    def _poll(self) -> None:
        done, total, doing = self._gauge.read()
        self.bar.setValue(_BAR_STEPS * done // max(total, 1))
        self.text.setText(doing or "Starting")


def _do(work: Work, gauge: Gauge, is_aborted: Callable[[], bool]) -> _Outcome:
    """Do the work in the worker's thread; only bugs leave as exceptions."""

    def report(done: int, total: int, doing: str) -> None:
        if is_aborted():
            gauge.cancel()  # napari, about to close, waits for its workers
        gauge(done, total, doing)

    try:
        with compute_lane(report):
            return _Outcome(work(report))
    except TomoflowError as error:
        return _Outcome(problem=str(error))
    except Cancelled:
        return _Outcome(is_cancelled=True)
