"""The fast search: coarsely everywhere, then exactly where that found something.

With voxels 1.6 times as wide and orientations twice as far apart, there is a thirty-third of the work. (Halving both is
cheaper, but weak particles drown: of 30S subunits at 100 e/Å² half are then beaten by a hundred peaks of noise, at 1.6
by none.) The peaks of this search are scored at full sampling, and climb from rotation to neighbouring rotation of the
full grid. Those that fall behind are dropped after every step: a fixed share of the noise is followed, which is most of
the peaks and so known by its median and spread, and all the particles on top, however many they are.
"""

import threading
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.matching.level import Level
from napari_tomoflow.core.matching.peaks import highest_peaks
from napari_tomoflow.core.matching.search import ExhaustiveSearch, Hits
from napari_tomoflow.core.matching.stencils import Stencils
from napari_tomoflow.core.matching.template import Template
from napari_tomoflow.core.matching.threads import each_in_threads
from napari_tomoflow.core.ops.fourier import fourier_crop, pad_centred
from napari_tomoflow.core.ops.peaks import noise_sd
from napari_tomoflow.core.ops.so3 import nearest_in_grid, rotation_grid, within_reach
from napari_tomoflow.core.ops.spacing import spaced
from napari_tomoflow.core.report import Report, part

Floats = NDArray[np.float64]
Image = NDArray[np.float32]

_VOXELS = (8, 5)
"""So many voxels of the tomogram are as wide as so many of the coarse one."""

_ANGLES = 2.0
"""How much further apart coarse orientations are."""

_FOLLOWED_SD = (0.4, 1.2)
"""How far above the median, in robust standard deviations, a peak must be after its first exact score, and after its
first step uphill: a third and a ninth of the noise is."""

_FEWEST_FOLLOWED = 200
"""Peaks that go all the way at least: enough to fit the null's tail."""

_STEPS_UPHILL = 5
_NEIGHBOURS = 1.1
"""In steps of the full grid: the half dozen rotations around one."""

_REACHES_VOX = (2, 1)
"""A coarse peak is a coarse voxel off at most; afterwards the peak moves by little."""

_APART_COARSE_VOX = 2.0

_SECONDS_PER_SCORE = 25e-9
_SECONDS_PER_VOXEL = 8e-9
"""Of one core: for each voxel of a stencil scored exactly, and for each voxel and rotation of the coarse search."""

_SCORES_PER_PEAK = 5.0
_RESCORING_SHARE = 0.5
_PEAK_LIMITS = (600, 20_000)
"""How many coarse peaks are scored: so many that it costs half as much as the coarse search."""


