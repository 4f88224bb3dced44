"""A first map from nothing, by stochastic descent.

Small lots of particles, drawn at random, are aligned with what there is of a map and summed; the sums of older lots
fade, as the poses they rest on were found with a worse map. Two streams of lots are kept apart: by how far they agree,
shell by shell, the sum of both is filtered (Wiener). Detail is let in slowly, from 100 Å, or less for small particles,
down to the target. Several starts from random poses go side by side over the same lots; the one that explains them best
goes on alone. Where there is symmetry, its map is turned onto each set of axes that it may have, and the same contest
is held once more: which axes are false shows in the images, not in a map that is still coarse.

A start may be of several maps, which compete for every particle (`competing`). At first each is held against its own
mean, so that particles go to the map they favour more than others do, and none takes all.

The sums are those of a full average, so a step of the descent is as long as the curvature says, and no learning rate is
left but how fast older lots fade. What no tilt has measured stays empty.

References
----------
Chen et al. 2019, doi:10.1038/s41592-019-0591-8, for lots and resolution; Kimanius et al. 2021,
doi:10.1042/BCJ20210708, for momentum and the two streams.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.aligning import AlignImages, PosePlan, inserted
from napari_tomoflow.core.averaging.competing import Shared, ShareImages
from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.images import ImageSource, ParticleImages, batches
from napari_tomoflow.core.averaging.reconstruct import complete_plane, solve, symmetrised
from napari_tomoflow.core.averaging.resizing import band_pass, shell_filtered
from napari_tomoflow.core.averaging.search import Reference
from napari_tomoflow.core.averaging.symmetry_axis import Frame, centroid_px_xyz, likely_axes
from napari_tomoflow.core.ops.masks import soft_sphere
from napari_tomoflow.core.ops.so3 import symmetry_operators
from napari_tomoflow.core.report import Report, part, silent, watched
from napari_tomoflow.core.stage import MapBatches, NoSteps, Steps, in_order

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Indices = NDArray[np.int64]

_FIRST_ANG, _FIRST_SHARE = 100.0, 0.4
"""Resolution of the first map, and its share of the diameter at most: a small particle is to be more than a blob."""

_LOT = 12
"""Particles of a lot (Chen et al. 2019)."""

_MOST_PARTICLES = 600
"""Drawn from more: enough for the target's resolution, and all that is held in memory."""

_ALONE_AFTER = 0.4
_SYMMETRIC_AFTER = 0.6
_AT_TARGET_AFTER = 0.7
_AXES_SURE_AFTER = 0.75
"""Shares of the iterations after which one start is left, symmetry is imposed, the target is reached, and one set of
axes is left."""

_FREE_AFTER = 0.5
"""Share of the iterations after which maps compete for particles as they are, however few one is left with."""

_MOST_AXES = 3
"""Sets of axes that are tried."""

_KEPT_FIRST, _KEPT_LAST = 0.4, 0.8
"""What an iteration leaves of the older sums, at first and in the end."""

_EDGE_PX = 3.0
_FADING_STEPS = 2.0
_AXES_AT_ANG = 50.0
_SCORES_COUNTED = 3
_ITERATIONS_PER_SAVE = 5
_STEP = "initial_model"


