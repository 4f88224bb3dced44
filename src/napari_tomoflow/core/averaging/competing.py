"""Particles that several maps compete for: each counts in the sum of a map as far as it is likelier to show that one.

The agreement of `core.averaging.search` is the gain in log likelihood that a map brings, so the shares of a particle
are their exponentials over the sum of these. Among maps that show next to nothing all shares are alike; once they show
something a particle is of one class.

Legend: P particles, K maps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.aligning import AlignImages, PosePlan
from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.images import ImageSource, ParticleImages, batches
from napari_tomoflow.core.averaging.refinement import BATCH
from napari_tomoflow.core.averaging.search import Reference
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import MapBatches, in_order

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Indices = NDArray[np.int64]

_LEAST_SHARE = 1e-6
_LEAST = 4
"""Particles that are worth a class."""


@dataclass(frozen=True, eq=False)
class Shared:
    """What became of a batch of particles.

    Attributes
    ----------
    score : float64[P]
        That of the map that agrees best.
    agreement : float64[P, K]
    shares : float64[P, K]
        Of each particle, 1 in sum.
    cubes : float32[K, 2 c + 1, 2 c + 1, c + 1, 4]
        Sum of each map.
    """

    score: Floats
    agreement: Floats
    shares: Floats
    cubes: Reals


@dataclass(frozen=True, eq=False)
class ShareImages:
    """Aligns some particle images with every map and shares them out; fit to be sent to another process.

    Attributes
    ----------
    work : tuple of AlignImages
        One for each map.
    handicap : float64[K]
        Taken off the agreement with each map before particles are shared out.
    """

    work: tuple[AlignImages, ...]
    handicap: Floats

    def __call__(self, images: ParticleImages) -> Shared:
        """Work on some particles whose poses nobody knows."""
        nowhere = np.tile(np.eye(3), (len(images), 1, 1))
        placed = [one.placed(images, nowhere) for one in self.work]
        agreement = np.stack([one.agreement for one in placed], axis=1)
        shares = shared_out(agreement - self.handicap)
        cubes = [
            one.summed(images, found, share) for one, found, share in zip(self.work, placed, shares.T, strict=True)
        ]
        score = np.stack([one.score for one in placed]).max(axis=0)
        return Shared(score, agreement, shares, np.stack(cubes))


def shared_out(log_likelihood: Floats) -> Floats:
    """Turn log likelihoods into the share of each map, what hardly counts being nothing: float64[P, K]."""
    likelihood = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    likelihood[likelihood < _LEAST_SHARE] = 0.0
    return np.asarray(likelihood / likelihood.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class CompareBatch:
    """Aligns particles of a source with every map; fit to be sent to another process.

    Attributes
    ----------
    source : ImageSource
    work : tuple of AlignImages
        One for each map.
    """

    source: ImageSource
    work: tuple[AlignImages, ...]

    def __call__(self, chosen: Indices) -> Floats:
        """Return how well some particles agree with each map: float64[P, K]."""
        images, known = self.source.images(chosen), self.source.particles.matrices[chosen]
        return np.stack([one.placed(images, known).agreement for one in self.work], axis=1)


def classes_by_maps(
    source: ImageSource,
    maps: Sequence[Reals],
    plan: PosePlan,
    report: Report = silent,
    map_batches: MapBatches = in_order,
) -> tuple[Indices, Floats]:
    """Part particles by the map each agrees with best, in any pose.

    Parameters
    ----------
    source : ImageSource
    maps : sequence of float32[n, n, n]
        Filtered and masked, of the source's box.
    plan : PosePlan
    report, map_batches
        See `core.report` and `core.stage`.

    Returns
    -------
    numbers : int64[C]
        Of the maps that have some particles, that of most first.
    shares : float64[P, C]
        How probable each of these is for each particle.
    """
    grid = CubeGrid(source.box_px)
    work = tuple(AlignImages(Reference.of(one, plan.radii[-1]), plan, grid) for one in maps)
    jobs = batches(source.particles, BATCH)
    agreement = np.empty((len(source.particles), len(maps)))
    report(0, len(jobs), "Comparing with all maps")
    for done, found in enumerate(map_batches(CompareBatch(source, work), jobs)):
        agreement[jobs[done]] = found
        report(done + 1, len(jobs), "Comparing with all maps")
    numbers = _with_enough(agreement)
    return numbers, shared_out(agreement[:, numbers])


def _with_enough(agreement: Floats) -> Indices:
    """Return the maps that enough particles agree with best, that of most first; who is left takes the next best."""
    numbers = np.arange(agreement.shape[1])
    while True:
        counts = np.bincount(agreement[:, numbers].argmax(axis=1), minlength=len(numbers))
        numbers = numbers[np.argsort(-counts, kind="stable")]
        if len(numbers) == 1 or counts.min() >= _LEAST:
            return numbers
        numbers = numbers[:-1]
