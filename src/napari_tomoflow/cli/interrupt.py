"""Ctrl-C and SIGTERM as a cancel: asked for politely, then insisted on."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from napari_tomoflow.core.errors import Cancelled
from napari_tomoflow.core.report import Gauge, Report

_PATIENCE_S = 0.5
"""How long work may take to reach its next report before it is interrupted where it stands.

Stages report every 0.1 to 1 s, but compiling a kernel for the first time takes longer and cannot report."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def cancelled_by_signals(report: Report) -> Iterator[Report]:
    """Give a report that raises `Cancelled` once the process is asked to stop.

    Work that does not report in time, and work that is asked a second time, gets a KeyboardInterrupt.
    """
    gauge = Gauge()
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        gauge.cancel()
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_S)

    def insist(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def listening(done: int, total: int, doing: str) -> None:
        try:
            gauge(done, total, doing)
        except Cancelled:
            signal.setitimer(signal.ITIMER_REAL, 0)  # heard: leave the runner the time to write its record
            raise
        report(done, total, doing)

    handlers = {number: signal.signal(number, ask) for number in _SIGNALS}
    handlers[signal.SIGALRM] = signal.signal(signal.SIGALRM, insist)
    try:
        yield listening
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            signal.signal(number, handler)
