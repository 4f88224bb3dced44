"""One compute lane per process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from napari_tomoflow.core.report import Report

# One stage at a time: numba's workqueue layer aborts the whole process, viewer and all, when two
# Python threads enter parallel kernels together.
_LANE = threading.Lock()


@contextmanager
def compute_lane(report: Report) -> Iterator[None]:
    """Hold the lane; while it is taken, keep listening for a cancel."""
    while not _LANE.acquire(timeout=0.1):
        report(0, 1, "Waiting for the running job")
    try:
        yield
    finally:
        _LANE.release()
