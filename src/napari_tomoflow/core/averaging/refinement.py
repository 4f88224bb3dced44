"""Gold-standard refinement: particles aligned with, and summed into, two maps that never see each other.

Either half starts from the same map without its finer detail, and from then on is aligned with its own average alone.
How far the two agree, shell by shell, is what filters them, how much detail the next alignment looks at, how fine the
grid of the next iteration is, and when to stop. Detail coarser than the start owes its agreement to the start: where
the halves agree no further, there is no resolution.

Legend: P particles, n voxels of the box of an iteration, N of the last one.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.aligning import AlignBatch, Aligned, AlignImages, PosePlan, halves_apart
from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.fsc_curve import FscCurve, agreement_radius, fsc_curve, settled_fsc
from napari_tomoflow.core.averaging.images import ImageSource, Indices, batches
from napari_tomoflow.core.averaging.recipe import Recipe, ball
from napari_tomoflow.core.averaging.reconstruct import Reconstruction, solve, sum_halves, whole_sum
from napari_tomoflow.core.averaging.reference_maps import globally_filtered, locally_filtered, tight_mask
from napari_tomoflow.core.averaging.resizing import band_pass, resized, shell_filtered
from napari_tomoflow.core.averaging.search import Reference
from napari_tomoflow.core.averaging.selection import check_any_agrees, without_worst
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.ops.fourier import fourier_crop
from napari_tomoflow.core.ops.poses import quaternions_from_matrices
from napari_tomoflow.core.ops.so3 import angular_distance_deg, symmetry_operators
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import MapBatches, NoSteps, Steps, in_order

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
SourceAt = Callable[[int, float], ImageSource]
"""``source(box_px, pixel_ang)``: the particles' images on a grid."""

BATCH = 16
"""Particles of a half worked on together: about a second on one core, so that stopping is quick."""

_GAIN_SHELLS = 0.5
_PATIENCE = 2
"""Iterations that gain less than this on the finest grid end the refinement."""

_NO_RESOLUTION = 1.1
"""Frequency over that of the start up to which agreement proves nothing."""

_STEP = "refinement"


@dataclass(frozen=True, eq=False)
class State:
    """How far a refinement came.

    Attributes
    ----------
    particles : ParticleSet
    weights : float64[P]
        How much each counts in the next average.
    maps : float32[2, n, n, n]
        What either half is aligned with next: filtered and masked.
    radius : float
        Frequency up to which the halves agree, in steps of the box.
    history : tuple of dict
        What each iteration came to, in plain numbers.
    """

    particles: ParticleSet
    weights: Floats
    maps: Reals
    radius: float
    history: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, eq=False)
class Refined:
    """Where a refinement ended.

    Attributes
    ----------
    particles : ParticleSet
    average : Reconstruction
    curve : FscCurve
    resolution_ang : float or None
        None where the halves agree no further than the start they shared.
    weights : float64[P]
        How much each particle counted.
    history : tuple of dict
    mask : float32[N, N, N] or None
        That the halves were compared under.
    """

    particles: ParticleSet
    average: Reconstruction
    curve: FscCurve
    resolution_ang: float | None
    weights: Floats
    history: tuple[dict[str, Any], ...] = field(default=())
    mask: Reals | None = None


def refine_poses(
    source: SourceAt,
    start: Reals,
    recipe: Recipe,
    mask: Reals | None = None,
    report: Report = silent,
    map_batches: MapBatches = in_order,
    steps: Steps = NoSteps(),
) -> Refined:
    """Refine the poses of particles and average them, until the halves agree no better.

    Parameters
    ----------
    source : callable
        Its particles all belong to half 1 or 2.
    start : float32[N, N, N]
        Map to begin with, of the last box.
    recipe : Recipe
    mask : float32[N, N, N], optional
        A sphere by default.
    report, map_batches, steps
        See `core.report` and `core.stage`. Every iteration is kept.
    """
    course = _Course(source, recipe, ball(recipe) if mask is None else mask, map_batches)
    state = course.restored(steps) or course.begun(start)
    while True:
        sums, state = course.advanced(state, part(report, len(state.history), recipe.iterations))
        if _is_done(state, recipe):
            report(1, 1, "Refined")
            return course.ended(sums, state)
        # Only what another iteration will begin with: whoever goes on after the last one has to do that again.
        course.keep(steps, state)


