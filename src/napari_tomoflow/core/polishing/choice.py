"""Which parts of the geometry are refined, and how strongly they are held: what particles left out agree with.

Any parameter makes images agree better with the map it was fitted to. It is believed only if it makes others agree
better: a tenth of the particles in turn is left out, the geometry is fitted to the rest, and only the places of those
left out are fitted to themselves. The places of particles are judged by tilts left out in the same way.

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
from napari_tomoflow.core.polishing.blocks import Block, InSpace
from napari_tomoflow.core.polishing.fit import Sight, fitted
from napari_tomoflow.core.polishing.geometry import PARTS, Part, SeriesGeometry, Term
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
    """

    terms: tuple[Term, ...]
    record: dict[str, dict[str, Any]]


def choose(sight: Sight, geometry: SeriesGeometry, folds: int, seed: int, report: Report = silent) -> Chosen:
    """Refine the geometry of a series by those parts that make particles left out agree better.

    Parameters
    ----------
    sight : Sight
    geometry : SeriesGeometry
    folds : int
        How many tenths of the particles are left out, one after the other, at least; 10 at most.
    seed : int
        Of who is left out when.
    report
    """
    # Small products gain nothing by threads, and how many share one shows in its last digits.
    with threadpool_limits(1, "blas"):
        return _chosen(sight, geometry, _Jury.of(sight, geometry, folds, seed), report)


def _chosen(sight: Sight, geometry: SeriesGeometry, jury: "_Jury", report: Report) -> Chosen:
    strength = STRENGTHS["particles"][0]
    record = {"particles": _verdict(jury.gain_by_places(), strength)}
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
    if not taken and not record["particles"]["accepted"]:
        return Chosen((), record)
    taken.insert(0, ("particles", strength))
    found = fitted(sight, [geometry.block(*one) for one in taken])
    return Chosen(tuple(Term(*one, values) for one, values in zip(taken, found.values, strict=True)), record)


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
        base_ang = np.zeros((len(self.sight.curvatures), 2, self.sight.n_particles))
        if blocks:
            counted = np.ones(base_ang.shape[::2])
            counted[:, out] = 0.0
            found = fitted(self.sight, [self.places, *blocks], counted)
            for block, values in zip(blocks, found.values[1:], strict=True):
                base_ang += block.offsets(values)
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
