"""A first map of few particles, each summed in all poses as likely as they are, ever more sharply.

Where few particles show little each, the best pose of a particle in a poor map is a wrong one, and the map made of such
poses is found in the images again. So no pose is chosen: every particle is summed in all rotations and shifts, as
likely as the map makes them. The noise of the images is at first taken to be larger than it is, so that nearly all
poses are alike, then smaller and smaller, until the best ones are left (annealing). All particles go into every step,
and detail is there from the beginning: at low resolution few images tell one pose from another. Of several random
starts the one whose map is found best in the images wins.

How likely is a pose: ``exp(agreement / temperature)`` with the agreement of `core.averaging.search`, a gain in log
likelihood if noise had power 1 and were white. What it is, the spread of the agreements' square roots over all poses
tells: twice its variance is the temperature at which likelihoods are what they say.

References
----------
Scheres 2012, doi:10.1016/j.jsb.2012.09.006, for likelihoods of poses; Ueda and Nakano 1998,
doi:10.1016/S0893-6080(97)00133-0, for annealing them.
"""

from dataclasses import dataclass

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from threadpoolctl import threadpool_limits

from napari_tomoflow.core.averaging.aligning import inserted
from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.images import ImageSource, ParticleImages, batches
from napari_tomoflow.core.averaging.initial import FirstMap, shaped
from napari_tomoflow.core.averaging.reconstruct import complete_plane, solve
from napari_tomoflow.core.averaging.samples import Samples
from napari_tomoflow.core.averaging.search import Reference, lattice_within, shifts_within
from napari_tomoflow.core.averaging.symmetry_axis import Frame, centroid_px_xyz
from napari_tomoflow.core.kernels import poses as kernels
from napari_tomoflow.core.kernels import slices
from napari_tomoflow.core.ops.so3 import rotation_grid
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import MapBatches, NoSteps, Steps, in_order

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Indices = NDArray[np.int64]

_HOTTEST, _COLDEST = 1.2, 0.4
"""Temperatures of the first and of the last step, in that of the noise."""

_STEP_SHARE = 1.3
"""Step of rotations over what the resolution asks for (Crowther): likelihoods are smooth, and nothing climbs."""

_REACH_SHARE = 0.08
"""Shifts looked at, in diameters at most; what lies farther off is found in the end, when all is aligned."""

_TRUST = 1 / 3
"""Correlation of halves that maps are filtered by: half of each shell of the sum is taken for signal."""

_LOT = 64
_LEAST_POWER = 1e-9
_FADING_STEPS = 2.0
_STEP = "annealing_{}"


@dataclass(frozen=True)
class Annealing:
    """How a first map of few particles is made.

    Attributes
    ----------
    diameter_ang : float
        Of the particle.
    resolution_ang : float
        Of all steps.
    reach_ang : float
        How far particles may be off.
    iterations, starts : int
    seed : int
    """

    diameter_ang: float
    resolution_ang: float
    reach_ang: float = 30.0
    iterations: int = 25
    starts: int = 6
    seed: int = 1

    @property
    def step_deg(self) -> float:
        """Distance of the rotations that are looked at."""
        return float(np.rad2deg(min(_STEP_SHARE * self.resolution_ang / self.diameter_ang, 0.5)))

    def temperature_at(self, iteration: int) -> float:
        """Return the temperature of a step, in that of the noise: it falls by the same factor every time."""
        share = iteration / max(1, self.iterations - 1)
        return float(_HOTTEST * (_COLDEST / _HOTTEST) ** share)


@dataclass(frozen=True, eq=False)
class Spread:
    """What became of a lot of particles. Legend: P particles.

    Attributes
    ----------
    cube : float32[2 c + 1, 2 c + 1, c + 1, 4]
        Their sum (`kernels.slices.insert_slices`).
    score : float64[P]
        Correlation of the map with the whitened images at the best pose.
    """

    cube: Reals
    score: Floats