@dataclass(frozen=True)
class Descent:
    """How a first map is made.

    Attributes
    ----------
    diameter_ang : float
        Of the particle.
    resolution_ang : float
        Where it ends.
    symmetry : str
    reach_ang : float
        How far particles may be off.
    iterations, starts, lots : int
        Lots are those of one iteration, half of them for either stream.
    seed : int
    classes : int
        Maps that compete for the particles; several have no symmetry.
    """

    diameter_ang: float
    resolution_ang: float
    symmetry: str = "C1"
    reach_ang: float = 30.0
    iterations: int = 50
    starts: int = 3
    lots: int = 4
    seed: int = 1
    classes: int = 1

    def resolution_at(self, iteration: int) -> float:
        """Return the resolution of an iteration, in Å: frequency rises evenly from the first to the target."""
        share = min(1.0, iteration / max(1.0, _AT_TARGET_AFTER * self.iterations))
        coarse = max(min(_FIRST_ANG, _FIRST_SHARE * self.diameter_ang), self.resolution_ang)
        return 1.0 / ((1.0 - share) / coarse + share / self.resolution_ang)

    def kept_at(self, iteration: int) -> float:
        """Return the share of the older sums that an iteration leaves."""
        return _KEPT_FIRST + (_KEPT_LAST - _KEPT_FIRST) * min(1.0, iteration / max(1, self.iterations - 1))

    def plan(self, iteration: int, box_px: int, pixel_ang: float) -> PosePlan:
        """Plan the search of an iteration."""
        symmetry = self.symmetry if self.is_symmetric(iteration) else "C1"
        resolution = self.resolution_at(iteration)
        return PosePlan.of(box_px, pixel_ang, self.diameter_ang, resolution, self.reach_ang, symmetry)

    def is_symmetric(self, iteration: int) -> bool:
        """Tell whether symmetry is imposed by then."""
        return len(symmetry_operators(self.symmetry)) > 1 and iteration > _SYMMETRIC_AFTER * self.iterations

    def is_even(self, iteration: int) -> bool:
        """Tell whether an iteration gives all maps a fair share of the particles."""
        return iteration < _FREE_AFTER * self.iterations

    def chooses(self, iteration: int) -> bool:
        """Tell whether only the best goes on after an iteration."""
        return iteration + 1 in {math.ceil(share * self.iterations) for share in (_ALONE_AFTER, _AXES_SURE_AFTER)}


@dataclass(frozen=True, eq=False)
class FirstMap:
    """What the descent ended at.

    Attributes
    ----------
    volumes : float32[K, n, n, n]
        Of each class, the one of most particles first. Masked, low-passed at the target; centred, the axes where the
        symmetry has them.
    quality : dict
        In plain numbers.
    """

    volumes: Reals
    quality: dict[str, Any]

    @property
    def volume(self) -> Reals:
        """The first map, or the only one."""
        return np.asarray(self.volumes[0])


@dataclass(frozen=True, eq=False)
class _Start:
    """One of the starts. Legend: K classes.

    Attributes
    ----------
    volumes : float32[K, n, n, n]
        Its maps.
    sums : float32[K, 2, 2 c + 1, 2 c + 1, c + 1, 4]
        Of both streams, that they stand on.
    scores : float64[iterations]
        Mean of each iteration.
    agreement, occupancy : float64[K]
        Of particles with each map, their mean, and the share of them it had, in the last iteration.
    self_agreement : float
        Of the map, before symmetry was imposed, with itself turned about the axes found.
    """

    volumes: Reals
    sums: Reals
    scores: Floats
    agreement: Floats
    occupancy: Floats
    self_agreement: float = 1.0


_COLUMNS = tuple(field.name for field in fields(_Start))


def first_map(
    source: ImageSource,
    descent: Descent,
    report: Report = silent,
    map_batches: MapBatches = in_order,
    steps: Steps = NoSteps(),
) -> FirstMap:
    """Make a map from particles whose poses nobody knows.

    Parameters
    ----------
    source : ImageSource
        Images at the pixel the map is to have.
    descent : Descent
    report, map_batches, steps
        See `core.report` and `core.stage`. Every few iterations are kept.
    """
    shares = descent.iterations + 1
    lots = _drawn_lots(source, descent, part(report, 0, shares))
    course = _Course(descent, lots, source.box_px, source.pixel_ang, map_batches)
    first, starts = course.begun(steps)
    for iteration in range(first, descent.iterations):
        starts = course.advanced(starts, iteration, part(report, iteration + 1, shares))
        if descent.chooses(iteration):
            starts = [max(starts, key=lambda start: start.scores[-_SCORES_COUNTED:].mean())]
        if descent.is_symmetric(iteration + 1) and not descent.is_symmetric(iteration):
            starts = course.on_axes(starts[0], iteration)
        if (iteration + 1) % _ITERATIONS_PER_SAVE == 0:
            course.keep(steps, iteration + 1, starts)
    return course.ended(starts[0])


