"""The course of a classification by images: the average, what particles show beyond it, and repeats that part them."""

import json
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.images import ImageSource
from napari_tomoflow.core.averaging.reconstruct import reconstruct_at_poses
from napari_tomoflow.core.classification.class_maps import LEAST
from napari_tomoflow.core.classification.clusters import clustered
from napari_tomoflow.core.classification.components import find_components
from napari_tomoflow.core.classification.contest import Contest
from napari_tomoflow.core.classification.proof import unseen_gain
from napari_tomoflow.core.classification.realigning import realigned
from napari_tomoflow.core.classification.recipe import Recipe
from napari_tomoflow.core.classification.spectra import Lattice, Spectra, gather_spectra
from napari_tomoflow.core.classification.split import Split, largest_first
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.ops.masks import soft_sphere
from napari_tomoflow.core.ops.so3 import symmetry_operators
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import MapBatches, NoSteps, Steps, in_order

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

_STEP = "repeats"
_POSE = ("centers_ang_zyx", "quaternions_xyzw")
_ROOM_PX = 2.0
"""Between a particle and the edge of the ball that holds it."""


@dataclass(frozen=True, eq=False)
class Parted:
    """What a classification by images came to.

    Attributes
    ----------
    best : Split
        The repeat of the highest merit; its record has ``gain`` and ``gain_error``, see `proof.unseen_gain`.
    others : tuple of Split
    particles : ParticleSet
        Where they lie now.
    noise_power : float64[S]
        Of the images, in each shell; 1 where they were whitened well.
    """

    best: Split
    others: tuple[Split, ...]
    particles: ParticleSet
    noise_power: Floats


def part_by_images(
    source: ImageSource,
    recipe: Recipe,
    focus: Reals | None = None,
    report: Report = silent,
    map_batches: MapBatches = in_order,
    steps: Steps = NoSteps(),
) -> Parted:
    """Part particles by what their images show.

    Parameters
    ----------
    source : ImageSource
        In the box and pixel of the recipe; its particles all belong to half 1 or 2.
    recipe : Recipe
        Of any method but ``score``.
    focus : float32[n, n, n], optional
        Where classes may differ; a ball that holds the particle by default.
    report, map_batches, steps
        See `core.report` and `core.stage`. Every repeat and every round of alignment is kept.
    """
    ball = soft_sphere(recipe.box_px, 0.5 * recipe.diameter_ang / recipe.pixel_ang + _ROOM_PX)
    mask = ball if focus is None else ball * focus
    shares = 3 + 3 * recipe.rounds
    shown = _shown(source, recipe, ball, mask, part(report, 0, shares), map_batches)
    splits = _repeated(shown, part(report, 1, shares), steps)
    best = int(np.argmax([split.merit for split in splits]))
    split, others = splits[best], (*splits[:best], *splits[best + 1 :])
    for number in range(recipe.rounds):
        three = [part(report, 2 + 3 * number + step, shares) for step in range(3)]
        # Classes of poses that are off tell poses apart, so the first round knows of none.
        known = Split(np.ones((len(split.shares), 1)), 0.0) if number == 0 else largest_first(split, LEAST)
        source = source.at(_aligned(source, known, recipe, ball, number, three[0], map_batches, steps))
        shown = _shown(source, recipe, ball, mask, three[1], map_batches)
        split = shown.run(shown.spectra, recipe.seed, three[2], split.shares if number else None)
    last = part(report, shares - 1, shares)
    gain, error = unseen_gain(shown.spectra, shown.inverse_power, mask, shown.run, recipe.seed, last)
    record = {**split.record, "gain": round(gain, 5), "gain_error": round(error, 5)}
    return Parted(replace(split, record=record), others, source.particles, shown.spectra.noise_power)


