"""Particles aligned again, each with the maps of all classes, from the pose it has.

As in refinement either half is aligned with maps of its own. Every particle climbs with the map of each class and stays
at the pose of the one it agrees with best; which class it is of is for another contest to say.

Legend: P particles, K classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.aligning import halves_apart
from napari_tomoflow.core.averaging.fsc_curve import agreement_radius
from napari_tomoflow.core.averaging.images import ImageSource, Indices, batches
from napari_tomoflow.core.averaging.resizing import shell_filtered
from napari_tomoflow.core.averaging.samples import Samples
from napari_tomoflow.core.averaging.search import Poses, Reference, refined
from napari_tomoflow.core.classification.class_maps import ClassMap, class_maps
from napari_tomoflow.core.classification.recipe import Recipe
from napari_tomoflow.core.classification.split import Split
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.ops.poses import quaternions_from_matrices
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import MapBatches, in_order

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

BATCH = 16
"""Particles worked on together: about a second on one core, so that stopping is quick."""

_REACH_SHARE = 1 / 24
"""How far a particle may move in a round, in diameters."""

_LEAST_STEPS, _COARSE = 4.0, 0.6
"""Frequency steps compared at least, and the share of them that a climb begins with."""


@dataclass(frozen=True, eq=False)
class ClimbBatch:
    """Aligns some particles of one half with the maps of all classes; fit to be sent to another process.

    Attributes
    ----------
    source : ImageSource
    references : pair of tuple of Reference
        For either half, one of each class.
    radii : tuple of float
        Frequencies looked at, in steps of the box, from coarse to fine.
    reach_px : float
        Largest shift.
    """

    source: ImageSource
    references: tuple[tuple[Reference, ...], ...]
    radii: tuple[float, ...]
    reach_px: float

    def __call__(self, chosen: Indices) -> tuple[Floats, Floats]:
        """Return the rotation of each particle, float64[P, 3, 3], and its shift in pixels as (x, y, z)."""
        particles = self.source.particles
        samples = Samples.of(self.source.images(chosen), self.radii[-1])
        known = particles.matrices[chosen]
        maps = self.references[int(particles.half[chosen[0]]) - 1]
        found = [refined(samples, one, Poses.at(known), self.radii, self.reach_px) for one in maps]
        agreement = np.stack([one.agreement[:, 0] for one in found], axis=1)
        best, each = agreement.argmax(axis=1), np.arange(len(chosen))
        rotations = np.stack([one.rotations[:, 0] for one in found], axis=1)[each, best]
        shift_px = np.stack([one.shift_px_xyz[:, 0] for one in found], axis=1)[each, best]
        # A climb that led nowhere leaves a particle where it is.
        lost = agreement[each, best] < 0
        return np.where(lost[:, None, None], known, rotations), np.where(lost[:, None], 0.0, shift_px)


def realigned(
    source: ImageSource,
    split: Split,
    recipe: Recipe,
    ball: Reals,
    report: Report = silent,
    map_batches: MapBatches = in_order,
) -> ParticleSet:
    """Align particles with the average of every class, and return them where they then lie.

    Parameters
    ----------
    source : ImageSource
        Its particles all belong to half 1 or 2.
    split : Split
        No class of which is empty.
    recipe : Recipe
    ball : float32[n, n, n]
        Holds the particle.
    report, map_batches
        See `core.report` and `core.stage`.
    """
    first, second = part(report, 0, 2), part(report, 1, 2)
    weights = split.shares.max(axis=1)
    maps = class_maps(
        source, split.class_of, weights, recipe.symmetry, recipe.diameter_ang, ball, recipe.seed, first, map_batches
    )
    finest = max(agreement_radius(one.curve.corrected) for one in maps)
    finest = min(max(finest, _LEAST_STEPS), recipe.radius)
    references = tuple(tuple(_reference(one, half, ball, finest) for one in maps) for half in (0, 1))
    reach_px = _REACH_SHARE * recipe.diameter_ang / source.pixel_ang
    climb = ClimbBatch(source, references, (max(_COARSE * finest, min(finest, _LEAST_STEPS)), finest), reach_px)
    particles = source.particles
    jobs = halves_apart(batches(particles, 2 * BATCH), particles.half)
    rotations, centers = particles.matrices.copy(), particles.centers_ang_zyx.copy()
    second(0, len(jobs), "Aligning with all classes")
    for done, (turned, shift_px) in enumerate(map_batches(climb, jobs)):
        rotations[jobs[done]] = turned
        centers[jobs[done]] += source.pixel_ang * shift_px[:, ::-1]
        second(done + 1, len(jobs), "Aligning with all classes")
    return particles.replace(centers_ang_zyx=centers, quaternions_xyzw=quaternions_from_matrices(rotations))


def _reference(one: ClassMap, half: int, ball: Reals, radius: float) -> Reference:
    """Filter a half of a class by how far both agree."""
    agreed = np.clip(one.curve.corrected, 0.0, 1.0)[: int(radius) + 2]
    return Reference.of(np.asarray(shell_filtered(one.halves[half], agreed) * ball, np.float32), radius)
