import os
import signal
import time

import pytest

from napari_tomoflow.cli.interrupt import cancelled_by_signals
from napari_tomoflow.core.errors import Cancelled
from napari_tomoflow.core.report import silent


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_at_the_next_report(number):
    with cancelled_by_signals(silent) as report:
        report(0, 2, "working")
        os.kill(os.getpid(), number)
        with pytest.raises(Cancelled):
            report(1, 2, "working")


def work_in_silence(n_signals):
    """Take five seconds over something that never reports."""
    with cancelled_by_signals(silent):
        for _ in range(n_signals):
            os.kill(os.getpid(), signal.SIGINT)
        end_s = time.monotonic() + 5
        while time.monotonic() < end_s:
            sum(range(1000))


def test_work_that_does_not_report_is_interrupted_within_a_second():
    begun_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        work_in_silence(n_signals=1)
    assert 0.3 < time.monotonic() - begun_s < 1


def test_cleaning_up_after_a_cancel_is_not_interrupted():
    with cancelled_by_signals(silent) as report:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Cancelled):
            report(0, 1, "working")
        time.sleep(0.7)


def test_who_asks_twice_is_not_kept_waiting():
    begun_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        work_in_silence(n_signals=2)
    assert time.monotonic() - begun_s < 0.3


def test_signals_are_handled_as_before_afterwards():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with cancelled_by_signals(silent):
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
