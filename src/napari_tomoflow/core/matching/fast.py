"""The fast search: coarsely everywhere, then exactly where that found something.

Voxels are 1.6 times as wide, and the rotations of the full grid, or of one as fine as these voxels ask for, are summed
up from components (`components`). Weak particles drown in a search of rotations twice as far apart, which lie up to 0.9
steps from that of a particle: of the 30S subunits of a simulated tomogram at 100 e/Å² it passed over a quarter.

The peaks of this search are scored at full sampling, and climb from rotation to neighbouring rotation of the full grid.
Those that fall behind are dropped after every step: a fixed share of the noise is followed, which is most of the peaks
and so known by its median and spread, and all the particles on top, however many they are.
"""

import math
import threading
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.matching.components import Components, ComponentSearch
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

VOXELS_PER_BLOCK = 8e5
"""Of the coarse search: less than a gigabyte holds the correlations of a block with all components."""

_VOXELS = (8, 5)
"""So many voxels of the tomogram are as wide as so many of the coarse one."""

_FOLLOWED_SD = (0.4, 1.2)
"""How far above the median, in robust standard deviations, a peak must be after its first exact score, and after its
first step uphill: a third and a ninth of the noise is."""

_FEWEST_FOLLOWED = 200
"""Peaks that go all the way at least: enough to fit the null's tail."""

_STEPS_UPHILL = 4
_NEIGHBOURS = (1.5, 1.1)
"""In steps of the full grid: the two dozen rotations around one are tried first, then the half dozen around those. The
coarse search is not much further off, but in between the score of a particle may sink below that of noise."""

_REACHES_VOX = (2, 1)
"""A coarse peak is a coarse voxel off at most; afterwards the peak moves by little."""

_APART_COARSE_VOX = 2.0

_PEAK_LIMITS = (600, 20_000)
"""How many coarse peaks are scored: as many as particles would fit in, within these limits."""

_SAMPLED_PLACES = 2500
"""Particles that would fit into what is searched for the null: their scores have a tail of a hundred."""


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
    coarse_deg : float
        Between those of the coarse search.
    symmetry : str
        Of the template.
    """

    full: ExhaustiveSearch
    coarse: Level
    step_deg: float
    coarse_deg: float
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

    def sampled(self) -> tuple[Self, float]:
        """Return the same search of some blocks, spread over the tomogram, and their share of it."""
        blocks, allowed = self.coarse.correlation.blocks, self.full.allowed_zyx
        share = _SAMPLED_PLACES / self._places
        if share >= 1.0:
            return self, 1.0
        chosen = np.zeros(self.coarse.correlation.shape_zyx, np.bool_)
        for block in np.random.default_rng(0).permutation(len(blocks))[: math.ceil(share * len(blocks))]:
            chosen[blocks[block]] = True
        nodes = _nearest(allowed.shape, chosen.shape, _VOXELS[1] / _VOXELS[0])
        sample = self.avoiding(~chosen[np.ix_(*nodes)])
        return sample, float(sample.full.allowed_zyx.sum() / allowed.sum())

    @property
    def _places(self) -> float:
        """Particles that would fit in."""
        return float(self.full.allowed_zyx.sum() / self.full.distance_vox**3)

    def _coarse_peaks(self, template: Template, report: Report, doing: str) -> Hits:
        """Search coarsely: peaks in voxels of the tomogram."""
        few, many = (rotation_grid(step_deg, self.symmetry) for step_deg in (2 * self.coarse_deg, self.coarse_deg))
        correlation = self.coarse.correlation
        nodes = _nearest(correlation.shape_zyx, self.full.allowed_zyx.shape, _VOXELS[0] / _VOXELS[1])
        allowed = self.full.allowed_zyx[np.ix_(*nodes)]
        search = ComponentSearch(correlation, Components(self.coarse.stencils(template), many), few, many)
        best = search.best(allowed, report, doing)
        count = int(np.clip(self._places, *_PEAK_LIMITS))
        places = highest_peaks(best.score_zyx, allowed, _APART_COARSE_VOX, count)
        at = tuple(places.T)
        in_full = np.stack([node[place] for node, place in zip(nodes, at, strict=True)], axis=1)
        return Hits(in_full, search.rotations[best.number_zyx[at]], best.score_zyx[at].astype(np.float64))

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
        around = self._neighbours(at, len(tried)) if tried else np.array([at])
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

    def _neighbours(self, number: int, n_tried: int) -> NDArray[np.int64]:
        search = self._search
        reach_deg = _NEIGHBOURS[min(n_tried - 1, 1)] * search.step_deg
        return within_reach(search.full.rotations, search.full.rotations[number], reach_deg, search.symmetry)

    def drop(self, limit_sd: float) -> None:
        """Drop the peaks that do not stand so far above the noise, but not too many.

        The noise is measured once, over all peaks: of those that are left later on, particles may be the most.
        """
        if len(self._scores) > _FEWEST_FOLLOWED:
            if self._noise is None:
                self._noise = float(np.median(self._scores)), noise_sd(self._scores)
            middle, sd = self._noise
            self._keep(self._scores >= min(middle + limit_sd * sd, np.sort(self._scores)[-_FEWEST_FOLLOWED]))

    def hits(self) -> Hits:
        """Return what is left."""
        return Hits(self._places, self._search.full.rotations[self._numbers], self._scores)

    def _keep(self, kept: NDArray[np.bool_]) -> None:
        self._places, self._scores, self._numbers = self._places[kept], self._scores[kept], self._numbers[kept]
        self._tried = [self._tried[index] for index in np.flatnonzero(kept)]
        self._moving = self._moving[kept]


def _nearest(shape: tuple[int, ...], other_shape: tuple[int, ...], other_per_voxel: float) -> list[NDArray[np.int64]]:
    """Return, along each axis, the voxels of another sampling nearest to those of one; n // 2 is the centre of both."""
    nearest = []
    for n, n_other in zip(shape, other_shape, strict=True):
        offset = np.rint((np.arange(n) - n // 2) * other_per_voxel).astype(np.int64)
        nearest.append(np.clip(offset + n_other // 2, 0, n_other - 1))
    return nearest
