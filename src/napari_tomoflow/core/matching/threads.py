"""Many small tasks on several threads, with progress and cancel."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from numba import get_num_threads

from napari_tomoflow.core.report import Report

_SECONDS_BETWEEN_REPORTS = 0.2
_TASKS_AHEAD = 4


def each_in_threads(
    task: Callable[[int, threading.Event], None], count: int, report: Report, doing: str, threads: int | None = None
) -> None:
    """Call ``task(index, stop)`` for every index below `count`, on several threads.

    Parameters
    ----------
    task
        Releases the GIL most of the time. One that takes long looks at `stop` and returns when it is set.
    count : int
    report
        Called from this thread, a few times a second; what it raises stops the tasks and goes on to the caller, as
        does what a task raises.
    doing : str
    threads : int, optional
        As many as numba uses by default.
    """
    stop = threading.Event()
    width = threads or get_num_threads()
    report(0, max(count, 1), doing)
    with ThreadPoolExecutor(width) as pool:
        try:
            waiting: set[Future[None]] = set()
            submitted, done = 0, 0
            while done < count:
                while submitted < count and len(waiting) < width * _TASKS_AHEAD:
                    waiting.add(pool.submit(task, submitted, stop))
                    submitted += 1
                finished, waiting = wait(waiting, _SECONDS_BETWEEN_REPORTS, "FIRST_COMPLETED")
                for future in finished:
                    future.result()
                done += len(finished)
                report(done, count, doing)
        except BaseException:
            stop.set()
            for future in waiting:
                future.cancel()
            raise
    report(max(count, 1), max(count, 1), doing)
