"""Very many rotations for the price of few: stencils as sums of components.

The stencils t_r of all rotations of one template lie nearly in a space of few dimensions. With orthonormal components
c_k that span most of it and b_k the correlation of the volume with c_k::

    t_r ≈ Σ_k a_rk c_k,   Σ_y t_r(y) v(x + y) ≈ Σ_k a_rk b_k(x)

A transform for each component and one product of matrices stand for a transform for each rotation: 4 ns for a voxel
and rotation in place of 9. Each sum is brought to the norm of its stencil, so it is a correlation coefficient too, of a
template that has lost some detail. And the product may be taken at some voxels only: the eighth of the rotations that
is twice as far apart is tried at all of them, the others where its best is high.

Legend: K components, R rotations, V voxels.
"""

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from napari_tomoflow.core.kernels.matching import raise_maxima
from napari_tomoflow.core.matching.correlation import BestMatch, LocalCorrelation, Stencil
from napari_tomoflow.core.matching.threads import each_in_threads
from napari_tomoflow.core.report import Report, part

Floats = NDArray[np.float64]
Image = NDArray[np.float32]
Marks = NDArray[np.bool_]

_POWER_KEPT = 0.88
"""Of the stencils the components are made from; of others a twentieth less, and a score falls by a tenth."""

_MOST_COMPONENTS = 256
_SAMPLE = 1200
"""Stencils the components are made from: four times as many as there are components."""

_SAMPLED_VOXELS = 1e8
"""Of all these together: where a particle is very many voxels wide, there are fewer of them."""

_STENCILS_AT_A_TIME = 64

_SHARE_TRIED = 0.08
"""Of a block's voxels, the best after the first round. Of the 30S subunits of a simulated tomogram at 100 e/Å² nine in
ten are among the best 0.4 %, and all among 4.2 %."""

_VOXELS_AT_A_TIME = 1024
_ROTATIONS_AT_A_TIME = 512
"""Their products are two megabytes, which stay in the cache while the largest are looked for."""


class Components:
    """The principal components of the stencils of a template.

    Parameters
    ----------
    stencil
        Makes float32[n, n, n] from a rotation; called from several threads.
    rotations : float64[R, 3, 3]
        Evenly spread.
    power_kept : float
        Share of the stencils' power that the components span.

    Attributes
    ----------
    boxes : float32[K, n, n, n]
        Orthonormal.
    """

    def __init__(self, stencil: Stencil, rotations: Floats, power_kept: float = _POWER_KEPT) -> None:
        self._stencil = stencil
        self._inside = stencil(rotations[0]) != 0
        count = min(_SAMPLE, int(_SAMPLED_VOXELS / max(1, int(self._inside.sum()))))
        flat = self._rows(np.random.default_rng(0).permutation(rotations)[:count])
        with threadpool_limits(1, "blas"):  # how many threads share a product shows in its last digits
            power, mixed = np.linalg.eigh((flat @ flat.T).astype(np.float64))
            power, mixed = power[::-1], mixed[:, ::-1]
            enough = np.searchsorted(np.cumsum(power), power_kept * power.sum()) + 1
            count = min(int(enough), _MOST_COMPONENTS)
            scaled = (mixed[:, :count] / np.sqrt(np.maximum(power[:count], 1e-30))).astype(np.float32)
            self._flat = np.ascontiguousarray(scaled.T @ flat)
        self.boxes = np.zeros((count, *self._inside.shape), np.float32)
        self.boxes[:, self._inside] = self._flat

    def weights(self, rotations: Floats, report: Report, doing: str) -> Image:
        """Sum up the stencils of some rotations, norms kept: float32[R, K]."""
        result = np.empty((len(rotations), len(self._flat)), np.float32)
        firsts = range(0, len(rotations), _STENCILS_AT_A_TIME)

        def one(number: int, stop: threading.Event) -> None:
            rows = slice(firsts[number], firsts[number] + _STENCILS_AT_A_TIME)
            if not stop.is_set():
                flat = self._rows(rotations[rows])
                sums = flat @ self._flat.T
                result[rows] = sums * (_norms(flat) / np.maximum(_norms(sums), 1e-30))

        with threadpool_limits(1, "blas"):
            each_in_threads(one, len(firsts), report, doing)
        return result

    def _rows(self, rotations: Floats) -> Image:
        """Make stencils, only the voxels under the mask: float32[R, voxels]."""
        return np.stack([self._stencil(rotation)[self._inside] for rotation in rotations])