@dataclass(frozen=True, eq=False)
class SpreadImages:
    """Sums some particles over all poses, as likely as a map makes them; fit to be sent to another process.

    Attributes
    ----------
    reference : Reference
    rotations : float64[R, 3, 3]
        Of the map, all that are looked at.
    radius : float
        Frequencies looked at, in steps of the box.
    reach_px : float
        Largest shift.
    temperature : float
        In that of the noise.
    grid : CubeGrid
        Of the sum.
    """

    reference: Reference
    rotations: Floats
    radius: float
    reach_px: float
    temperature: float
    grid: CubeGrid

    def __call__(self, images: ParticleImages) -> Spread:
        """Work on some particles."""
        samples = Samples.of(images, self.radius)
        points, numbers = lattice_within(self.radius)
        sums, power = (
            np.empty((len(images), len(points)), np.complex64),
            np.empty((len(images), len(points)), np.float32),
        )
        kernels.gather_on_lattice(sums, power, samples.values, samples.power, samples.rows, samples.places, numbers)
        shifts_px = shifts_within(self.reach_px, self.radius, images.box_px)
        ramps = np.exp(2j * np.pi / images.box_px * shifts_px @ points.T).astype(np.complex64)
        shifted = sums[:, None] * ramps
        rows = np.concatenate([shifted.real, shifted.imag], axis=2)
        at = points.astype(np.float32)
        with threadpool_limits(1, "blas"):  # how many threads share a product shows in its last digits
            likelihood, best = self._likelihoods(rows, power, at)
            cube = self._summed(likelihood, rows, power, at)
        return Spread(cube, np.sqrt(best / np.maximum(samples.seen(self.radius), 1.0)))

    def _likelihoods(self, rows: Reals, power: Reals, points: Reals) -> tuple[Reals, Floats]:
        """Return how likely all poses are, and the agreement of the best: float32[P, T, R] and float64[P]."""
        turned = np.empty((len(self.rotations), 2, len(points)), np.float32)
        squared = np.empty((len(self.rotations), len(points)), np.float32)
        turning = (self.rotations * self.reference.grid.scale).astype(np.float32)
        kernels.turn_onto_lattice(turned, squared, self.reference.cube_rft, turning, points)
        agreement = rows @ turned.reshape(len(turned), -1).T
        norm = np.maximum(power @ squared.T, _LEAST_POWER)[:, None]
        agreement /= np.sqrt(norm)
        # What all poses have in common is no noise: a round map agrees alike with a particle turned any way.
        noise = max(2.0 * float(agreement.reshape(len(rows), -1).var(axis=1, dtype=np.float64).mean()), _LEAST_POWER)
        np.maximum(agreement, 0.0, out=agreement)
        agreement *= agreement
        best = agreement.max(axis=(1, 2))
        likelihood = np.exp((agreement - best[:, None, None]) / np.float32(self.temperature * noise))
        likelihood /= likelihood.sum(axis=(1, 2), keepdims=True)
        return likelihood, best.astype(np.float64)

    def _summed(self, likelihood: Reals, rows: Reals, power: Reals, points: Reals) -> Reals:
        """Sum the particles, each over all its poses."""
        n_rotations, n_points = likelihood.shape[2], len(points)
        values = likelihood.reshape(-1, n_rotations).T @ rows.reshape(-1, 2 * n_points)
        weights = likelihood.sum(axis=1).T @ power
        cube = np.zeros((*self.grid.shape, 4), np.float32)
        turning = (self.rotations * self.grid.scale).astype(np.float32)
        slices.insert_lattices(
            cube, values.reshape(n_rotations, 2, n_points), weights, turning, points, get_num_threads()
        )
        return cube


