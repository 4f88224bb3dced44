"""Measure the wall time and memory of polishing or classifying many particles as a project does, on some processes.

    PYTHONPATH=tests python tests/benchmarks/bench_polish_whole.py [particles [workers [what]]]

`what` is regularised (the default), subtilt, pca, multi-reference or likelihood. A particle is seen in 41 tilts, in
boxes of 64 px. The clock tells of other work on the machine, too: CPU seconds are said beside it. Memory is the most
that the process and its workers hold together, images of the series included. A few particles go first, so that kernels
are compiled.
"""

import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil

from napari_tomoflow.core.model import Dataset
from napari_tomoflow.core.stage import in_order
from napari_tomoflow.core.stages.classify import ClassifyParams, classify
from napari_tomoflow.core.stages.polish import PolishParams, polish
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.io.stacks import open_stack
from napari_tomoflow.project.services import batch_pool
from truth.deformed_scene import SPECIES, SceneParams, make_scene

PARTICLES, WORKERS, SERIES = 3000, 2, 4
POLISHED, CLASSIFIED = ("regularised", "subtilt"), ("pca", "multi-reference", "likelihood")
ALLOWED_MIN = {"regularised": 3.0, "subtilt": 60.0}
"""Minutes on two cores for 3000 particles."""

ALLOWED_GB = 6.0
_BETWEEN_LOOKS_S = 0.2


@dataclass
class Used:
    """What some work took: seconds, of the clock and of CPU in all processes, and the most memory at a time in GB."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    memory_gb: float = 0.0

    def look(self, processes):
        """Take note of what processes hold now."""
        held, cpu_s = 0, 0.0
        for one in processes:
            try:
                held += one.memory_info().rss
                cpu_s += sum(one.cpu_times()[:2])
            except psutil.NoSuchProcess:
                continue
        self.memory_gb = max(self.memory_gb, held / 1e9)
        self.cpu_s = max(self.cpu_s, cpu_s)


@contextmanager
def watched():
    """Yield what the work within takes, by looking at it from a thread."""
    used, me, over = Used(), psutil.Process(), threading.Event()
    begun_cpu_s, start = sum(me.cpu_times()[:2]), time.perf_counter()

    def watch():
        while not over.wait(_BETWEEN_LOOKS_S):
            used.look([me, *me.children(recursive=True)])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield used
        used.look([me, *me.children(recursive=True)])
    finally:
        over.set()
        thread.join()
    used.wall_s = time.perf_counter() - start
    used.cpu_s -= begun_cpu_s


def work(what, ensemble, map_batches):
    """Polish or classify an ensemble."""
    if what in POLISHED:
        return polish(ensemble, params=PolishParams(mode=what), map_batches=map_batches)
    parts = {name: getattr(ensemble, name) for name in ("particles", "series", "alignments", "ctfs")}
    return classify(
        Dataset(**parts), ensemble.maps[SPECIES], params=ClassifyParams(method=what), map_batches=map_batches
    )


def on_disk(ensemble, folder):
    """Return an ensemble whose images lie in files, as those of a project do: processes are handed their paths."""
    series = {}
    for name, one in ensemble.series.items():
        path = folder / f"{name}.mrc"
        write_mrc(path, np.asarray(one.images), one.pixel_ang, stack=True)
        series[name] = one.replace(images=open_stack(path))
    return ensemble.replace(series=series)


def measure(what, count, workers, **scene):
    """Return what some work on so many particles takes."""
    params = {"pixel_ang": 6.0, "n_series": SERIES, **scene}
    few = make_scene(SceneParams(**{**params, "count": 24, "n_series": 1}))
    work(what, few.ensemble, in_order)
    made = make_scene(SceneParams(**{**params, "count": count})).ensemble
    with TemporaryDirectory() as folder, batch_pool(workers) as map_batches:
        stored = on_disk(made, Path(folder))
        with watched() as used:
            work(what, stored, map_batches)
    return used


def describe(what, count, workers, used):
    """Put the figures into words."""
    share = PARTICLES / count
    allowed = f", {ALLOWED_MIN[what]:g} min allowed" if what in ALLOWED_MIN else ""
    return (
        f"{what}, {count} particles, {workers} processes: {used.wall_s:.0f} s by the clock, {used.cpu_s:.0f} CPU-s, "
        f"{1e3 * used.cpu_s / count:.0f} CPU-ms a particle, {used.memory_gb:.1f} GB ({ALLOWED_GB:g} allowed); "
        f"{PARTICLES} by proportion {share * used.wall_s / 60:.1f} min{allowed}"
    )


def main(count=PARTICLES, workers=WORKERS, what="regularised"):
    """Print what some work takes."""
    count, workers = int(count), int(workers)
    sys.stdout.write(describe(what, count, workers, measure(what, count, workers)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
