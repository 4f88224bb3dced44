"""Which process works on which item. The only place that knows; another executor would go here."""

import multiprocessing
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Any

from napari_tomoflow.core.errors import Cancelled
from napari_tomoflow.core.report import Report, part
from napari_tomoflow.project.items import Outcome, Task
from napari_tomoflow.project.lane import compute_lane
from napari_tomoflow.project.processes import GRACE_S, set_up_process, threads_each

_POLL_S = 0.1
_STEPS = 1000
"""Resolution of one item's progress."""
_NOT_BEGUN = -1.0

Endings = Generator[tuple[str, Outcome], None, None]

Work = Callable[[Task, Report], Outcome]

Begun = Callable[[str], None]
"""Called with the name of an item when work on it begins."""


def outcomes(work: Work, tasks: Sequence[Task], workers: int, begun: Begun, report: Report) -> Endings:
    """Work on items and yield (name, outcome) as each ends.

    Parameters
    ----------
    work
        Done with each task; a function of a module, so that other processes find it.
    tasks
        The items.
    workers
        How many to work on at a time; 1 stays in this process.
    begun, report
        Told what is going on, in this thread.
    """
    if min(workers, len(tasks)) <= 1:
        return _here(work, tasks, begun, report)
    return _in_processes(work, tasks, min(workers, len(tasks)), begun, report)


def _here(work: Work, tasks: Sequence[Task], begun: Begun, report: Report) -> Endings:
    with compute_lane(report):
        for index, task in enumerate(tasks):
            begun(task.name)
            yield task.name, work(task, part(_named(report, task.name), index, len(tasks)))


def _named(report: Report, name: str) -> Report:
    def named(done: int, total: int, doing: str) -> None:
        report(done, total, f"{name}: {doing}")

    return named


def _in_processes(work: Work, tasks: Sequence[Task], workers: int, begun: Begun, report: Report) -> Endings:
    # Spawn: a fork of a process with threads (a viewer, numba) may never come back.
    context = multiprocessing.get_context("spawn")
    stop = context.Value("b", 0, lock=False)
    progress = context.Array("d", [_NOT_BEGUN] * len(tasks), lock=False)
    pool = ProcessPoolExecutor(workers, context, _set_up_worker, (stop, progress, threads_each(workers)))
    futures: dict[Future[Outcome], int] = {}
    try:
        for index, task in enumerate(tasks):
            futures[pool.submit(_work_in_worker, work, index, task)] = index
        waiting = set(range(len(tasks)))
        while futures:
            ended, _ = wait(futures, timeout=_POLL_S, return_when=FIRST_COMPLETED)
            for index in sorted(i for i in waiting if progress[i] != _NOT_BEGUN):
                waiting.remove(index)
                begun(tasks[index].name)
            running = [tasks[index].name for index in sorted(set(futures.values()) - waiting)]
            done = sum(int(_STEPS * max(share, 0.0)) for share in progress)
            report(done, _STEPS * len(tasks), ", ".join(running) or "Starting workers")
            for future in ended:
                yield tasks[futures.pop(future)].name, _outcome_of(future)
    finally:
        stop.value = 1
        # Whoever has not begun finds `stop` set and never will; whoever does not hear it ends itself.
        wait([future for future, index in futures.items() if progress[index] != _NOT_BEGUN], timeout=2 * GRACE_S)
        pool.shutdown(wait=False, cancel_futures=True)


def _outcome_of(future: "Future[Outcome]") -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        return Outcome(0.0, 0, error="A worker process died, perhaps for want of memory; run again with fewer workers.")


# What a worker process is given once, when it starts: `stop` and `progress`, in shared memory. An Event
# instead of the plain number would hang its setter for ever once a waiting worker was killed.
_shared: dict[str, Any] = {}


def _set_up_worker(stop: Any, progress: Any, threads: int) -> None:
    """Prepare a worker process."""
    _shared.update(stop=stop, progress=progress)
    set_up_process(threads, stop)


def _work_in_worker(work: Work, index: int, task: Task) -> Outcome:
    stop, progress = _shared["stop"], _shared["progress"]

    def report(done: int, total: int, doing: str) -> None:
        if stop.value:
            raise Cancelled(doing)
        progress[index] = done / max(total, 1)

    report(0, 1, "Starting")
    outcome = work(task, report)
    progress[index] = 1.0
    if outcome.bug is not None:
        # Not every exception can be sent between processes; its traceback can.
        return replace(outcome, bug=RuntimeError(f"{outcome.error} (in a worker process)\n{outcome.trace}"))
    return outcome
