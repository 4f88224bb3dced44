"""The search for one template: places, poses and exact scores, best first."""

from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.matching.level import Level
from napari_tomoflow.core.matching.peaks import highest_peaks
from napari_tomoflow.core.matching.template import Template
from napari_tomoflow.core.report import Report

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Hits:
    """Peaks of a search, the highest first. Legend: P peaks.

    Attributes
    ----------
    places_zyx : int64[P, 3]
        Voxels of the tomogram.
    rotations : float64[P, 3, 3]
    scores : float64[P]
        LCC.
    """

    places_zyx: NDArray[np.int64]
    rotations: Floats
    scores: Floats

    def __len__(self) -> int:
        """Return the number of peaks."""
        return len(self.scores)

    def __getitem__(self, chosen: slice | NDArray[np.bool_] | NDArray[np.int64]) -> "Hits":
        """Return some of them."""
        return Hits(self.places_zyx[chosen], self.rotations[chosen], self.scores[chosen])


class Search(Protocol):
    """Finds the highest peaks of a template."""

    def __call__(self, template: Template, report: Report, doing: str) -> Hits:
        """Return them, best first."""

    def avoiding(self, marks_zyx: NDArray[np.bool_]) -> Self:
        """Return the same search that finds nothing in some places."""

    def sampled(self) -> tuple[Self, float]:
        """Return the same search of enough of the tomogram to learn what chance gives, and the share that is."""


@dataclass(frozen=True, eq=False)
class ExhaustiveSearch:
    """Tries all rotations at all voxels.

    Attributes
    ----------
    level : Level
    rotations : float64[R, 3, 3]
    allowed_zyx : bool[nz, ny, nx]
    distance_vox : float
        Of two peaks, at least.
    at_most : int
        Peaks that are kept.
    """

    level: Level
    rotations: Floats
    allowed_zyx: NDArray[np.bool_]
    distance_vox: float
    at_most: int

    def __call__(self, template: Template, report: Report, doing: str) -> Hits:
        """Find the highest peaks of a template."""
        best = self.level.correlation.best(self.level.stencils(template), self.rotations, report, doing)
        places = highest_peaks(best.score_zyx, self.allowed_zyx, self.distance_vox, self.at_most)
        at = tuple(places.T)
        return Hits(places, self.rotations[best.number_zyx[at]], best.score_zyx[at].astype(np.float64))

    def avoiding(self, marks_zyx: NDArray[np.bool_]) -> Self:
        """Return the same search that finds nothing in some places."""
        return replace(self, allowed_zyx=self.allowed_zyx & ~marks_zyx)

    def sampled(self) -> tuple[Self, float]:
        """Return itself: nothing is saved."""
        return self, 1.0