def annealed_map(
    source: ImageSource,
    annealing: Annealing,
    report: Report = silent,
    map_batches: MapBatches = in_order,
    steps: Steps = NoSteps(),
) -> FirstMap:
    """Make a map from few particles whose poses nobody knows.

    Parameters
    ----------
    source : ImageSource
        Images at the pixel the map is to have.
    annealing : Annealing
    report, map_batches, steps
        See `core.report` and `core.stage`. Every start is kept.
    """
    particles = source.particles
    lots = [source.images(lot) for lot in batches(particles, _LOT)]
    course = _Course(annealing, lots, source.box_px, source.pixel_ang, map_batches)
    volumes, scores = [], []
    for start in range(annealing.starts):
        kept = steps.load(_STEP.format(start))
        if kept is None:
            volume, score = course.run(start, report)
            kept = {"volume": volume, "score": score}
            steps.save(_STEP.format(start), kept)
        volumes.append(kept["volume"])
        scores.append(kept["score"])
    best = int(np.argmax([score[-1] for score in scores]))
    volume = np.asarray(Frame(np.eye(3), centroid_px_xyz(volumes[best])).seen(volumes[best]))
    quality = {
        "iterations": annealing.iterations,
        "particles_drawn": len(particles),
        "score": np.round(scores[best], 5).tolist(),
        "score_of_starts": [round(float(score[-1]), 5) for score in scores],
        "self_agreement": 1.0,
        "occupancy": [1.0],
    }
    return FirstMap(volume[None], quality)


@dataclass(frozen=True, eq=False)
class _Course:
    """All that does not change on the way."""

    annealing: Annealing
    lots: list[ParticleImages]
    box_px: int
    pixel_ang: float
    map_batches: MapBatches

    @property
    def radius(self) -> float:
        """Frequencies looked at, in steps of the box."""
        return min(self.box_px * self.pixel_ang / self.annealing.resolution_ang, self.box_px / 2 - 1)

    @property
    def grid(self) -> CubeGrid:
        """Of all sums and maps."""
        return CubeGrid(self.box_px, 1.0, min(self.radius + _FADING_STEPS + 1.0, self.box_px / 2))

    def run(self, start: int, report: Report) -> tuple[Reals, Floats]:
        """Go from poses at random to a map: the map, and the mean score of each step."""
        annealing = self.annealing
        volume = self._solved(
            [_at_random(lot, self.grid, (annealing.seed, start, n)) for n, lot in enumerate(self.lots)]
        )
        rotations = rotation_grid(annealing.step_deg, "C1")
        reach_px = min(annealing.reach_ang, _REACH_SHARE * annealing.diameter_ang) / self.pixel_ang
        scores = []
        for iteration in range(annealing.iterations):
            report(start * annealing.iterations + iteration, annealing.starts * annealing.iterations, "Annealing")
            reference = Reference.of(volume, self.radius)
            work = SpreadImages(
                reference, rotations, self.radius, reach_px,
                annealing.temperature_at(iteration), self.grid,
            )  # fmt: skip
            lots = list(self.map_batches(_spread, [(work, lot) for lot in self.lots]))
            volume = self._solved([lot.cube for lot in lots])
            scores.append(np.concatenate([lot.score for lot in lots]).mean())
        return volume, np.array(scores)

    def _solved(self, cubes: list[Reals]) -> Reals:
        """Make the map of a step from the sums of all lots; halves would tell nothing, as they share their map."""
        half = np.asarray(0.5 * np.sum(cubes, axis=0), np.float32)
        complete_plane(half)
        trusted = np.full(self.box_px // 2 + 1, _TRUST)
        volume = solve([half, half], self.grid, np.eye(3)[None], trusted).volume
        return shaped(volume, self.pixel_ang, self.annealing.diameter_ang, self.annealing.resolution_ang)


def _at_random(images: ParticleImages, grid: CubeGrid, seed: tuple[int, ...]) -> Reals:
    """Sum a lot in poses drawn at random."""
    turns = np.asarray(Rotation.random(len(images), random_state=np.random.default_rng(seed)).as_matrix())
    return inserted(images, turns, np.zeros((len(images), 3)), np.ones(len(images)), grid)


def _spread(job: tuple[SpreadImages, ParticleImages]) -> Spread:
    work, images = job
    return work(images)
