"""What the runner offers a stage beside its inputs: a pool for its batches, a place for its steps."""

import multiprocessing
import shutil
import zipfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.stage import MapBatches, in_order
from napari_tomoflow.io.files import written_aside
from napari_tomoflow.project.processes import set_up_process, threads_each

B = TypeVar("B")
R = TypeVar("R")


class FolderSteps:
    """`Steps` in files of a folder, one for each name.

    Parameters
    ----------
    folder : pathlib.Path
        Made when the first step is saved.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        """Return what was saved; None when there is nothing, or nothing whole."""
        try:
            with self._file(name).open("rb") as file, np.load(file, allow_pickle=False) as kept:
                return {key: kept[key] for key in kept.files}
        except (FileNotFoundError, zipfile.BadZipFile, EOFError, ValueError):
            return None

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep arrays, whole or not at all."""
        self._folder.mkdir(exist_ok=True)
        with written_aside(self._file(name)) as aside, aside.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    def clear(self) -> None:
        """Forget everything."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.npz"


@contextmanager
def batch_pool(workers: int) -> Iterator[MapBatches]:
    """Offer `MapBatches` over some processes; with one worker batches are worked on here.

    Results come in the order of the batches, and no more batches are under way than keep every worker busy,
    so that neither memory nor result depends on how many there are.
    """
    if workers <= 1:
        yield in_order
        return
    # Spawn: a fork of a process with threads (a viewer, numba) may never come back.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, set_up_process, (threads_each(workers),))

    def map_batches(function: Callable[[B], R], batches: Sequence[B], /) -> Iterator[R]:
        waiting: deque[Future[R]] = deque()
        for batch in batches:
            waiting.append(pool.submit(function, batch))
            if len(waiting) > workers:
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())

    try:
        yield map_batches
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _result(future: "Future[R]") -> R:
    try:
        return future.result()
    except BrokenProcessPool as died:
        raise DataError("A worker process died, perhaps for want of memory; run again with fewer workers.") from died