def coarsened(volume_zyx: Image) -> Image:
    """Sample a volume at voxels 1.6 times as wide, finer detail taken out; voxel n // 2 stays the centre."""
    wide, narrow = _VOXELS
    counts = [-(-n // (2 * wide)) for n in volume_zyx.shape]
    padded = pad_centred(volume_zyx, [2 * wide * count for count in counts])
    return fourier_crop(padded, [2 * narrow * count for count in counts])


def coarse_voxel_ang(voxel_ang: float) -> float:
    """Return the width of a voxel of the coarse search."""
    return voxel_ang * _VOXELS[0] / _VOXELS[1]


@dataclass(frozen=True, eq=False)
class FastSearch:
    """Searches coarsely, and exactly where that found something.

    Attributes
    ----------
    full : ExhaustiveSearch
        The search this one stands for.
    coarse : Level
        The tomogram at coarse sampling.
    step_deg : float
        Between orientations of the full search.
    symmetry : str
        Of the template.
    """

    full: ExhaustiveSearch
    coarse: Level
    step_deg: float
    symmetry: str

    def __call__(self, template: Template, report: Report, doing: str) -> Hits:
        """Find the highest peaks of a template."""
        peaks = self._coarse_peaks(template, part(report, 0, 2), doing)
        climb = _Climb(self, self.full.level.stencils(template), peaks)
        for step in range(_STEPS_UPHILL):
            climb.step(part(part(report, 1, 2), step, _STEPS_UPHILL), f"{doing}, exactly")
            if step < len(_FOLLOWED_SD):
                climb.drop(_FOLLOWED_SD[step])
        return self._apart(climb.hits())

    def avoiding(self, marks_zyx: NDArray[np.bool_]) -> Self:
        """Return the same search that finds nothing in some places."""
        return replace(self, full=self.full.avoiding(marks_zyx))

    def _coarse_peaks(self, template: Template, report: Report, doing: str) -> Hits:
        """Search coarsely: peaks in voxels of the tomogram."""
        rotations = rotation_grid(_ANGLES * self.step_deg, self.symmetry)
        best = self.coarse.correlation.best(self.coarse.stencils(template), rotations, report, doing)
        nodes = [
            _in_full(np.arange(n), n, m) for n, m in zip(best.score_zyx.shape, self.full.allowed_zyx.shape, strict=True)
        ]
        allowed = self.full.allowed_zyx[np.ix_(*nodes)]
        count = self._count(len(rotations), best.score_zyx.size)
        places = highest_peaks(best.score_zyx, allowed, _APART_COARSE_VOX, count)
        at = tuple(places.T)
        in_full = np.stack([node[place] for node, place in zip(nodes, at, strict=True)], axis=1)
        return Hits(in_full, rotations[best.number_zyx[at]], best.score_zyx[at].astype(np.float64))

    def _count(self, n_rotations: int, n_voxels: int) -> int:
        """Choose how many coarse peaks are worth scoring exactly."""
        coarse_s = _SECONDS_PER_VOXEL * n_rotations * n_voxels
        peak_s = _SCORES_PER_PEAK * _SECONDS_PER_SCORE * self.full.level.ball_zyx.size
        return int(np.clip(_RESCORING_SHARE * coarse_s / peak_s, *_PEAK_LIMITS))

    def _apart(self, hits: Hits) -> Hits:
        """Sort hits and keep those no better one is near to."""
        order = np.argsort(-hits.scores, kind="stable")
        kept = spaced(hits.places_zyx.astype(np.float64), self.full.distance_vox, order)
        kept = kept[self.full.allowed_zyx[tuple(hits.places_zyx[kept].T)]]
        return hits[kept[: self.full.at_most]]


class _Climb:
    """Peaks on their way uphill through the full grid of rotations.

    Parameters
    ----------
    search : FastSearch
    stencil : Stencils
    peaks : Hits
        With rotations of the coarse grid.
    """

    def __init__(self, search: FastSearch, stencil: Stencils, peaks: Hits) -> None:
        self._search, self._stencil = search, stencil
        self._places = peaks.places_zyx.copy()
        self._scores = np.full(len(peaks), -np.inf)
        self._numbers = nearest_in_grid(search.full.rotations, peaks.rotations, search.symmetry)[0]
        self._tried: list[set[int]] = [set() for _ in range(len(peaks))]
        self._moving = np.ones(len(peaks), np.bool_)
        self._noise: tuple[float, float] | None = None

    def step(self, report: Report, doing: str) -> None:
        """Score the rotation a peak is at when that is new, else those around it; move to the best."""
        moving = np.flatnonzero(self._moving)

        def one(index: int, stop: threading.Event) -> None:
            if not stop.is_set():
                self._step_of(int(moving[index]))

        each_in_threads(one, len(moving), report, doing)

    def _step_of(self, peak: int) -> None:
        search, tried = self._search, self._tried[peak]
        at = int(self._numbers[peak])
        around = self._neighbours(at) if tried else np.array([at])
        new = np.array([number for number in around.tolist() if number not in tried], np.int64)
        reach = _REACHES_VOX[min(len(tried), 1)]
        tried.update(new.tolist())
        self._moving[peak] = len(new) > 0
        if not len(new):
            return
        found = search.full.level.cutouts.best(self._stencil, search.full.rotations[new], self._places[peak], reach)
        if found.score > self._scores[peak]:
            self._scores[peak] = found.score
            self._places[peak] = found.place_zyx
            self._numbers[peak] = new[found.rotation]
        else:
            self._moving[peak] = False

    def _neighbours(self, number: int) -> NDArray[np.int64]:
        search = self._search
        reach_deg = _NEIGHBOURS * search.step_deg
        return within_reach(search.full.rotations, search.full.rotations[number], reach_deg, search.symmetry)

    def drop(self, limit_sd: float) -> None:
        """Drop the peaks that do not stand so far above the noise, but not too many.

        The noise is measured once, over all peaks: of those that are left later on, particles may be the most.
        """
        if self._noise is None:
            self._noise = float(np.median(self._scores)), noise_sd(self._scores)
        if len(self._scores) > _FEWEST_FOLLOWED:
            middle, sd = self._noise
            self._keep(self._scores >= min(middle + limit_sd * sd, np.sort(self._scores)[-_FEWEST_FOLLOWED]))

    def hits(self) -> Hits:
        """Return what is left."""
        return Hits(self._places, self._search.full.rotations[self._numbers], self._scores)

    def _keep(self, kept: NDArray[np.bool_]) -> None:
        self._places, self._scores, self._numbers = self._places[kept], self._scores[kept], self._numbers[kept]
        self._tried = [self._tried[index] for index in np.flatnonzero(kept)]
        self._moving = self._moving[kept]


def _in_full(index: NDArray[np.int64], n_coarse: int, n_full: int) -> NDArray[np.int64]:
    """Return the voxels nearest to coarse ones along an axis; n // 2 is the centre of either."""
    offset = (index - n_coarse // 2) * _VOXELS[0] / _VOXELS[1]
    return np.asarray(np.clip(np.rint(offset).astype(np.int64) + n_full // 2, 0, n_full - 1))
