"""What every process that works for another needs: its share of the cores, and an end in time."""

import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import wait as wait_for
from typing import Any

_POLL_S = 0.1
GRACE_S = 0.5
"""How long a worker may take to reach its next report after a cancel."""


def threads_each(workers: int) -> int:
    """Share the cores among workers."""
    return max((os.cpu_count() or 1) // workers, 1)


def set_up_process(threads: int, stop: Any = None) -> None:
    """Prepare a worker process: its share of the cores, and its end together with its parent or a cancel.

    Parameters
    ----------
    threads : int
    stop : shared number, optional
        Becomes 1 when everything shall end.
    """
    os.environ["NUMBA_NUM_THREADS"] = str(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_in_time, args=(stop,), daemon=True).start()


def _end_in_time(stop: Any) -> None:
    """End this process when its parent is gone, and soon after a cancel."""
    parent = multiprocessing.parent_process()
    while parent is not None and not (stop is not None and stop.value):
        if wait_for([parent.sentinel], timeout=_POLL_S):
            os._exit(1)
    time.sleep(GRACE_S)
    os._exit(1)
