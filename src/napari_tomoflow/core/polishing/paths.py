"""Paths of single particles over their exposure, beside what all of a series share.

Each particle moves smoothly, and neighbours more alike than others: a Gaussian process over exposure and place. Who
knows nothing but other particles knows little of a path, so images judge: every fourth tilt in the order of exposure
is left out in turn, place and path of each particle are fitted to the other tilts, and a path is believed if it tells
better than the place alone where the tilts left out show the particle.

Legend: T tilts in use, P particles, K shapes over the exposure, B shapes over the specimen.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.matching.threads import each_in_threads
from napari_tomoflow.core.model.paths import PATH_NODES
from napari_tomoflow.core.polishing.blocks import Block, InSpace
from napari_tomoflow.core.polishing.fit import Sight, fitted
from napari_tomoflow.core.polishing.geometry import SeriesGeometry
from napari_tomoflow.core.polishing.shapes import along
from napari_tomoflow.core.report import Report

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_MEMORY = 0.5
"""Share of the root of the exposure over which paths forget themselves."""

_LEFT_OUT = 4
"""Every so many tilts one is left out."""

_DOING = "Following single particles"


class Prior(NamedTuple):
    """How paths are expected to be.

    Attributes
    ----------
    strength_ang : float
        Standard deviation along each axis.
    alike_ang : float
        Distance of two particles at which the correlation of their paths falls to 1/e; 0 where each moves by itself.
    """

    strength_ang: float
    alike_ang: float


_STRENGTHS_ANG = (1.0, 2.5, 6.0)
_ALIKE_ANG = 800.0
_MOST_ALIKE = 1500
"""Particles of more than which none are alike: so many tell what they share by the bending of the specimen."""

_JUDGES = 200
"""Particles that judge, side by side, as neighbours may be alike: 750 by themselves take as long as all the rest."""


def priors_for(count: int) -> list[Prior]:
    """Return the priors that are tried for so many particles."""
    distances = (0.0, _ALIKE_ANG) if count <= _MOST_ALIKE else (0.0,)
    return [Prior(strength, alike) for alike in distances for strength in _STRENGTHS_ANG]


@dataclass(frozen=True, eq=False)
class Paths:
    """The paths of the particles of one series.

    Attributes
    ----------
    geometry : SeriesGeometry
    weights : float64[T]
        How much each tilt tells of a place: the mean of a path so weighed is 0, as the particle's place has it.
    """

    geometry: SeriesGeometry
    weights: Floats
    _made: dict[float, Floats] = field(default_factory=dict)

    def block(self, prior: Prior) -> InSpace:
        """Return the parameters of all paths."""
        geometry = self.geometry
        growth_ang = prior.strength_ang * self._growth(np.sqrt(geometry.series.exposure_share)[geometry.tilts])
        return InSpace(geometry.rows, growth_ang, self._over(prior.alike_ang), len(geometry.centers_ang_zyx))

    def nodes_ang_zyx(self, prior: Prior, values: Floats) -> Floats:
        """Return the paths that some values of the parameters are: float64[P, nodes, 3] of `model.paths`."""
        over = self._over(prior.alike_ang)
        each = values if over is None else np.einsum("pb,bka->pka", over, values)
        growth_ang = prior.strength_ang * self._growth(np.linspace(0.0, 1.0, PATH_NODES))
        return np.asarray(np.einsum("nk,pka->pna", growth_ang, each)[..., ::-1])

    def _growth(self, root_share: Floats) -> Floats:
        """Return shapes over the exposure at some roots of its share, less their means over the tilts in use."""
        in_use = along(np.sqrt(self.geometry.series.exposure_share)[self.geometry.tilts], PATH_NODES, _MEMORY)
        # Where no tilt tells anything all weigh alike.
        mean = np.average(in_use, axis=0, weights=self.weights if self.weights.any() else None)
        return np.asarray(along(root_share, PATH_NODES, _MEMORY) - mean)

    def _over(self, alike_ang: float) -> Floats | None:
        """Return shapes whose independent sums are as much alike as particles are near, float64[P, B], if any are."""
        if not alike_ang:
            return None
        if alike_ang not in self._made:
            centers = self.geometry.centers_ang_zyx
            apart_ang = np.linalg.norm(centers[:, None] - centers, axis=-1)
            variance, modes = np.linalg.eigh(np.exp(-apart_ang / alike_ang))
            self._made[alike_ang] = modes * np.sqrt(np.maximum(variance, 0.0))
        return self._made[alike_ang]


def judges(geometry: SeriesGeometry, seed: int) -> Indices:
    """Choose who judges: a particle drawn at random and those next to it, by increasing number."""
    centers = geometry.centers_ang_zyx
    first = np.random.default_rng(seed).integers(len(centers))
    near = np.argsort(np.linalg.norm(centers - centers[first], axis=1), kind="stable")
    return np.sort(near[:_JUDGES])


def held_out_scores(
    sight: Sight,
    geometry: SeriesGeometry,
    candidates: Sequence[Sequence[Block]],
    base_ang: Floats,
    report: Report,
) -> list[Floats]:
    """Return for each choice of blocks the log likelihood of each particle in tilts its parameters were not fitted to.

    Parameters
    ----------
    sight : Sight
    geometry : SeriesGeometry
    candidates : sequence of sequence of Block
        Of particles by themselves.
    base_ang : float64[T, 2, P]
        Offsets that all share.
    report
    """
    by_exposure = np.argsort(geometry.series.exposure_share[geometry.tilts], kind="stable")
    scores = np.zeros((len(candidates), _LEFT_OUT, sight.n_particles))

    def judge(index: int, stop: threading.Event) -> None:
        which, fold = divmod(index, _LEFT_OUT)
        out = by_exposure[fold::_LEFT_OUT]
        counted = np.ones((len(by_exposure), sight.n_particles))
        counted[out] = 0.0
        found = fitted(sight, candidates[which], counted, base_ang)
        scores[which, fold] = sight.read(found.offsets_ang)[0][out].sum(axis=0)

    each_in_threads(judge, len(candidates) * _LEFT_OUT, report, _DOING)
    return list(scores.sum(axis=1))