def _drawn_lots(source: ImageSource, descent: Descent, report: Report) -> list[ParticleImages]:
    """Draw particles and read their images, in lots of one tomogram each."""
    rng = np.random.default_rng([descent.seed, 0])
    order = rng.permutation(len(source.particles))[:_MOST_PARTICLES]
    # Few particles make smaller lots, lest a stream stay empty.
    drawn = batches(source.particles[order], max(1, min(_LOT, len(order) // descent.lots)))
    return [source.images(order[lot]) for lot in watched(drawn, report, "Reading particles")]


@dataclass(frozen=True, eq=False)
class _Course:
    """All that does not change on the way."""

    descent: Descent
    lots: list[ParticleImages]
    box_px: int
    pixel_ang: float
    map_batches: MapBatches

    @property
    def grid(self) -> CubeGrid:
        """Of all sums and maps."""
        finest = self.box_px * self.pixel_ang / self.descent.resolution_ang
        return CubeGrid(self.box_px, radius=min(finest + _FADING_STEPS + 1.0, self.box_px / 2))

    def begun(self, steps: Steps) -> tuple[int, list[_Start]]:
        """Go on from what was kept, or begin from random poses."""
        kept = steps.load(_STEP)
        if kept is None:
            return 0, [self._random_start(number) for number in range(self.descent.starts)]
        columns = (kept[name] for name in _COLUMNS)
        return int(kept["iteration"]), [_Start(*each) for each in zip(*columns, strict=True)]

    def keep(self, steps: Steps, iteration: int, starts: list[_Start]) -> None:
        """Keep how far it came."""
        columns = {name: np.stack([getattr(start, name) for start in starts]) for name in _COLUMNS}
        steps.save(_STEP, {"iteration": np.array(iteration), **columns})

    def _random_start(self, number: int) -> _Start:
        """Sum a few lots in poses drawn at random, for each class."""
        from scipy.spatial.transform import Rotation

        rng = np.random.default_rng([self.descent.seed, 1, number])
        sums = np.zeros((self.descent.classes, 2, *self.grid.shape, 4), np.float32)
        for own in sums:
            for place, lot in enumerate(self._chosen(rng)):
                images = self.lots[lot]
                turns = np.asarray(Rotation.random(len(images), random_state=rng).as_matrix())
                own[place % 2] += inserted(images, turns, np.zeros((len(images), 3)), np.ones(len(images)), self.grid)
        volumes = np.stack([self._solved(own, "C1", 0) for own in sums])
        nothing = np.zeros(self.descent.classes)
        return _Start(volumes, np.zeros_like(sums), np.zeros(0), nothing, nothing)

    def _chosen(self, rng: np.random.Generator) -> Indices:
        return rng.permutation(len(self.lots))[: self.descent.lots]

    def advanced(self, starts: list[_Start], iteration: int, report: Report) -> list[_Start]:
        """Align the same lots with every start, and sum them."""
        descent = self.descent
        chosen = self._chosen(np.random.default_rng([descent.seed, 2, iteration]))
        plan = descent.plan(iteration, self.box_px, self.pixel_ang)
        jobs = [(work, self.lots[lot]) for work in self._work(starts, plan, iteration) for lot in chosen]
        doing = f"Initial model at {descent.resolution_at(iteration):.0f} Å"
        report(0, len(jobs), doing)
        sums = np.zeros((len(starts), descent.classes, 2, *self.grid.shape, 4), np.float32)
        shared: list[list[Shared]] = [[] for _ in starts]
        for job, made in enumerate(self.map_batches(_share, jobs)):
            start, place = divmod(job, len(chosen))
            sums[start, :, place % 2] += made.cubes
            shared[start].append(replace(made, cubes=made.cubes[:0]))
            report(job + 1, len(jobs), doing)
        return [
            self._updated(start, new, lots, iteration) for start, new, lots in zip(starts, sums, shared, strict=True)
        ]

    def _work(self, starts: list[_Start], plan: PosePlan, iteration: int) -> list[ShareImages]:
        """Prepare the maps of every start."""
        return [
            ShareImages(
                tuple(AlignImages(Reference.of(one, plan.radii[-1]), plan, self.grid) for one in start.volumes),
                start.agreement if self.descent.is_even(iteration) else np.zeros_like(start.agreement),
            )
            for start in starts
        ]

    def _updated(self, start: _Start, new: Reals, lots: list[Shared], iteration: int) -> _Start:
        """Let older sums fade, and make the next maps."""
        sums = np.asarray(np.float32(self.descent.kept_at(iteration)) * start.sums + new, np.float32)
        # The axes are where the symmetry has them only in sums made since they were found.
        symmetry = self.descent.symmetry if self.descent.is_symmetric(iteration) else "C1"
        return replace(
            start,
            volumes=np.stack([self._solved(own, symmetry, iteration + 1) for own in sums]),
            sums=sums,
            scores=np.append(start.scores, np.concatenate([lot.score for lot in lots]).mean()),
            agreement=np.concatenate([lot.agreement for lot in lots]).mean(axis=0),
            occupancy=np.concatenate([lot.shares for lot in lots]).mean(axis=0),
        )

    def _solved(self, sums: Reals, symmetry: str, iteration: int) -> Reals:
        """Make the map an iteration begins with: filtered, of its resolution, masked."""
        operators = symmetry_operators(symmetry)
        cubes = [sums[0].copy(), sums[1].copy()]
        for cube in cubes:
            complete_plane(cube)
        if len(operators) > 1:
            cubes = [symmetrised(cube, operators, self.grid) for cube in cubes]
        volume = solve(cubes, self.grid, operators).volume
        return shaped(volume, self.pixel_ang, self.descent.diameter_ang, self.descent.resolution_at(iteration))

    def on_axes(self, start: _Start, iteration: int) -> list[_Start]:
        """Turn a map onto all axes that it may have; the sums, of the old frame, are given up."""
        resolution_ang = self.descent.resolution_at(iteration)
        radius = min(self.box_px * self.pixel_ang / max(resolution_ang, _AXES_AT_ANG), self.box_px / 2 - 1)
        operators = symmetry_operators(self.descent.symmetry)
        return [
            replace(
                start,
                volumes=shaped(
                    frame.seen(start.volumes[0], operators), self.pixel_ang, self.descent.diameter_ang, resolution_ang
                )[None],
                sums=np.zeros_like(start.sums),
                self_agreement=frame.agreement,
            )
            for frame in likely_axes(start.volumes[0], self.descent.symmetry, radius)[:_MOST_AXES]
        ]

    def ended(self, start: _Start) -> FirstMap:
        """Centre the maps, and say how they came about."""
        order = np.argsort(-start.occupancy, kind="stable")
        volumes = start.volumes[order]
        if len(symmetry_operators(self.descent.symmetry)) == 1:
            volumes = np.stack([Frame(np.eye(3), centroid_px_xyz(one)).seen(one) for one in volumes])
        quality = {
            "iterations": self.descent.iterations,
            "particles_drawn": sum(map(len, self.lots)),
            "score": [round(float(score), 5) for score in start.scores],
            "self_agreement": round(float(start.self_agreement), 4),
            "occupancy": np.round(start.occupancy[order], 4).tolist(),
        }
        return FirstMap(volumes, quality)


def shaped(volume: Reals, pixel_ang: float, diameter_ang: float, resolution_ang: float) -> Reals:
    """Filter a first map, from its diameter to a resolution, and mask it."""
    width_ang = len(volume) * pixel_ang
    gain = band_pass(width_ang / diameter_ang, width_ang / resolution_ang, _FADING_STEPS)
    inside = soft_sphere(len(volume), 0.5 * diameter_ang / pixel_ang + 1.0, _EDGE_PX)
    return shell_filtered(volume, gain) * inside


def _share(job: tuple[ShareImages, ParticleImages]) -> Shared:
    work, images = job
    return work(images)
