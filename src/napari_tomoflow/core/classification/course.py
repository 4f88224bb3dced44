"""The course of a classification by images: the average, what particles show beyond it, and repeats that part them."""

import json
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.images import ImageSource
from napari_tomoflow.core.averaging.reconstruct import reconstruct_at_poses
from napari_tomoflow.core.classification.clusters import clustered
from napari_tomoflow.core.classification.components import find_components
from napari_tomoflow.core.classification.contest import Contest
from napari_tomoflow.core.classification.proof import Run, unseen_gain
from napari_tomoflow.core.classification.recipe import Recipe
from napari_tomoflow.core.classification.spectra import Lattice, Spectra, gather_spectra
from napari_tomoflow.core.classification.split import Split
from napari_tomoflow.core.ops.masks import soft_sphere
from napari_tomoflow.core.ops.so3 import symmetry_operators
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import MapBatches, NoSteps, Steps, in_order

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

_STEP = "repeats"
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
    noise_power : float64[S]
        Of the images, in each shell; 1 where they were whitened well.
    """

    best: Split
    others: tuple[Split, ...]
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
        See `core.report` and `core.stage`. Every repeat is kept.
    """
    ball = soft_sphere(recipe.box_px, 0.5 * recipe.diameter_ang / recipe.pixel_ang + _ROOM_PX)
    mask = ball if focus is None else ball * focus
    first, second, third, fourth = (part(report, number, 4) for number in range(4))
    average = reconstruct_at_poses(source, symmetry=recipe.symmetry, report=first, map_batches=map_batches).volume
    average = average * ball
    lattice, operators = Lattice(recipe.box_px, recipe.radius), symmetry_operators(recipe.symmetry)
    spectra = gather_spectra(source, average, lattice, operators, ball, recipe.diameter_ang, second, map_batches)
    inverse_power = _inverse_power(lattice, average, recipe.difference)
    run = _run(inverse_power, mask, recipe)
    splits = _repeated(run, spectra, recipe, third, steps)
    gain, error = unseen_gain(spectra, inverse_power, mask, run, recipe.seed, fourth)
    best = int(np.argmax([split.merit for split in splits]))
    record = {**splits[best].record, "gain": round(gain, 5), "gain_error": round(error, 5)}
    return Parted(replace(splits[best], record=record), tuple(splits[:best] + splits[best + 1 :]), spectra.noise_power)


def _inverse_power(lattice: Lattice, average: Reals, difference: float) -> Reals:
    """Return 2 / τ² of each frequency and its opposite: τ² is a share of the average's power in its shell."""
    values = lattice.values_of(average)
    shells = lattice.shells
    power = np.bincount(shells, values.real**2 + values.imag**2) / np.maximum(np.bincount(shells), 1)
    allowed = difference * np.maximum(power, 1e-9 * power.max())
    return np.asarray(2.0 / allowed[shells], np.float32)


def _run(inverse_power: Reals, mask: Reals, recipe: Recipe) -> Run:
    """Return what parts particles."""

    def by_components(spectra: Spectra, seed: int, report: Report) -> Split:
        count = recipe.components
        found = find_components(spectra, inverse_power, mask, count, seed, recipe.iterations, report)
        return clustered(found, recipe.n_classes, recipe.clustering, seed)

    def by_contest(spectra: Spectra, seed: int, report: Report) -> Split:
        exclusive = recipe.method == "multi-reference"
        return Contest(spectra, inverse_power, mask, recipe.n_classes, exclusive, recipe.iterations).run(seed, report)

    return by_components if recipe.method == "pca" else by_contest


def _repeated(run: Run, spectra: Spectra, recipe: Recipe, report: Report, steps: Steps) -> list[Split]:
    """Part the particles several times, from other random numbers each time."""
    kept = steps.load(_STEP)
    splits = [] if kept is None else _restored(kept)
    for number in range(len(splits), recipe.repeats):
        splits.append(run(spectra, recipe.seed + number, part(report, number, recipe.repeats)))
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