def _aligned(
    source: ImageSource,
    split: Split,
    recipe: Recipe,
    ball: Reals,
    number: int,
    report: Report,
    map_batches: MapBatches,
    steps: Steps,
) -> ParticleSet:
    """Align particles with all classes, unless that round was done before it was stopped."""
    name = f"round{number}"
    kept = steps.load(name)
    if kept is not None:
        return source.particles.replace(**{column: kept[column] for column in _POSE})
    particles = realigned(source, split, recipe, ball, report, map_batches)
    steps.save(name, {column: getattr(particles, column) for column in _POSE})
    return particles


@dataclass(frozen=True, eq=False)
class _Shown:
    """What particles show where they lie, and what parts them by it."""

    spectra: Spectra
    inverse_power: Reals
    mask: Reals
    recipe: Recipe

    def run(self, spectra: Spectra, seed: int, report: Report, start: Floats | None = None) -> Split:
        """Part some of the particles."""
        recipe, limits = self.recipe, (self.inverse_power, self.mask)
        if recipe.method == "pca":
            found = find_components(spectra, *limits, recipe.components, seed, recipe.iterations, report)
            return clustered(found, recipe.n_classes, recipe.clustering, seed)
        exclusive = recipe.method == "multi-reference"
        contest = Contest(spectra, *limits, recipe.n_classes, exclusive, recipe.iterations)
        return contest.run(seed, report, start)


def _shown(
    source: ImageSource, recipe: Recipe, ball: Reals, mask: Reals, report: Report, map_batches: MapBatches
) -> _Shown:
    """Average particles where they lie, and gather what each shows beyond that."""
    first, second = part(report, 0, 2), part(report, 1, 2)
    average = reconstruct_at_poses(source, symmetry=recipe.symmetry, report=first, map_batches=map_batches).volume
    average = average * ball
    lattice, operators = Lattice(recipe.box_px, recipe.radius), symmetry_operators(recipe.symmetry)
    spectra = gather_spectra(source, average, lattice, operators, ball, recipe.diameter_ang, second, map_batches)
    return _Shown(spectra, _inverse_power(lattice, average, recipe.difference), mask, recipe)


def _inverse_power(lattice: Lattice, average: Reals, difference: float) -> Reals:
    """Return 2 / τ² of each frequency and its opposite: τ² is a share of the average's power in its shell."""
    values = lattice.values_of(average)
    shells = lattice.shells
    power = np.bincount(shells, values.real**2 + values.imag**2) / np.maximum(np.bincount(shells), 1)
    allowed = difference * np.maximum(power, 1e-9 * power.max())
    return np.asarray(2.0 / allowed[shells], np.float32)


def _repeated(shown: _Shown, report: Report, steps: Steps) -> list[Split]:
    """Part the particles several times, from other random numbers each time."""
    kept = steps.load(_STEP)
    splits = [] if kept is None else _restored(kept)
    recipe = shown.recipe
    for number in range(len(splits), recipe.repeats):
        splits.append(shown.run(shown.spectra, recipe.seed + number, part(report, number, recipe.repeats)))
        steps.save(_STEP, _as_arrays(splits))
    report(1, 1, "Parted into classes")
    return splits


def _as_arrays(splits: list[Split]) -> dict[str, NDArray[np.generic]]:
    return {
        "shares": np.stack([split.shares for split in splits]),
        "merits": np.array([split.merit for split in splits]),
        "records": np.array(json.dumps([dict(split.record) for split in splits])),
        "names": np.array(json.dumps(list(splits[0].features))),
        "features": np.stack([np.stack([*split.features.values(), split.shares[:, 0]]) for split in splits]),
    }


def _restored(kept: dict[str, NDArray[np.generic]]) -> list[Split]:
    names, records = json.loads(str(kept["names"])), json.loads(str(kept["records"]))
    return [
        Split(shares, float(merit), dict(zip(names, columns, strict=False)), record)
        for shares, merit, columns, record in zip(
            kept["shares"], kept["merits"], kept["features"], records, strict=True
        )
    ]
