"""Regularised refinement: all particles of a series, of all species, tell together how its geometry is off.

A round compares every image of every particle with the average of its half once (`correlation`), finds the geometry
that makes the images likeliest from what that left (`choice`), refines poses at it, and averages anew. It is kept
if particles left out speak for a part of that geometry, or if the halves agree better than before; the first after
which they do not, or which finds no more than a trace of what was found before, ends the course.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.aligning import PosePlan
from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.fsc_curve import FscCurve
from napari_tomoflow.core.averaging.refinement import align_and_sum
from napari_tomoflow.core.averaging.resizing import resized
from napari_tomoflow.core.averaging.search import Reference
from napari_tomoflow.core.averaging.series_images import DatasetImages
from napari_tomoflow.core.averaging.sources import RawSources
from napari_tomoflow.core.errors import ParamError
from napari_tomoflow.core.model import Alignment, Dataset, ParticleSet
from napari_tomoflow.core.model.paths import path_weights
from napari_tomoflow.core.ops.ctf import DoseModel
from napari_tomoflow.core.ops.so3 import angular_distance_deg
from napari_tomoflow.core.polishing.averaged import Averaged, Species
from napari_tomoflow.core.polishing.choice import Chosen, choose
from napari_tomoflow.core.polishing.correlation import AgreementMaps, Window, agreement_maps, references_of
from napari_tomoflow.core.polishing.fit import Sight
from napari_tomoflow.core.polishing.geometry import SeriesGeometry
from napari_tomoflow.core.polishing.kept import Round, keep_round, kept_round
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import MapBatches, NoSteps, Steps, in_order

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Indices = NDArray[np.int64]

_OF_SINGLE = ("particles", "paths")
"""Parts of the geometry that no two particles share."""

_MOST_BYTES = 4e9
"""Memory for the maps of one series."""

_TRACE = 0.01
"""Share of the gain of an earlier round below which another is the last: particles enough make any gain sure."""


@dataclass(frozen=True)
class Settings:
    """How the refinement goes.

    Attributes
    ----------
    rounds : int
        At most.
    reach_ang : float
        How far images may lie from where they are thought to be.
    folds : int
        How many tenths of the particles are left out in turn, at least; of small series more are.
    poses : bool
        Whether particles are turned, too.
    paths : bool
        Whether each particle may move along a path of its own.
    dose_weighting : {"grant-grigorieff", "b-factor", "none"}
    seed : int
    """

    rounds: int = 3
    reach_ang: float = 30.0
    folds: int = 2
    poses: bool = True
    paths: bool = True
    dose_weighting: DoseModel = "grant-grigorieff"
    seed: int = 1


@dataclass(frozen=True, eq=False)
class State:
    """How far the refinement came.

    Attributes
    ----------
    particles : mapping of str to ParticleSet
        Of each species.
    alignments : mapping of str to Alignment
    averages : mapping of str to Averaged
    before : mapping of str to FscCurve
        How far the halves agreed at first.
    history : tuple of dict
        What each round came to, in plain numbers; the first is what there was before.
    """

    particles: Mapping[str, ParticleSet]
    alignments: Mapping[str, Alignment]
    averages: Mapping[str, Averaged]
    before: Mapping[str, FscCurve]
    history: tuple[dict[str, Any], ...] = ()


def refine_together(
    dataset: Dataset,
    species: Mapping[str, Species],
    particles: Mapping[str, ParticleSet],
    settings: Settings = Settings(),
    report: Report = silent,
    map_batches: MapBatches = in_order,
    steps: Steps = NoSteps(),
) -> State:
    """Refine the geometry of all series by the particles of all species.

    Parameters
    ----------
    dataset : Dataset
        The series with what is known of them.
    species : mapping of str to Species
    particles : mapping of str to ParticleSet
        Of each species; all belong to half 1 or 2.
    settings : Settings
    report, map_batches, steps
        See `core.report` and `core.stage`. Every round that counts is kept, and what was averaged before the first.
    """
    course = _Course(dataset, species, settings, map_batches)
    parts = settings.rounds + 2
    state = course.restored(steps, particles) or course.begun(particles, part(report, 0, parts))
    for number in range(len(state.history) - 1, settings.rounds):
        course.keep(steps, state)
        after = course.advanced(state, part(report, number + 1, parts))
        agree_better = _agree_better(after, state)
        if agree_better or _is_proven(after):
            state = after
        else:
            state = replace(state, history=(*state.history, {**after.history[-1], "kept": False}))
        if not agree_better:
            break
    ended = course.ended(state, part(report, parts - 1, parts))
    report(1, 1, "Polished")
    return ended


def _is_proven(after: State) -> bool:
    """Tell whether particles left out spoke, in the last round, for a part of the geometry that all share.

    Halves share the errors of the geometry, which make them agree, too: they may agree less once it is right.
    """
    *before, last = after.history
    shared = {name for one in last["series"].values() for name in _accepted(one)} - set(_OF_SINGLE)
    return bool(shared) and _is_worth_it(last["series"], before)


def _accepted(series: Mapping[str, Any]) -> dict[str, float]:
    """Return the parts of a series that a round accepted, and by how much each particle gained."""
    return {name: said["gain"] for name, said in series["parts"].items() if said["accepted"]}


def _is_worth_it(series: Mapping[str, Any], before: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether what a round found is more than a trace of what one of those before brought."""
    gains = [
        sum(gain for one in some.values() for gain in _accepted(one).values())
        for some in (series, *(one["series"] for one in before if "series" in one))
    ]
    return gains[0] > _TRACE * max(gains[1:], default=0.0)