def _is_done(state: State, recipe: Recipe) -> bool:
    """Tell whether the iterations are used up, or gain nothing any more."""
    history = state.history
    if len(history) >= recipe.iterations:
        return True
    late = history[-_PATIENCE - 1 :]
    # A search everywhere that is the first of its kind is followed by one around what it found.
    settled = len(late) > _PATIENCE and (recipe.search == "global" or not recipe.everywhere(len(history) - 1))
    same_grid = len({one["box_px"] for one in late}) == 1
    return settled and same_grid and late[-1]["radius"] - late[0]["radius"] < _GAIN_SHELLS


def align_and_sum(
    source: ImageSource,
    maps: Sequence[Reals],
    plan: PosePlan,
    symmetry: str,
    weights: Floats,
    report: Report = silent,
    map_batches: MapBatches = in_order,
) -> tuple[ParticleSet, list[Reals]]:
    """Align either half of the particles with a map of its own, and sum them at the poses found.

    Parameters
    ----------
    source : ImageSource
    maps : two float32[n, n, n]
        Filtered and masked, of the source's box.
    plan : PosePlan
    symmetry : str
    weights : float64[P]
        How much each particle counts in the sums.
    report, map_batches
        See `core.report` and `core.stage`.

    Returns
    -------
    particles : ParticleSet
        Moved and turned, with their scores.
    cubes : two float32[2 c + 1, 2 c + 1, c + 1, 4]
        Whole sums over either half, ready for `reconstruct.solve`.
    """
    grid, particles = CubeGrid(source.box_px), source.particles
    first, second = (AlignImages(Reference.of(volume, plan.radii[-1]), plan, grid) for volume in maps)
    jobs = halves_apart(batches(particles, 2 * BATCH), particles.half)
    cubes = [np.zeros((*grid.shape, 4), np.float32) for _ in range(2)]
    found = _Found.empty(len(particles))
    report(0, len(jobs), "Aligning")
    align = AlignBatch(source, (first, second), weights)
    for done, aligned in enumerate(map_batches(align, jobs)):
        chosen = jobs[done]
        cubes[int(particles.half[chosen[0]]) - 1] += aligned.cube
        found.take(chosen, aligned)
        report(done + 1, len(jobs), "Aligning")
    moved = found.applied(particles, source.pixel_ang)
    check_any_agrees(moved)
    return moved, [whole_sum(cube, symmetry, grid) for cube in cubes]


