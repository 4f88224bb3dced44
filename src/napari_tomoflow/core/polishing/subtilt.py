"""Refinement of every image of every particle by itself, as EMAN2 does it, in two halves that never see each other.

In rounds, each image is compared with the map of its particle's own half: from the known pose and random ones beside
it, from coarse to fine (`subtilt_search`). Then both halves are averaged anew from the images where they were found,
weighed by how well they agree (`subtilt_weights`), and a round counts only if the halves then agree better. All the
halves share is two numbers: how far images stray. The map of an image's half holds the image's own noise, too, which
draws it to where it was: the more so the fewer particles there are.

References
----------
Chen et al. 2019, doi:10.1038/s41592-019-0591-8, the subtilt refinement.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.aligning import halves_apart
from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.fsc_curve import FscCurve, agreement_radius, fsc_curve
from napari_tomoflow.core.averaging.images import Indices, batches
from napari_tomoflow.core.averaging.reconstruct import Reconstruction
from napari_tomoflow.core.averaging.resizing import resized, shell_filtered
from napari_tomoflow.core.averaging.samples import places_within
from napari_tomoflow.core.averaging.search import Reference
from napari_tomoflow.core.averaging.series_images import DatasetImages
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.ops.fourier import next_fast_size
from napari_tomoflow.core.polishing.averaged import Averaged, Species
from napari_tomoflow.core.polishing.subtilt_images import SubtiltImages, Subtilts
from napari_tomoflow.core.polishing.subtilt_search import FoundSubtilts, Spread, SubtiltPlan, search_subtilts
from napari_tomoflow.core.polishing.subtilt_weights import scores_of, weights_of
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import MapBatches, NoSteps, Steps, in_order

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
SourceAt = Callable[[int, float], DatasetImages]
"""``source(box_px, pixel_ang)``: the particles' images on a grid."""

BATCH = 16
"""Particles worked on together: about a second on one core, so that stopping is quick."""

_TURNS = 4
"""Times the spread is learned anew; it is within a few percent after three."""

_LEAST_RADIUS = 4.0
"""Frequency, in steps of the box, that any comparison reaches to."""

_STEP = "subtilts"
_SPARE_SHELLS = 3
_FULL_SHARE = 0.85
"""Share of the whole box from which on it is used itself."""


@dataclass(frozen=True)
class SubtiltSettings:
    """How images are refined by themselves.

    Attributes
    ----------
    rounds : int
        At most; the last one may be without effect.
    tries : int
        Poses each image is climbed from.
    coarse_ang : float
        Resolution of the first comparison.
    outlier_sd, least_strength : float
        See `subtilt_weights.weights_of`.
    first_spread : Spread
        How far images are thought to stray before any was looked at.
    learned_from : int
        Particles of either half that tell how far they do.
    seed : int
    """

    rounds: int = 2
    tries: int = 6
    coarse_ang: float = 40.0
    outlier_sd: float = 2.0
    least_strength: float = 0.25
    first_spread: Spread = field(default_factory=lambda: Spread(1.0, 3.0))
    learned_from: int = 32
    seed: int = 1


@dataclass(frozen=True, eq=False)
class RefinedSubtilts:
    """What refinement of single images came to.

    Attributes
    ----------
    subtilts : Subtilts
        As the alignment has them where nothing better was found.
    average : Reconstruction or None
        None where nothing better was found.
    curve : FscCurve
    history : tuple of dict
        What each round came to, in plain numbers.
    """

    subtilts: Subtilts
    average: Reconstruction | None
    curve: FscCurve
    history: tuple[dict[str, Any], ...] = field(default=())


@dataclass(frozen=True, eq=False)
class SearchBatch:
    """Refines the images of a batch of particles of one half; fit to be sent to another process.

    Attributes
    ----------
    source : DatasetImages
    references : pair of Reference
    plan : SubtiltPlan
    """

    source: DatasetImages
    references: tuple[Reference, Reference]
    plan: SubtiltPlan

    def __call__(self, chosen: Indices) -> FoundSubtilts:
        """Work on some particles of one half and one tomogram."""
        particles = self.source.particles[chosen]
        reference = self.references[int(particles.half[0]) - 1]
        images = self.source.images(chosen)
        return search_subtilts(images, particles.matrices, particles.ids, reference, self.plan)


