"""Progress on standard error: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from napari_tomoflow.core.report import Report

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_STEPS = 2.0


@contextmanager
def progress_shown(title: str) -> Iterator[Report]:
    """Give a report that shows itself on standard error while the block runs."""
    if sys.stderr.isatty():
        with _bar(title) as report:
            yield report
    else:
        yield _Lines(title)


@contextmanager
def _bar(title: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=None)

        def report(done: int, total: int, doing: str) -> None:
            progress.update(task, completed=done, total=total, description=f"{title}: {doing}")

        yield report


class _Lines:
    """A report for logs: a line when something else is being done, but not too many."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._doing = ""
        self._said_s = -_SECONDS_BETWEEN_LINES

    def __call__(self, done: int, total: int, doing: str) -> None:
        waited_s = time.monotonic() - self._said_s
        if waited_s < (_SECONDS_BETWEEN_LINES if doing == self._doing else _SECONDS_BETWEEN_STEPS):
            return
        self._doing, self._said_s = doing, time.monotonic()
        print(f"{self._title}: {100 * done // max(total, 1):3d} % {doing}", file=sys.stderr, flush=True)
