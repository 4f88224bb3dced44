"""One way of parting particles into classes, and how well ways that began differently agree.

Legend: P particles, K classes, R repeats.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Particles parted into classes.

    Attributes
    ----------
    shares : float64[P, K]
        How probable each class is for each particle; rows add up to 1.
    merit : float
        What tells a better split from a worse one of the same kind.
    features : mapping of str to float64[P]
        What else is known of the particles, e.g. their coordinates along the components.
    record : mapping of str to number, text or list
        How it came about, in plain numbers.
    """

    shares: Floats
    merit: float
    features: Mapping[str, Floats] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def class_of(self) -> Indices:
        """Number of the likeliest class, from 0: int64[P]."""
        return np.asarray(self.shares.argmax(axis=1), np.int64)

    @property
    def counts(self) -> Indices:
        """Particles of each class: int64[K]."""
        return np.bincount(self.class_of, minlength=self.shares.shape[1])


def largest_first(split: Split, least: int) -> Split:
    """Order classes by size, and give the particles of those that have too few to the others.

    Parameters
    ----------
    split : Split
    least : int
        Particles a class has at least. Where no class has as many, the largest takes all.
    """
    shares = split.shares
    while True:
        order = np.argsort(-np.bincount(shares.argmax(axis=1), minlength=shares.shape[1]), kind="stable")
        shares = shares[:, order]
        if shares.shape[1] == 1 or np.count_nonzero(shares.argmax(axis=1) == shares.shape[1] - 1) >= least:
            return Split(shares, split.merit, split.features, split.record)
        shares = shares[:, :-1]
        total = shares.sum(axis=1, keepdims=True)
        # Who belonged nowhere else goes where most are.
        shares = np.where(total > 1e-12, shares / np.maximum(total, 1e-12), np.eye(shares.shape[1])[0])


@dataclass(frozen=True, eq=False)
class Stability:
    """How far repeats agree with the split that was chosen.

    Attributes
    ----------
    confusion : float64[K, K']
        Share of the particles of each chosen class (rows) that the repeats put into their class that fits best
        (columns); rows add up to 1.
    agreement : tuple of float
        Of each repeat: share of the particles in the same class.
    rand_index : tuple of float
        The same, freed of what chance alone makes agree (adjusted Rand index).
    """

    confusion: Floats
    agreement: tuple[float, ...]
    rand_index: tuple[float, ...]

    def record(self) -> dict[str, Any]:
        """Say it in plain numbers."""
        return {
            "confusion": np.round(self.confusion, 4).tolist(),
            "agreement": [round(one, 4) for one in self.agreement],
            "rand_index": [round(one, 4) for one in self.rand_index],
        }


def stability(chosen: Split, others: Sequence[Split]) -> Stability:
    """Compare a split with repeats that began from other random numbers."""
    from sklearn.metrics import adjusted_rand_score

    size = max([chosen.shares.shape[1], *(other.shares.shape[1] for other in others)])
    total = np.zeros((size, size))
    agreement, rand_index = [], []
    for other in others:
        counts = _matched(chosen.class_of, other.class_of, size)
        total += counts
        agreement.append(float(np.trace(counts) / max(counts.sum(), 1)))
        rand_index.append(float(adjusted_rand_score(chosen.class_of, other.class_of)))
    confusion = total[: chosen.shares.shape[1]]
    confusion = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    return Stability(confusion, tuple(agreement), tuple(rand_index))


def _matched(chosen: Indices, other: Indices, size: int) -> Indices:
    """Count pairs of classes, the other's numbered so that most particles agree: int64[size, size]."""
    from scipy.optimize import linear_sum_assignment

    counts = np.bincount(chosen * size + other, minlength=size**2).reshape(size, size)
    return np.asarray(counts[:, linear_sum_assignment(-counts)[1]])
