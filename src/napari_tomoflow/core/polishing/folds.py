"""Sums over particles of a series, in parts of which each can be left out."""

from collections.abc import Callable
from typing import Protocol, Self, TypeVar

from napari_tomoflow.core.averaging.aligning import halves_apart
from napari_tomoflow.core.averaging.images import Indices, batches
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import MapBatches, in_order

BATCH = 16
"""Particles worked on together."""


class _Addable(Protocol):
    """What can be pooled."""

    def __add__(self, other: Self) -> Self:
        """Pool particles."""


S = TypeVar("S", bound=_Addable)


def in_folds(
    work: Callable[[Indices], S],
    particles: ParticleSet,
    mine: Indices,
    n_folds: int,
    report: Report = silent,
    map_batches: MapBatches = in_order,
) -> tuple[S, ...]:
    """Sum up what some particles of a series say, every n-th of them in one fold.

    Parameters
    ----------
    work : callable
        Of particles of one half, given by number; fit to be sent to another process.
    particles : ParticleSet
    mine : int64[...]
        Numbers of those of the series.
    n_folds : int
    report, map_batches
        See `core.report` and `core.stage`.
    """
    jobs = [(fold, job) for fold in range(n_folds) for job in _jobs(particles, mine[fold::n_folds])]
    sums: list[S | None] = [None] * n_folds
    report(0, len(jobs), "Comparing fringes")
    for done, found in enumerate(map_batches(work, [job for _, job in jobs])):
        fold, before = jobs[done][0], sums[jobs[done][0]]
        sums[fold] = found if before is None else before + found
        report(done + 1, len(jobs), "Comparing fringes")
    return tuple(one for one in sums if one is not None)


def _jobs(particles: ParticleSet, mine: Indices) -> list[Indices]:
    return halves_apart([mine[one] for one in batches(particles[mine], 2 * BATCH)], particles.half)