@dataclass(frozen=True, eq=False)
class _Course:
    """All that does not change from one iteration to the next."""

    source: SourceAt
    recipe: Recipe
    mask: Reals
    map_batches: MapBatches

    def begun(self, start: Reals) -> State:
        """Give either half the same map, without detail."""
        particles, radius = self._particles(), self._start_radius
        coarse = shell_filtered(start, band_pass(self.recipe.coarsest, radius)) * self.mask
        return State(particles, np.ones(len(particles)), np.stack([coarse, coarse]), radius)

    def _particles(self) -> ParticleSet:
        return self.source(self.recipe.box_px, self.recipe.pixel_ang).particles

    def keep(self, steps: Steps, state: State) -> None:
        """Keep the end of an iteration."""
        particles = state.particles
        steps.save(
            _STEP,
            {
                "centers_ang_zyx": particles.centers_ang_zyx,
                "quaternions_xyzw": particles.quaternions_xyzw,
                "score": particles.score,
                "weights": state.weights,
                "maps": state.maps,
                "radius": np.array(state.radius),
                "history": np.array(json.dumps(state.history)),
            },
        )

    def restored(self, steps: Steps) -> State | None:
        """Go on from what was kept; an iteration that was the last is done again."""
        kept = steps.load(_STEP)
        if kept is None:
            return None
        particles = self._particles().replace(
            **{name: kept[name] for name in ("centers_ang_zyx", "quaternions_xyzw", "score")}
        )
        history = tuple(json.loads(str(kept["history"])))
        return State(particles, kept["weights"], kept["maps"], float(kept["radius"]), history)

    def advanced(self, state: State, report: Report) -> tuple["_Sums", State]:
        """Align all particles with the map of their half, average them, and compare the halves."""
        recipe = self.recipe
        box_px = recipe.box_for(state.radius)
        source = self.source(box_px, recipe.width_ang / box_px).at(state.particles)
        grid = CubeGrid(box_px)
        doing = f"Refining at {recipe.width_ang / state.radius:.1f} Å"
        particles, cubes = self._aligned(source, state, grid, lambda done, total, _: report(done, total, doing))
        average = solve(cubes, grid, symmetry_operators(recipe.symmetry))
        mask = self._mask(average.halves, state.radius)
        curve = fsc_curve(*average.halves, recipe.width_ang / box_px, mask, recipe.seed)
        agreed = settled_fsc(curve.corrected, average.weight, recipe.coarsest)
        radius = max(self._start_radius, agreement_radius(curve.corrected))
        if recipe.local_filter:
            filtered = locally_filtered(average.halves, radius)
        else:
            filtered = globally_filtered(average.halves, agreed, radius + recipe.coarsest)
        beyond = band_pass(recipe.coarsest, box_px / 2)
        maps = np.stack([shell_filtered(half, beyond) for half in filtered]) * mask
        history = (*state.history, self._record(state, particles, box_px, radius, curve))
        after = State(particles, without_worst(particles, recipe.left_out), maps, radius, history)
        return _Sums(cubes, grid, curve, agreed, mask, state.weights), after

    def ended(self, sums: "_Sums", state: State) -> Refined:
        """Make the average of the last iteration, filtered by how far its masked halves agree."""
        if sums.grid.box_px != self.recipe.box_px:
            sums = self._at_full_size(sums, state)
        average = solve(sums.cubes, sums.grid, symmetry_operators(self.recipe.symmetry), sums.agreed)
        return Refined(
            particles=state.particles,
            average=average,
            curve=sums.curve,
            resolution_ang=self._resolution_ang(sums.curve),
            weights=sums.weights,
            history=state.history,
            mask=sums.mask,
        )

    def _at_full_size(self, sums: "_Sums", state: State) -> "_Sums":
        """Sum the particles where they are on the grid of the average, and compare the halves there."""
        recipe = self.recipe
        grid, source = CubeGrid(recipe.box_px), self.source(recipe.box_px, recipe.pixel_ang).at(state.particles)
        halves = sum_halves(source, grid, sums.weights, map_batches=self.map_batches)
        cubes = [whole_sum(cube, recipe.symmetry, grid) for cube in halves]
        raw = solve(cubes, grid, symmetry_operators(recipe.symmetry))
        mask = self._mask(raw.halves, state.radius)
        curve = fsc_curve(*raw.halves, recipe.pixel_ang, mask, recipe.seed)
        agreed = settled_fsc(curve.corrected, raw.weight, recipe.coarsest)
        return _Sums(cubes, grid, curve, agreed, mask, sums.weights)

    def _mask(self, halves: tuple[Reals, Reals], radius: float) -> Reals:
        """Return the mask on the grid of halves whose detail up to a radius was known before."""
        box_px, width_ang = len(halves[0]), self.recipe.width_ang
        widest = _cropped(self.mask, box_px)
        if not self.recipe.tight_mask:
            return widest
        return tight_mask(halves, widest, width_ang / box_px, width_ang / radius)

    def _aligned(
        self, source: ImageSource, state: State, grid: CubeGrid, report: Report
    ) -> tuple[ParticleSet, list[Reals]]:
        """Align the particles of a source, and sum either half."""
        plan = self._plan(len(state.history), grid.box_px, state.radius)
        maps = [resized(volume, grid.box_px) for volume in state.maps]
        return align_and_sum(source, maps, plan, self.recipe.symmetry, state.weights, report, self.map_batches)

    def _plan(self, number: int, box_px: int, radius: float) -> PosePlan:
        """Plan the search of an iteration."""
        recipe = self.recipe
        pixel_ang = recipe.width_ang / box_px
        # The next shells, of which halves tell too little by themselves, still say something of poses.
        finest_ang = recipe.width_ang / (radius + recipe.coarsest)
        plan = PosePlan.of(box_px, pixel_ang, recipe.diameter_ang, finest_ang, recipe.reach_ang, recipe.symmetry)
        if recipe.everywhere(number):
            return replace(plan, keeps_known=True)
        # Where nobody searches everywhere particles are still off as far as they were picked.
        return plan.around(plan.reach_px if number == 0 else plan.reach_px / 3)

    @property
    def _start_radius(self) -> float:
        """Return how far the halves agree by what they are given, in steps of the box."""
        return min(self.recipe.width_ang / self.recipe.start_ang, self.recipe.box_px / 2 - 1.0)

    def _resolution_ang(self, curve: FscCurve) -> float | None:
        """Return the resolution, where it is finer than what the halves had in common from the start."""
        found = curve.resolution_ang()
        limit_ang = self.recipe.width_ang / (_NO_RESOLUTION * self._start_radius)
        return found if found is not None and found < limit_ang else None

    def _record(
        self, state: State, particles: ParticleSet, box_px: int, radius: float, curve: FscCurve
    ) -> dict[str, Any]:
        """Say in plain numbers what an iteration came to."""
        turned_deg = angular_distance_deg(state.particles.matrices, particles.matrices, self.recipe.symmetry)
        moved_ang = np.linalg.norm(particles.centers_ang_zyx - state.particles.centers_ang_zyx, axis=1)
        resolution_ang = self._resolution_ang(curve)
        return {
            "box_px": box_px,
            "search": "global" if self.recipe.everywhere(len(state.history)) else "local",
            "radius": round(radius, 3),
            "resolution_ang": None if resolution_ang is None else round(resolution_ang, 3),
            "angular_change_deg": _quartiles(turned_deg),
            "shift_change_ang": _quartiles(moved_ang),
            "score": _quartiles(particles.score),
            "fsc": np.round(curve.corrected, 4).tolist(),
        }


