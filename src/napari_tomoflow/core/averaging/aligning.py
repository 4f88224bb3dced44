"""Particles aligned with a map, and summed at the poses found, batch by batch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.images import ImageSource, Indices, ParticleImages, shift_phases
from napari_tomoflow.core.averaging.samples import Samples
from napari_tomoflow.core.averaging.search import Everywhere, Poses, Reference, climb, refined
from napari_tomoflow.core.kernels import slices
from napari_tomoflow.core.ops.so3 import rotation_grid

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

_COARSE_SHARE = 4.0
"""Everywhere is searched at this share of the particle's diameter: fine enough to tell its sides apart."""

_STEP_SHARE = 0.85
"""Step of that search over what its resolution asks for (Crowther); climbing from a cell's corner then succeeds."""

_CANDIDATES = 8
_LEAST_STEPS = 4.0
"""Frequency steps of the box that any comparison reaches to."""


@dataclass(frozen=True, eq=False)
class PosePlan:
    """How poses are looked for.

    Attributes
    ----------
    radii : tuple of float
        Frequencies looked at while climbing, in steps of the box, from coarse to fine.
    reach_px : float
        Largest shift.
    everywhere : Everywhere or None
        Search over all rotations first; otherwise poses are climbed from where they are.
    candidates : int
        Poses of each particle that are climbed from after a search everywhere.
    keeps_known : bool
        Then climb from the pose known so far, too.
    """

    radii: tuple[float, ...]
    reach_px: float
    everywhere: Everywhere | None = None
    candidates: int = _CANDIDATES
    keeps_known: bool = False

    @classmethod
    def of(
        cls, box_px: int, pixel_ang: float, diameter_ang: float, resolution_ang: float, reach_ang: float, symmetry: str
    ) -> "PosePlan":
        """Plan a search everywhere that ends at a resolution."""
        width_ang = box_px * pixel_ang
        finest = min(max(width_ang / resolution_ang, _LEAST_STEPS), box_px / 2 - 1)
        coarse = min(max(width_ang * _COARSE_SHARE / diameter_ang, _LEAST_STEPS), finest)
        step_deg = float(np.rad2deg(_STEP_SHARE * width_ang / coarse / diameter_ang))
        reach_px = reach_ang / pixel_ang
        everywhere = Everywhere(rotation_grid(step_deg, symmetry), step_deg, coarse, reach_px)
        return cls(_between(coarse, finest), reach_px, everywhere)

    def around(self, reach_px: float) -> "PosePlan":
        """Climb from known poses only, at first with somewhat fewer shells."""
        finest = self.radii[-1]
        coarse = max(0.6 * finest, min(finest, _LEAST_STEPS))
        return replace(self, everywhere=None, reach_px=reach_px, radii=(coarse, finest))

    def find(self, samples: Samples, reference: Reference, known: Poses) -> Poses:
        """Return the best pose of each particle; where climbing from a known one leads out of reach, that itself."""
        if self.everywhere is not None:
            found = self.everywhere.candidates(samples, reference, self.candidates)
            known = _joined(found, known) if self.keeps_known else found
            return refined(samples, reference, known, self.radii, self.reach_px)
        found = refined(samples, reference, known, self.radii, self.reach_px)
        strayed = np.flatnonzero(found.agreement[:, 0] < 0)
        if not len(strayed):
            return found
        stayed = climb(samples[strayed], reference, known[strayed], self.radii[-1], self.reach_px, steps=0)
        return found.replaced(strayed, stayed.best(1))


def _joined(first: Poses, second: Poses) -> Poses:
    """Take the poses of both for each particle."""
    return Poses(
        np.concatenate([first.rotations, second.rotations], axis=1),
        np.concatenate([first.shift_px_xyz, second.shift_px_xyz], axis=1),
        np.concatenate([first.agreement, second.agreement], axis=1),
        np.concatenate([first.strength, second.strength], axis=1),
    )


def _between(coarse: float, finest: float) -> tuple[float, ...]:
    """Go from a radius to another in few steps, none by more than 1.6."""
    count = int(np.ceil(np.log(max(finest / coarse, 1.0)) / np.log(1.6)))
    return tuple(float(radius) for radius in np.geomspace(coarse, finest, count + 1))