def _agree_better(after: State, before: State) -> bool:
    """Tell whether the halves agree better over all species, in the shells that both states have."""
    gain = 0.0
    for name, one in after.averages.items():
        curves = one.curve.corrected, before.averages[name].curve.corrected
        now, then = (np.clip(curve[: min(map(len, curves))], 0.0, 1.0).sum() for curve in curves)
        gain += float(now - then)
    return gain > 0.0


@dataclass(frozen=True, eq=False)
class _Course:
    """All that does not change from one round to the next."""

    dataset: Dataset
    species: Mapping[str, Species]
    settings: Settings
    map_batches: MapBatches

    def begun(self, particles: Mapping[str, ParticleSet], report: Report) -> State:
        """Average everything as it is."""
        state = State(particles, self.dataset.alignments, {}, {})
        averages = {}
        for number, (name, one) in enumerate(self.species.items()):
            averages[name] = self._summed(state, name, one.recipe.box_px, part(report, number, len(self.species)))
        first = {"resolution_ang": _resolutions(averages), "kept": True}
        before = {name: one.curve for name, one in averages.items()}
        return replace(state, averages=averages, before=before, history=(first,))

    def keep(self, steps: Steps, state: State) -> None:
        """Keep the end of a round."""
        sums = {name: (one.grid.box_px, np.stack(one.cubes)) for name, one in state.averages.items()}
        keep_round(steps, Round(state.particles, state.alignments, sums, state.before, state.history))

    def restored(self, steps: Steps, particles: Mapping[str, ParticleSet]) -> State | None:
        """Take up the last round that was kept."""
        kept = kept_round(steps, particles, self.dataset.alignments)
        if kept is None:
            return None
        averages = {
            name: Averaged.of(list(cubes), CubeGrid(box_px), self.species[name], self.settings.seed)
            for name, (box_px, cubes) in kept.sums.items()
        }
        return State(kept.particles, kept.alignments, averages, kept.before, kept.history)

    def advanced(self, state: State, report: Report) -> State:
        """Go through a round; where it finds nothing worth averaging anew for, all stays as it is."""
        found, series = self._geometry(state, part(report, 0, 2))
        if not _is_worth_it(series, state.history):
            found = state
        averages, particles, changes = {}, {}, {}
        for number, name in enumerate(self.species):
            if found is state:
                particles[name], averages[name] = state.particles[name], state.averages[name]
            else:
                inner = part(part(report, 1, 2), number, len(self.species))
                particles[name], averages[name] = self._averaged(state, found, name, inner)
            changes[name] = _changes(state.particles[name], particles[name], self.species[name].recipe.symmetry)
        record = {"series": series, "species": changes, "resolution_ang": _resolutions(averages), "kept": True}
        return replace(found, particles=particles, averages=averages, history=(*state.history, record))

    def ended(self, state: State, report: Report) -> State:
        """Average at full size where the last round did not."""
        averages = {}
        for number, (name, one) in enumerate(state.averages.items()):
            box_px, inner = self.species[name].recipe.box_px, part(report, number, len(self.species))
            averages[name] = one if one.grid.box_px == box_px else self._summed(state, name, box_px, inner)
        return replace(state, averages=averages)

    def _source(self, state: State, name: str, box_px: int) -> DatasetImages:
        """Return the images of a species on a grid, cut out where it is known to be."""
        recipe = self.species[name].recipe
        data = self.dataset.replace(particles=state.particles[name], alignments=state.alignments)
        sources = RawSources(data, recipe.diameter_ang / 2, self.settings.dose_weighting)
        return sources(box_px, recipe.width_ang / box_px)

    def _summed(self, state: State, name: str, box_px: int, report: Report) -> Averaged:
        """Average a species where it is."""
        source = self._source(state, name, box_px)
        return Averaged.made(source, self.species[name], self.settings.seed, report, self.map_batches)

    def _averaged(self, state: State, found: State, name: str, report: Report) -> tuple[ParticleSet, Averaged]:
        """Average a species at the geometry found, and refine its poses first if wanted."""
        one, known = self.species[name], state.averages[name]
        recipe = one.recipe
        box_px = recipe.box_for(known.radius)
        if not self.settings.poses:
            return found.particles[name], self._summed(found, name, box_px, report)
        pixel_ang, reach_ang = recipe.width_ang / box_px, recipe.reach_ang
        plan = PosePlan.of(
            box_px, pixel_ang, recipe.diameter_ang, recipe.width_ang / known.radius, reach_ang, recipe.symmetry
        ).around(reach_ang / pixel_ang)
        # Poses are near already: there is no need to begin coarser.
        plan = replace(plan, radii=plan.radii[-1:])
        maps = [resized(volume, box_px) for volume in known.filtered(one.mask)]
        source = self._source(found, name, box_px)
        turned, cubes = align_and_sum(source, maps, plan, recipe.symmetry, one.weights, report, self.map_batches)
        return turned, Averaged.of(cubes, CubeGrid(box_px), one, self.settings.seed)

    def _geometry(self, state: State, report: Report) -> tuple[State, dict[str, Any]]:
        """Find the geometry of every series, and say what was found; the state itself where that is nothing."""
        alignments, record = dict(state.alignments), {}
        centers = {name: one.centers_ang_zyx.copy() for name, one in state.particles.items()}
        paths = {name: one.known_paths_ang_zyx for name, one in state.particles.items()}
        compared = {name: self._comparison(state, name) for name in self.species}
        names = list(dict.fromkeys(each for one in state.particles.values() for each in one.tomogram.tolist()))
        is_new = False
        self._check_memory(compared, names)
        for number, series in enumerate(names):
            mine = {name: np.flatnonzero(one.tomogram == series) for name, one in state.particles.items()}
            mine = {name: numbers for name, numbers in mine.items() if len(numbers)}
            geometry, chosen = self._of_series(state, series, mine, compared, part(report, number, len(names)))
            record[series] = {"parts": chosen.record, **_sizes(geometry, chosen)}
            is_new |= bool(chosen.terms)
            alignments[series], moved = geometry.refined(chosen.terms)
            ends = np.cumsum([len(numbers) for numbers in mine.values()])[:-1]
            for all_of, change in ((centers, moved - geometry.centers_ang_zyx), (paths, chosen.paths_ang_zyx)):
                for (name, numbers), some in zip(mine.items(), np.split(change, ends), strict=True):
                    all_of[name][numbers] += some
        if not is_new:
            return state, record
        particles = {
            name: one.replace(centers_ang_zyx=centers[name]).along(paths[name]) for name, one in state.particles.items()
        }
        return replace(state, particles=particles, alignments=alignments), record

    def _of_series(
        self,
        state: State,
        series: str,
        mine: Mapping[str, Indices],
        compared: "Mapping[str, _Comparison]",
        report: Report,
    ) -> tuple[SeriesGeometry, Chosen]:
        """Find the geometry of one series by some particles of each species."""
        steps = len(mine) + 1
        maps = [compared[name](numbers, part(report, step, steps)) for step, (name, numbers) in enumerate(mine.items())]
        geometry = SeriesGeometry(
            series=self.dataset.series[series],
            alignment=state.alignments[series],
            tilts=compared[next(iter(mine))].source.of_series(series).tilts,
            centers_ang_zyx=np.concatenate([state.particles[one].centers_ang_zyx[at] for one, at in mine.items()]),
        )
        settings, last = self.settings, part(report, steps - 1, steps)
        return geometry, choose(Sight.of(maps), geometry, settings.folds, settings.seed, settings.paths, last)

    def _check_memory(self, compared: "Mapping[str, _Comparison]", names: Sequence[str]) -> None:
        """Refuse what would not fit before anything is compared."""
        for series in names:
            size = sum(one.size_bytes(series) for one in compared.values())
            if size > _MOST_BYTES:
                raise ParamError(
                    f"{series}: to look {self.settings.reach_ang:g} Å around its particles takes {size / 1e9:.1f} GB; "
                    "give a smaller reach_ang, or polish fewer species at a time."
                )

    def _comparison(self, state: State, name: str) -> "_Comparison":
        """Prepare to compare a species with its average."""
        one, known = self.species[name], state.averages[name]
        box_px = one.recipe.box_for(known.radius)
        halves = [resized(volume, box_px) for volume in known.filtered(one.mask)]
        return _Comparison(
            source=self._source(state, name, box_px),
            references=references_of(halves, known.radius),
            window=Window(one.recipe.width_ang, known.radius, self.settings.reach_ang),
            map_batches=self.map_batches,
        )