def refine_subtilts(
    source: SourceAt,
    halves: tuple[Reals, Reals],
    species: Species,
    settings: SubtiltSettings = SubtiltSettings(),
    report: Report = silent,
    map_batches: MapBatches = in_order,
    steps: Steps = NoSteps(),
    name: str = "",
) -> RefinedSubtilts:
    """Refine every image of every particle by itself, and average them, as long as the halves agree better.

    Parameters
    ----------
    source : callable
        Its particles, all of half 1 or 2, lie where averaging left them.
    halves : pair of float32[N, N, N]
        Average of either half, unfiltered, of the species' box.
    species : Species
        How they are averaged.
    settings : SubtiltSettings
    report, map_batches, steps
        See `core.report` and `core.stage`. Every round that counts is kept.
    name : str
        Of the species, by which it is kept.
    """
    course = _Course(source, species, settings, map_batches)
    whole, recipe = course.whole, species.recipe
    curve = fsc_curve(*halves, recipe.pixel_ang, species.mask, recipe.seed)
    best = RefinedSubtilts(Subtilts.of(whole.dataset.alignments, whole.particles), None, curve)
    spread = settings.first_spread
    kept = steps.load(f"{_STEP}_{name}")
    if kept is not None:
        best, spread = course.restored(kept)
    for number in range(len(best.history), settings.rounds):
        share = part(report, number, settings.rounds)
        known = halves if best.average is None else best.average.halves
        subtilts, spread, record = course.searched(known, best.curve, spread, part(share, 0, 2))
        made = course.averaged(subtilts, part(share, 1, 2))
        better = _agreed(made.curve) > _agreed(best.curve)
        agreement = round(_agreed(made.curve), 4)
        record |= {"resolution_ang": made.curve.resolution_ang(), "agreement": agreement, "taken": better}
        history = (*best.history, record)
        if not better:
            report(1, 1, "Refined images")
            return replace(best, history=history)
        best = RefinedSubtilts(subtilts, made.result, made.curve, history)
        steps.save(f"{_STEP}_{name}", course.arrays(subtilts, made, spread, history))
    return best


def _agreed(curve: FscCurve) -> float:
    """Return in how many shells the halves agree, counting parts."""
    return float(np.clip(curve.corrected[1:], 0.0, 1.0).sum())


