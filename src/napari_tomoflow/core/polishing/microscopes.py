"""What all particles of all series taken with one microscope say of it, in parts of which each can be left out."""

from collections.abc import Callable, Sequence
from typing import Protocol, Self, TypeVar

import numpy as np

from napari_tomoflow.core.averaging.images import Indices
from napari_tomoflow.core.averaging.series_images import DatasetImages
from napari_tomoflow.core.model import Optics
from napari_tomoflow.core.polishing.folds import in_folds
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import MapBatches, in_order


class _Joinable(Protocol):
    """What can be pooled over particles, and put together from several series."""

    def __add__(self, other: Self) -> Self:
        """Pool particles."""

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Put series side by side."""


S = TypeVar("S", bound=_Joinable)


def by_microscope(
    source: DatasetImages,
    sums: type[S],
    work: Callable[[str], Callable[[Indices], S]],
    n_folds: int,
    report: Report = silent,
    map_batches: MapBatches = in_order,
) -> list[tuple[list[str], list[S]]]:
    """Sum up what particles say of each microscope; series of equal optics were taken with the same.

    Parameters
    ----------
    source : DatasetImages
    sums : type
        What is summed.
    work : callable
        Of the name of a series: sums over some of its particles, as in `folds.in_folds`.
    n_folds : int
        Parts of the particles, each of which can be left out.
    report, map_batches
        See `core.report` and `core.stage`.

    Returns
    -------
    list of (list of str, list)
        Series taken with a microscope, and sums over their particles in folds; none where no series has enough.
    """
    particles, ctfs = source.particles, source.dataset.ctfs
    names = [name for name in dict.fromkeys(particles.tomogram.tolist()) if name in ctfs]
    folds = {}
    for number, name in enumerate(names):
        mine = np.flatnonzero(particles.tomogram == name)
        inner = part(report, number, len(names))
        folds[name] = in_folds(work(name), particles, mine, n_folds, inner, map_batches)
    groups: dict[Optics, list[str]] = {}
    for name in names:
        groups.setdefault(ctfs[name].optics, []).append(name)
    told = []
    for group in groups.values():
        # A series of fewer particles than folds says little: it follows the others.
        telling = [folds[name] for name in group if len(folds[name]) == n_folds]
        told.append((group, [sums.joined(one) for one in zip(*telling, strict=True)]))
    return told
