"""Which parts of the geometry are refined, and how strongly they are held: what particles left out agree with.

Any parameter makes images agree better with the map it was fitted to. It is believed only if it makes others agree
better: a tenth of the particles in turn is left out, the geometry is fitted to the rest, and only the places of those
left out are fitted to themselves. The places of particles, and their paths, are judged by tilts left out in the same
way.

Legend: T tilts in use, P particles.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from napari_tomoflow.core.matching.threads import each_in_threads
from napari_tomoflow.core.model.paths import PATH_NODES
from napari_tomoflow.core.polishing.blocks import Block, InSpace
from napari_tomoflow.core.polishing.fit import Sight, fitted
from napari_tomoflow.core.polishing.geometry import PARTS, Part, SeriesGeometry, Term
from napari_tomoflow.core.polishing.paths import Paths, Prior, held_out_scores, judges, priors_for
from napari_tomoflow.core.report import Report, part, silent

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

STRENGTHS: dict[Part, tuple[float, ...]] = {
    "particles": (2.0,),
    "shifts": (0.7, 2.0, 8.0),
    "angles": (0.03, 0.1, 0.4),
    "bending": (2.0, 6.0, 18.0),
    "images": (1.0, 4.0),
}
"""Expected size of the parameters of each part that is tried: Å, for angles degrees."""

HELD_OUT = 0.1
"""Share of the particles that is left out at a time."""

_BEYOND_CHANCE = 3.0
"""A part is believed if those left out gain by it this many standard errors of their gain."""

_ENOUGH = 150
"""Particles left out in all: of small series more tenths are left out than asked for."""

_DOING = "Fitting the geometry"
_FEWEST = 10
"""Particles left out in all below which nothing is believed."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """What was found for one series.

    Attributes
    ----------
    terms : tuple of Term
        Parts that were accepted, fitted to all particles.
    record : dict
        What each part that was tried came to, in plain numbers.
    paths_ang_zyx : float64[P, nodes, 3]
        How each particle moves by itself, besides; zeros where that was not accepted.
    """

    terms: tuple[Term, ...]
    record: dict[str, dict[str, Any]]
    paths_ang_zyx: Floats


def choose(
    sight: Sight, geometry: SeriesGeometry, folds: int, seed: int, paths: bool = False, report: Report = silent
) -> Chosen:
    """Refine the geometry of a series by those parts that make particles left out agree better.

    Parameters
    ----------
    sight : Sight
    geometry : SeriesGeometry
    folds : int
        How many tenths of the particles are left out, one after the other, at least; 10 at most.
    seed : int
        Of who is left out when.
    paths : bool
        Whether each particle may move by itself, too.
    report
    """
    # Small products gain nothing by threads, and how many share one shows in its last digits.
    with threadpool_limits(1, "blas"):
        shared, record = _shared(_Jury.of(sight, geometry, folds, seed), part(report, 0, 2))
        taken: list[tuple[Part, float]] = [("particles", STRENGTHS["particles"][0]), *shared]
        blocks: list[Block] = [geometry.block(*one) for one in taken]
        values = list(fitted(sight, blocks).values)
        prior, nodes_ang_zyx = None, np.zeros((sight.n_particles, PATH_NODES, 3))
        if paths:
            base_ang = _offsets(sight, blocks[1:], values[1:])
            prior, record["paths"] = _judged_paths(sight, geometry, base_ang, seed, part(report, 1, 2))
        if prior is not None:
            known = Paths(geometry, sight.curvatures)
            *values, path = fitted(sight, [*blocks, known.block(prior)]).values
            nodes_ang_zyx = known.nodes_ang_zyx(prior, path)
    if not shared and not record["particles"]["accepted"] and prior is None:
        return Chosen((), record, nodes_ang_zyx)
    return Chosen(tuple(Term(*one, value) for one, value in zip(taken, values, strict=True)), record, nodes_ang_zyx)


def _offsets(sight: Sight, blocks: Sequence[Block], values: Sequence[Floats]) -> Floats:
    """Return what some blocks do together: float64[T, 2, P]."""
    offsets = np.zeros((len(sight.curvatures), 2, sight.n_particles))
    for block, value in zip(blocks, values, strict=True):
        offsets += block.offsets(value)
    return offsets


def _shared(jury: "_Jury", report: Report) -> tuple[list[tuple[Part, float]], dict[str, dict[str, Any]]]:
    """Choose the parts that all particles share, and say what each part came to."""
    record = {"particles": _verdict(jury.gain_by_places(), STRENGTHS["particles"][0])}
    taken: list[tuple[Part, float]] = []
    parts = PARTS[1:]
    shares = len(parts) + 1
    known = jury.scores([[]], part(report, 0, shares))[0]
    for number, name in enumerate(parts):
        strengths = STRENGTHS[name]
        tried = jury.scores([[*taken, (name, one)] for one in strengths], part(report, number + 1, shares))
        best = int(np.argmax([scores.sum() for scores in tried]))
        record[name] = _verdict(tried[best] - known, strengths[best])
        if record[name]["accepted"]:
            taken.append((name, strengths[best]))
            known = tried[best]
    return taken, record


def _judged_paths(
    sight: Sight, geometry: SeriesGeometry, base_ang: Floats, seed: int, report: Report
) -> tuple[Prior | None, dict[str, Any]]:
    """Choose how strongly paths are held, None where they are not believed, and say what came of it."""
    priors, some = priors_for(sight.n_particles), judges(geometry, seed)
    near = replace(geometry, centers_ang_zyx=geometry.centers_ang_zyx[some])
    places, paths = near.places(STRENGTHS["particles"][0]), Paths(near, sight.curvatures)
    candidates = [[places], *([places, paths.block(one)] for one in priors)]
    known, *tried = held_out_scores(sight.of_particles(some), near, candidates, base_ang[:, :, some], report)
    best = int(np.argmax([scores.sum() for scores in tried]))
    record = {**_verdict(tried[best] - known, priors[best].strength_ang), "alike_ang": priors[best].alike_ang}
    return priors[best] if record["accepted"] else None, record


def _verdict(gain: Floats, strength: float) -> dict[str, Any]:
    """Say whether particles gain by a part, and by how much."""
    mean, error = float(gain.mean()), float(gain.std(ddof=1)) / len(gain) ** 0.5 if len(gain) > 1 else 0.0
    return {
        "accepted": len(gain) >= _FEWEST and mean > _BEYOND_CHANCE * error,
        "strength": strength,
        "gain": round(mean, 4),
        "error": round(error, 4),
        "held_out": len(gain),
    }


@dataclass(frozen=True, eq=False)
class _Jury:
    """Particles that are left out in turn.

    Attributes
    ----------
    sight : Sight
    geometry : SeriesGeometry
    left_out : tuple of int64[...]
        Numbers of the particles left out each time.
    places : InSpace
        The parameters that move each particle.
    """

    sight: Sight
    geometry: SeriesGeometry
    left_out: tuple[Indices, ...]
    places: InSpace

    @classmethod
    def of(cls, sight: Sight, geometry: SeriesGeometry, folds: int, seed: int) -> "_Jury":
        """Deal out the particles."""
        order = np.random.default_rng(seed).permutation(sight.n_particles)
        least = int(np.ceil(_ENOUGH / HELD_OUT / sight.n_particles))
        tenths = np.array_split(order, round(1 / HELD_OUT))[: max(folds, least)]
        places = geometry.places(STRENGTHS["particles"][0])
        return cls(sight, geometry, tuple(np.sort(one) for one in tenths if len(one)), places)

    def scores(self, candidates: Sequence[Sequence[tuple[Part, float]]], report: Report) -> list[Floats]:
        """Return for each choice of parts the log likelihood of each particle left out, its place fitted to itself."""
        blocks = [[self.geometry.block(*one) for one in parts] for parts in candidates]
        found: list[list[Floats]] = [[np.zeros(0)] * len(self.left_out) for _ in candidates]

        def judge(index: int, stop: threading.Event) -> None:
            candidate, fold = divmod(index, len(self.left_out))
            found[candidate][fold] = self._scores_of(self.left_out[fold], blocks[candidate])

        each_in_threads(judge, len(candidates) * len(self.left_out), report, _DOING)
        return [np.concatenate(scores) for scores in found]

    def _scores_of(self, out: Indices, blocks: list[Block]) -> Floats:
        values: Sequence[Floats] = ()
        if blocks:
            counted = np.ones((len(self.sight.curvatures), self.sight.n_particles))
            counted[:, out] = 0.0
            values = fitted(self.sight, [self.places, *blocks], counted).values[1:]
        base_ang = _offsets(self.sight, blocks, values)
        sight = self.sight.of_particles(out)
        found = fitted(sight, [replace(self.places, count=len(out))], base_ang=base_ang[:, :, out])
        prior = 0.5 * np.sum(found.values[0] ** 2, axis=(1, 2))
        return np.asarray(sight.read(found.offsets_ang)[0].sum(axis=0) - prior)

    def gain_by_places(self) -> Floats:
        """Return what each particle gains in tilts left out when its place is fitted to the others: float64[P]."""
        sight = self.sight
        n_tilts, count = len(sight.curvatures), sight.n_particles
        before, gain = sight.read(np.zeros((n_tilts, 2, count)))[0], np.zeros(count)
        for first in (0, 1):
            counted = np.zeros((n_tilts, count))
            counted[first::2] = 1.0
            after = sight.read(fitted(sight, [self.places], counted).offsets_ang)[0]
            gain += np.sum((1.0 - counted) * (after - before), axis=0)
        return gain