@dataclass(frozen=True, eq=False)
class Placed:
    """Where a map was found in a batch of particles. Legend: P particles.

    Attributes
    ----------
    rotations : float64[P, 3, 3]
    shift_px_xyz : float64[P, 3]
        From where they were.
    score : float64[P]
        Correlation of the map with the whitened images.
    agreement : float64[P]
        See `search`.
    """

    rotations: Floats
    shift_px_xyz: Floats
    score: Floats
    agreement: Floats


@dataclass(frozen=True, eq=False)
class Aligned(Placed):
    """What became of a batch of particles.

    Attributes
    ----------
    cube : float32[2 c + 1, 2 c + 1, c + 1, 4]
        Their sum (`kernels.slices.insert_slices`).
    """

    cube: Reals


@dataclass(frozen=True, eq=False)
class AlignImages:
    """Aligns some particle images with a map and sums them; fit to be sent to another process.

    Attributes
    ----------
    reference : Reference
    plan : PosePlan
    grid : CubeGrid
        Of the sum.
    """

    reference: Reference
    plan: PosePlan
    grid: CubeGrid

    def __call__(self, images: ParticleImages, rotations: Floats, weights: Floats | None = None) -> Aligned:
        """Work on some particles, given the rotations known so far and how much each counts in the sum."""
        placed = self.placed(images, rotations)
        cube = self.summed(images, placed, np.ones(len(images)) if weights is None else weights)
        return Aligned(placed.rotations, placed.shift_px_xyz, placed.score, placed.agreement, cube)

    def placed(self, images: ParticleImages, rotations: Floats) -> Placed:
        """Find the map in some particles, given the rotations known so far."""
        finest = self.plan.radii[-1]
        samples = Samples.of(images, finest)
        found = self.plan.find(samples, self.reference, Poses.at(rotations))
        agreement, lost = found.agreement[:, 0], found.agreement[:, 0] < 0
        # Where a climb that led nowhere happened to end is no place to go on from.
        rotations = np.where(lost[:, None, None], rotations, found.rotations[:, 0])
        shift_px = np.where(lost[:, None], 0.0, found.shift_px_xyz[:, 0])
        seen = samples.seen(finest)
        return Placed(rotations, shift_px, np.sqrt(np.maximum(agreement, 0.0) / np.maximum(seen, 1.0)), agreement)

    def summed(self, images: ParticleImages, placed: Placed, weights: Floats) -> Reals:
        """Sum particles where the map was found, those it was not found in left out."""
        count = np.where(placed.agreement < 0, 0.0, weights)
        return inserted(images, placed.rotations, placed.shift_px_xyz, count, self.grid)


@dataclass(frozen=True, eq=False)
class AlignBatch:
    """Aligns particles of a source, either half with a map of its own; fit to be sent to another process.

    Attributes
    ----------
    source : ImageSource
    work : pair of AlignImages
        For either half.
    weights : float64[P]
        How much each particle of the source counts.
    """

    source: ImageSource
    work: tuple[AlignImages, AlignImages]
    weights: Floats

    def __call__(self, chosen: Indices) -> Aligned:
        """Work on some particles of one half and one tomogram."""
        particles = self.source.particles
        half = int(particles.half[chosen[0]])
        return self.work[half - 1](self.source.images(chosen), particles.matrices[chosen], self.weights[chosen])


def inserted(images: ParticleImages, rotations: Floats, shift_px_xyz: Floats, weights: Floats, grid: CubeGrid) -> Reals:
    """Sum images at given poses into a cube, the plane kx = 0 not completed."""
    n, n_tilts = images.box_px, images.visible.shape[1]
    back_px = -np.einsum("ptij,pj->pti", images.rotations[:, :, 1::-1], shift_px_xyz)
    centred_rft = images.images_rft * shift_phases(n, back_px)
    cube = np.zeros((*grid.shape, 4), np.float32)
    slices.insert_slices(
        cube,
        centred_rft.reshape(-1, n, n // 2 + 1),
        images.power.reshape(-1, n, n // 2 + 1),
        np.repeat(weights, n_tilts).astype(np.float32) * images.visible.ravel(),
        images.axes(rotations).reshape(-1, 2, 3),
        grid.scale,
        grid.reach,
        get_num_threads(),
    )
    return cube


def halves_apart(batches: Sequence[Indices], half: NDArray[np.int64]) -> list[Indices]:
    """Part each batch into the particles of half 1 and of half 2."""
    parts = [batch[half[batch] == number] for batch in batches for number in (1, 2)]
    return [part for part in parts if len(part)]
