"""What hits score of themselves: half of a particle, turned, resembles the whole, so its flank is a peak too.

With a hit's template w, filtered as the tomogram is, the tomogram around its place p reads a · w(x − p), a from the
hit's score. What that makes of the score of another hit, at q and with the stencil b, is known::

    Σ_x b(x − q) a w(x − p) / σ(q)
"""

import threading

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_tomoflow.core.matching.level import Level
from napari_tomoflow.core.matching.refine import Refined
from napari_tomoflow.core.matching.template import Template
from napari_tomoflow.core.matching.threads import each_in_threads
from napari_tomoflow.core.report import Report

Image = NDArray[np.float32]
Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


def own_scores(level: Level, template: Template, hits: Refined, least: float, report: Report) -> Floats:
    """Take from the scores of hits what better ones beside them make of these.

    Parameters
    ----------
    level : Level
    template : Template
    hits : Refined
        Best first.
    least : float
        LCC from which on a hit is believed: only such a one makes anything of the scores of others.
    report

    Returns
    -------
    float64[P]
        LCC, never above a hit's score: none is believed for what its neighbours take from it.
    """
    places = np.rint(hits.places_zyx).astype(np.int64)
    near = cKDTree(places).query_ball_tree(cKDTree(places), len(level.ball_zyx))
    better = [np.array([other for other in some if other < one], np.int64) for one, some in enumerate(near)]
    made = [np.zeros(len(others)) for others in better]
    model = _Model(level, template, hits, places)

    def one_hit(one: int, stop: threading.Event) -> None:
        if not stop.is_set() and len(better[one]):
            made[one] = model.made_by(better[one], one)

    each_in_threads(one_hit, len(hits), report, "Telling flanks from particles")
    own = hits.scores.copy()
    for one, others in enumerate(better):
        own[one] -= max(0.0, made[one][own[others] >= least].sum())
    return own


class _Model:
    """What hits make of each other's scores."""

    def __init__(self, level: Level, template: Template, hits: Refined, places_zyx: Numbers) -> None:
        self._stencils, self._hits, self._places_zyx = level.stencils(template), hits, places_zyx
        self._spread = level.correlation.spread_zyx[tuple(places_zyx.T)].astype(np.float64)

    def made_by(self, others: Numbers, one: int) -> Floats:
        """Return what each of some others makes of one's score: float64[others]."""
        rotations, stencil = self._hits.rotations, self._stencils(self._hits.rotations[one])
        shifts = self._places_zyx[one] - self._places_zyx[others]
        sums = [
            self._strength(int(other)) * _overlap(stencil, self._stencils.turned(rotations[other]), shift)
            for other, shift in zip(others, shifts, strict=True)
        ]
        return np.asarray(np.array(sums) / self._spread[one])

    def _strength(self, hit: int) -> float:
        """Return a: how many times its turned template the tomogram shows there."""
        if not np.isfinite(self._spread[hit]):  # a peak half-way to a voxel that shows nothing
            return 0.0
        rotation = self._hits.rotations[hit]
        of_template = _overlap(self._stencils(rotation), self._stencils.turned(rotation), np.zeros(3, np.int64))
        return float(self._hits.scores[hit] * self._spread[hit] / of_template)


def _overlap(first_zyx: Image, second_zyx: Image, shift_zyx: Numbers) -> float:
    """Sum the products of two boxes, the first shifted against the second."""
    lasts = [n - abs(shift) for n, shift in zip(first_zyx.shape, shift_zyx, strict=True)]
    if min(lasts) <= 0:
        return 0.0
    first = tuple(slice(max(-shift, 0), max(-shift, 0) + last) for shift, last in zip(shift_zyx, lasts, strict=True))
    second = tuple(slice(max(shift, 0), max(shift, 0) + last) for shift, last in zip(shift_zyx, lasts, strict=True))
    return float(np.einsum("zyx,zyx->", first_zyx[first], second_zyx[second], dtype=np.float64))