@dataclass(frozen=True, eq=False)
class _Sums:
    """What an average is made from: the sums of both halves, whole, how the halves agreed, and what that comes to."""

    cubes: list[Reals]
    grid: CubeGrid
    curve: FscCurve
    agreed: Floats
    mask: Reals
    weights: Floats


@dataclass(frozen=True, eq=False)
class _Found:
    """Poses of all particles, filled in batch by batch."""

    rotations: Floats
    shift_px_xyz: Floats
    score: Floats

    @classmethod
    def empty(cls, count: int) -> "_Found":
        return cls(np.zeros((count, 3, 3)), np.zeros((count, 3)), np.zeros(count))

    def take(self, chosen: Indices, aligned: Aligned) -> None:
        self.rotations[chosen] = aligned.rotations
        self.shift_px_xyz[chosen] = aligned.shift_px_xyz
        self.score[chosen] = aligned.score

    def applied(self, particles: ParticleSet, pixel_ang: float) -> ParticleSet:
        """Move and turn particles."""
        return particles.replace(
            centers_ang_zyx=particles.centers_ang_zyx + pixel_ang * self.shift_px_xyz[:, ::-1],
            quaternions_xyzw=quaternions_from_matrices(self.rotations),
            score=self.score,
        )


def _cropped(mask: Reals, box_px: int) -> Reals:
    """Sample a mask on a coarser grid; its values stay."""
    return np.clip(fourier_crop(mask, (box_px,) * 3), 0.0, 1.0)


def _quartiles(values: Floats) -> list[float]:
    return [round(float(value), 4) for value in np.percentile(values, (25, 50, 75))]