@dataclass(frozen=True, eq=False)
class _Course:
    """All that does not change from one round to the next."""

    source: SourceAt
    species: Species
    settings: SubtiltSettings
    map_batches: MapBatches

    @property
    def whole(self) -> DatasetImages:
        """Images on the grid of the average."""
        return self.source(self.species.recipe.box_px, self.species.recipe.pixel_ang)

    def arrays(
        self, subtilts: Subtilts, made: Averaged, spread: Spread, history: tuple[dict[str, Any], ...]
    ) -> dict[str, NDArray[Any]]:
        """Lay out the end of a round."""
        return {
            **{one.name: getattr(subtilts, one.name) for one in fields(Subtilts)},
            "cubes": np.stack(made.cubes),
            "spread": np.array([spread.turn_deg, spread.shift_ang]),
            "history": np.array(json.dumps(history)),
        }

    def restored(self, kept: dict[str, NDArray[Any]]) -> tuple[RefinedSubtilts, Spread]:
        """Take up the end of a round."""
        recipe = self.species.recipe
        made = Averaged.of(list(kept["cubes"]), CubeGrid(recipe.box_px), self.species, recipe.seed)
        subtilts = Subtilts(**{one.name: kept[one.name] for one in fields(Subtilts)})
        history = tuple(json.loads(str(kept["history"])))
        turn_deg, shift_ang = map(float, kept["spread"])
        return RefinedSubtilts(subtilts, made.result, made.curve, history), Spread(turn_deg, shift_ang)

    def averaged(self, subtilts: Subtilts, report: Report) -> Averaged:
        """Average images where they were found."""
        images = SubtiltImages(self.whole, subtilts)
        return Averaged.made(images, self.species, self.species.recipe.seed, report, self.map_batches)

    def searched(
        self, halves: tuple[Reals, Reals], curve: FscCurve, spread: Spread, report: Report
    ) -> tuple[Subtilts, Spread, dict[str, Any]]:
        """Compare all images with the maps of their halves, and weigh them."""
        recipe = self.species.recipe
        radius = float(np.clip(agreement_radius(curve.corrected), _LEAST_RADIUS, recipe.box_px / 2 - 1.0))
        box_px = self._box_for(radius)
        source = self.source(box_px, recipe.width_ang / box_px)
        gain = np.clip(curve.corrected, 0.0, 1.0)[: int(radius) + 2]
        maps = [resized(shell_filtered(half, gain) * self.species.mask, box_px) for half in halves]
        search = SearchBatch(
            source, (Reference.of(maps[0], radius), Reference.of(maps[1], radius)), self._plan(radius, spread)
        )
        search = self._learned(search, report)
        subtilts, agreement, power = self._all(search, report)
        particles = source.particles
        groups = 2 * np.unique(particles.tomogram, return_inverse=True)[1] + particles.half
        weight = weights_of(agreement, power, groups, self.settings.outlier_sd, self.settings.least_strength)
        score = scores_of(agreement, power, len(places_within(radius)))
        record = _record(subtilts, particles, weight, power > 0, search.plan.spread, recipe.width_ang / radius)
        return replace(subtilts, weight=weight, score=score), search.plan.spread, record

    def _box_for(self, radius: float) -> int:
        """Choose a box that holds a radius."""
        wanted = next_fast_size(int(np.ceil(2 * (radius + _SPARE_SHELLS))))
        wanted += wanted % 2
        whole_px = self.species.recipe.box_px
        return whole_px if wanted > _FULL_SHARE * whole_px else wanted

    def _plan(self, radius: float, spread: Spread) -> SubtiltPlan:
        """Go from the coarse comparison to the finest in three steps."""
        coarse = min(max(self.species.recipe.width_ang / self.settings.coarse_ang, _LEAST_RADIUS), radius)
        radii = tuple(dict.fromkeys(np.geomspace(coarse, radius, 3).tolist()))
        return SubtiltPlan(radii, spread, self.settings.tries, self.settings.seed)

    def _learned(self, search: SearchBatch, report: Report) -> SearchBatch:
        """Learn from some particles of either half how far images stray."""
        half = search.source.particles.half
        few = np.sort(np.concatenate([_spread_out(np.flatnonzero(half == one), self.settings) for one in (1, 2)]))
        jobs = _jobs(search.source.particles, few)
        for _ in range(_TURNS):
            moved, count = np.zeros(2), 0
            for found in self.map_batches(search, jobs):
                moved, count = moved + found.moved, count + int(found.shown.sum())
                report(0, 1, "Learning how far images stray")
            if not count:
                break
            turn, shift = np.sqrt(moved / count)
            spread = Spread(float(np.rad2deg(turn)), float(shift))
            search = replace(search, plan=replace(search.plan, spread=spread))
        return search

    def _all(self, search: SearchBatch, report: Report) -> tuple[Subtilts, Floats, Floats]:
        """Search the images of all particles."""
        source = search.source
        subtilts = Subtilts.of(source.dataset.alignments, source.particles)
        agreement, power = np.zeros(subtilts.weight.shape), np.zeros(subtilts.weight.shape)
        jobs = _jobs(source.particles, np.arange(len(source.particles)))
        report(0, len(jobs), "Comparing images with the average")
        for done, found in enumerate(self.map_batches(search, jobs)):
            chosen = jobs[done]
            series = source.of_series(str(source.particles.tomogram[chosen[0]]))
            here = np.ix_(chosen, series.tilts)
            subtilts.rotations[here] = np.linalg.inv(series.optics.stretch) @ found.rotations
            subtilts.shift_ang_yx[here] = found.shift_ang_yx
            agreement[here], power[here] = found.agreement, found.power
            report(done + 1, len(jobs), "Comparing images with the average")
        return subtilts, agreement, power


def _spread_out(mine: Indices, settings: SubtiltSettings) -> Indices:
    """Take some particles, evenly from all."""
    return mine[np.unique(np.linspace(0, len(mine) - 1, min(settings.learned_from, len(mine))).astype(np.int64))]


def _jobs(particles: ParticleSet, chosen: Indices) -> list[Indices]:
    """Cut particles into batches of one half and one tomogram."""
    return halves_apart([chosen[one] for one in batches(particles[chosen], 2 * BATCH)], particles.half)


def _record(
    subtilts: Subtilts, particles: ParticleSet, weight: Floats, shown: NDArray[np.bool_], spread: Spread, finest: float
) -> dict[str, Any]:
    """Say in plain numbers what a round found."""
    moved = np.linalg.norm(subtilts.shift_ang_yx, axis=-1)[shown]
    return {
        "compared_to_ang": round(finest, 2),
        "spread_ang": round(spread.shift_ang, 3),
        "spread_deg": round(spread.turn_deg, 3),
        "moved_ang": np.round(np.quantile(moved, [0.25, 0.5, 0.75]), 3).tolist() if len(moved) else [],
        "images": int(shown.sum()),
        "counted": int((weight > 0).sum()),
        "particles": len(particles),
    }