@dataclass(frozen=True, eq=False)
class _Comparison:
    """A species ready to be compared with its average."""

    source: DatasetImages
    references: tuple[Reference, Reference]
    window: Window
    map_batches: MapBatches

    def size_bytes(self, series: str) -> int:
        """Return how much memory the maps of one series take."""
        count = int(np.count_nonzero(self.source.particles.tomogram == series))
        return self.window.size_bytes(count, len(self.source.of_series(series).tilts)) if count else 0

    def __call__(self, mine: Indices, report: Report) -> AgreementMaps:
        """Compare some particles of one series."""
        return agreement_maps(self.source, mine, self.references, self.window, report, self.map_batches)


def _resolutions(averages: Mapping[str, Averaged]) -> dict[str, float | None]:
    return {name: one.curve.resolution_ang() for name, one in averages.items()}


def _changes(before: ParticleSet, after: ParticleSet, symmetry: str) -> dict[str, list[float]]:
    """Say how far particles were turned and moved, in quartiles."""
    turned_deg = angular_distance_deg(before.matrices, after.matrices, symmetry)
    moved_ang = np.linalg.norm(after.centers_ang_zyx - before.centers_ang_zyx, axis=1)
    values = {"angular_change_deg": turned_deg, "shift_change_ang": moved_ang}
    return {name: [round(float(q), 4) for q in np.percentile(column, (25, 50, 75))] for name, column in values.items()}


def _sizes(geometry: SeriesGeometry, chosen: Chosen) -> dict[str, Any]:
    """Say how large what was found is: RMS of the bending, of the shift of each tilt, and of the paths of particles."""
    bending = geometry.bending_ang(chosen.terms)
    shifts = next((one.strength * one.values for one in chosen.terms if one.part == "shifts"), np.zeros((1, 2)))
    paths = path_weights(geometry.series)[geometry.tilts] @ chosen.paths_ang_zyx
    return {
        "bending_rms_ang": round(float(np.sqrt(np.mean(np.sum(bending**2, axis=1)))), 3),
        "shift_rms_ang": round(float(np.sqrt(np.mean(np.sum(shifts**2, axis=1)))), 3),
        "path_rms_ang": round(float(np.sqrt(np.mean(np.sum(paths**2, axis=2)))), 3),
    }
