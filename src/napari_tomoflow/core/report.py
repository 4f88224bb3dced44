"""Progress and cancel, in one callable.

Compute pushes ``report(done, total, doing)``; whoever watches pulls from a `Gauge`. A report may
raise `Cancelled`, and that is the only way work is ever stopped.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from napari_tomoflow.core.errors import Cancelled

T = TypeVar("T")

Report = Callable[[int, int, str], None]
"""``report(done, total, doing)``; raises `Cancelled` when the person wants to stop."""

_PARTS_PER_STEP = 1000
"""Resolution of a sub-step inside its parent's scale."""


def silent(done: int, total: int, doing: str) -> None:
    """Report to nobody."""


def watched(items: Sequence[T], report: Report, doing: str) -> Iterator[T]:
    """Iterate over `items`, reporting before each one and once when all are done."""
    for done, item in enumerate(items):
        report(done, len(items), doing)
        yield item
    report(len(items), len(items), doing)


def part(report: Report, index: int, count: int) -> Report:
    """Give a sub-step its share of `report`: the `index`-th of `count` equal shares."""

    def share(done: int, total: int, doing: str) -> None:
        inner = _PARTS_PER_STEP * done // max(total, 1)
        report(_PARTS_PER_STEP * index + inner, _PARTS_PER_STEP * count, doing)

    return share


class Gauge:
    """A `Report` that another thread may read, and through which it may cancel."""

    def __init__(self) -> None:
        self._state = (0, 0, "")
        self._stop = threading.Event()

    def __call__(self, done: int, total: int, doing: str) -> None:
        """Take the state; raise `Cancelled` if somebody asked for it."""
        self._state = (done, total, doing)  # one assignment: a reader never sees half of it
        if self._stop.is_set():
            raise Cancelled(doing)

    def read(self) -> tuple[int, int, str]:
        """Return the newest ``(done, total, doing)``."""
        return self._state

    def cancel(self) -> None:
        """Ask the work to stop at its next report."""
        self._stop.set()