@dataclass(frozen=True, eq=False)
class ComponentSearch:
    """Correlates a volume with the stencils of many rotations, block by block.

    Attributes
    ----------
    correlation : LocalCorrelation
        Of blocks so small that all K correlations of one fit into memory.
    components : Components
    few, many : float64[R, 3, 3]
        Rotations tried everywhere, and those tried where these score high.
    """

    correlation: LocalCorrelation
    components: Components
    few: Floats
    many: Floats

    @property
    def rotations(self) -> Floats:
        """All that are tried, the few first."""
        return np.concatenate([self.few, self.many])

    def best(self, allowed_zyx: Marks, report: Report, doing: str = "Matching") -> BestMatch:
        """Find the best rotation where the few score high; elsewhere the score is -inf.

        Rotations are numbered as in `rotations`.
        """
        blocks = [block for block, inside in enumerate(self.correlation.blocks) if allowed_zyx[inside].any()]
        steps = 1 + len(blocks)
        few, many = (self.components.weights(some, part(report, 0, steps), doing) for some in (self.few, self.many))
        score = np.full(allowed_zyx.shape, -np.inf, np.float32)
        number = np.zeros(allowed_zyx.shape, np.int32)
        for step, block in enumerate(blocks, start=1):
            inside, here = self.correlation.blocks[block], part(report, step, steps)
            allowed = allowed_zyx[inside]
            spread = self.correlation.spread_zyx[inside][allowed]
            sums = self._sums(block, allowed, part(here, 0, 3), doing)
            best, which = _highest(few, sums, part(here, 1, 3), doing)
            chosen = _top(best / spread, _SHARE_TRIED)
            among_many, which_of_many = _highest(many, sums[:, chosen], part(here, 2, 3), doing)
            at = tuple(axis[chosen] + side.start for axis, side in zip(np.nonzero(allowed), inside, strict=True))
            score[at] = np.maximum(best[chosen], among_many) / spread[chosen]
            number[at] = np.where(best[chosen] >= among_many, which[chosen], len(few) + which_of_many)
        return BestMatch(score, number)

    def _sums(self, block: int, allowed_zyx: Marks, report: Report, doing: str) -> Image:
        """Correlate a block with every component: float32[K, V] at the voxels allowed."""
        boxes = self.components.boxes
        sums = np.empty((len(boxes), np.count_nonzero(allowed_zyx)), np.float32)

        def one(index: int, stop: threading.Event) -> None:
            if not stop.is_set():
                sums[index] = self.correlation.sums(block, boxes[index])[allowed_zyx]

        each_in_threads(one, len(boxes), report, doing)
        return sums


def _highest(weights: Image, sums: Image, report: Report, doing: str) -> tuple[Image, NDArray[np.int32]]:
    """Find the largest product of any rotation with each voxel, and the rotation's number."""
    best = np.full(sums.shape[1], -np.inf, np.float32)
    number = np.zeros(sums.shape[1], np.int32)
    firsts = range(0, sums.shape[1], _VOXELS_AT_A_TIME)

    def one(index: int, stop: threading.Event) -> None:
        voxels = slice(firsts[index], firsts[index] + _VOXELS_AT_A_TIME)
        columns = np.ascontiguousarray(sums[:, voxels])
        for first in range(0, len(weights), _ROTATIONS_AT_A_TIME):
            if stop.is_set():
                return
            products = weights[first : first + _ROTATIONS_AT_A_TIME] @ columns
            raise_maxima(best[voxels], number[voxels], products, first)

    with threadpool_limits(1, "blas"):
        each_in_threads(one, len(firsts), report, doing)
    return best, number


def _top(values: Image, share: float) -> NDArray[np.int64]:
    """Return where the highest values are, that share of them."""
    count = max(1, round(share * len(values)))
    return np.sort(np.argpartition(-values, count - 1)[:count])


def _norms(rows: Image) -> Image:
    return np.asarray(np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
