"""Stage: a first map of particles, from nothing but their images."""

import math
from typing import TYPE_CHECKING, Self

import numpy as np
from pydantic import model_validator

from napari_tomoflow.core.model import Average, Dataset
from napari_tomoflow.core.ops.ctf import DoseModel
from napari_tomoflow.core.ops.so3 import symmetry_operators
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import MapBatches, NoSteps, Stage, Steps, in_order

if TYPE_CHECKING:
    from napari_tomoflow.core.averaging.aligning import PosePlan
    from napari_tomoflow.core.averaging.images import ImageSource
    from napari_tomoflow.core.averaging.initial import Descent, FirstMap
    from napari_tomoflow.core.averaging.recipe import Recipe
    from napari_tomoflow.core.averaging.sources import RawSources

__all__ = ["INITIAL_MODEL", "InitialModelParams", "initial_model"]

_PIXELS_PER_DETAIL = 8.0 / 3.0
"""Pixels to the finest detail: Nyquist lies a third beyond it."""

_DETAIL_SHARE, _DETAIL_RANGE_ANG = 0.15, (20.0, 40.0)
"""Finest detail: a share of the diameter, within a range."""

_ANNEALED_SHARE = 0.2
"""Detail of a map that is annealed, in diameters at least: finer, few images do not show."""

_LEAST_OF_HALF = 2
"""Particles of a class in either half; else they are dealt to the halves anew."""

_SHARE_OF_STARTS, _SHARES = 4, 5
"""The map takes this many shares of the time, poses of all particles the rest."""


class InitialModelParams(Params):
    """What the particles are, and how fine the first map is to be."""

    species: str = param("", help="Kind of particle; empty for all.")
    only_class: int = param(0, low=0, help="Class of the particles that are taken; 0 takes all.")
    name: str = param("", help="Name of the result; empty takes the species.")
    diameter_ang: float | None = param(
        None, unit="Å", low=20, high=5000, help="Diameter of the particle; empty takes what the picks say."
    )
    symmetry: str = param(
        "C1", help="Point group: C1, C2, ..., D2, ..., T, O, I; its axes are found half-way and then imposed."
    )
    resolution_ang: float | None = param(
        None, unit="Å", low=10, high=100, help="Finest detail of the map; empty takes 0.15 diameters, 20 to 40 Å."
    )
    reach_ang: float | None = param(
        None, unit="Å", low=1, help="How far picks may lie off the particle's centre; empty takes an eighth of it."
    )
    classes: int = param(
        1, low=1, high=10, help="Number of maps; where particles are not all alike, several compete for each."
    )
    seed: int = param(1, low=0, help="Start of all random numbers.")

    starts: int = param(3, low=1, high=20, expert=True, help="Random starts, of which the best goes on.")
    iterations: int = param(50, low=10, high=1000, expert=True, help="Steps of the descent.")
    lots: int = param(4, low=2, high=100, expert=True, help="Lots of 12 particles in each step.")
    annealed: int = param(
        100,
        low=0,
        high=1000,
        expert=True,
        help="Up to so many particles, without symmetry and of one class, are annealed instead of taken in lots.",
    )
    box_px: int | None = param(
        None, unit="px", low=16, high=256, expert=True, help="Edge of the box, even; empty takes 1.8 diameters."
    )
    dose_weighting: DoseModel = param("grant-grigorieff", expert=True, help="How exposure fades the tilts.")

    @model_validator(mode="after")
    def check_together(self) -> Self:
        """Check what the types cannot tell."""
        symmetry_operators(self.symmetry)
        if self.box_px is not None and self.box_px % 2:
            raise ValueError(f"box_px {self.box_px} is odd; give an even number.")
        if self.classes > 1 and self.symmetry.upper() != "C1":
            raise ValueError(
                f"{self.classes} classes do not all have the symmetry {self.symmetry}; leave it out here and give it "
                "for one of them, with --only-class."
            )
        return self


def initial_model(
    dataset: Dataset,
    *,
    params: InitialModelParams = InitialModelParams(),
    report: Report = silent,
    map_batches: MapBatches = in_order,
    steps: Steps = NoSteps(),
) -> Average:
    """Make a first map of particles from nothing but their images, and find their poses by it.

    Parameters
    ----------
    dataset : Dataset
    params : InitialModelParams
    report, map_batches, steps
        See `core.report` and `core.stage`.

    Returns
    -------
    Average
        Its halves share the map they were aligned with, so that they tell no resolution. ``quality["descent"]`` has
        the mean score of each step, and for a symmetric particle how far the map agreed with itself about the axes
        found. Where several classes are asked for, ``classes`` has the average of each, that of most particles first,
        and particles tell theirs in ``class_ids``; there are fewer where some are left with less than four.

    Raises
    ------
    DataError, ParamError
        There are too few particles, or their diameter is not known.

    Notes
    -----
    See `core.averaging.initial` for the descent, and `core.averaging.annealing` for what few particles without symmetry
    go through instead, with twice as many starts of half as many steps, their gold filled. In the end all particles are
    aligned with its map once. The hand is right as long as the geometry is: the tilts tell it. Of several classes each
    is an item of the project by itself, ``<name>_1`` and so on: `refine` begins with one when it is given that name,
    and takes its particles.

    References
    ----------
    .. [1] Chen et al., Nat. Methods 16 (2019) 1161, doi:10.1038/s41592-019-0591-8. Stochastic descent on particles in
       tilts.
    .. [2] Kimanius et al., Biochem. J. 478 (2021) 4169, doi:10.1042/BCJ20210708. Momentum, and two streams.
    """
    from napari_tomoflow.core.averaging.half_sets import half_sets
    from napari_tomoflow.core.averaging.initial import Descent
    from napari_tomoflow.core.averaging.recipe import Recipe
    from napari_tomoflow.core.averaging.selection import diameter_ang_of, of_species
    from napari_tomoflow.core.averaging.sources import RawSources
    from napari_tomoflow.core.ctf.without_gold import without_gold

    data = of_species(dataset, params.species, params.only_class)
    diameter = params.diameter_ang or diameter_ang_of(data.particles)
    reach_ang = params.reach_ang or diameter / 8
    data = data.replace(particles=data.particles.replace(half=half_sets(data.particles, diameter)))
    finest_ang = params.resolution_ang or min(max(_DETAIL_SHARE * diameter, _DETAIL_RANGE_ANG[0]), _DETAIL_RANGE_ANG[1])
    pixel_ang = max([finest_ang / _PIXELS_PER_DETAIL, *(one.pixel_ang for one in data.series.values())])
    box_px = params.box_px or 2 * max(12, math.ceil(0.9 * diameter / pixel_ang))
    if _is_annealed(params, len(data.particles)):
        data = data.replace(series={name: without_gold(series) for name, series in data.series.items()})
    sources = RawSources(data, diameter / 2, params.dose_weighting)
    descent = Descent(
        diameter_ang=diameter,
        resolution_ang=max(finest_ang, 2.2 * pixel_ang),
        symmetry=params.symmetry,
        reach_ang=reach_ang,
        iterations=params.iterations,
        starts=params.starts,
        lots=params.lots,
        seed=params.seed,
        classes=params.classes,
    )
    first = _begun(sources(box_px, pixel_ang), descent, params, _first(report), map_batches, steps)
    recipe = Recipe(
        box_px, pixel_ang, diameter, descent.resolution_ang, params.symmetry, reach_ang, 1, "global", 0.0, params.seed
    )
    name = params.name or params.species or "average"
    last = part(report, _SHARE_OF_STARTS, _SHARES)
    if params.classes == 1:
        return _average(sources, first, 0, recipe, name, last, map_batches)
    plan = descent.plan(descent.iterations, box_px, pixel_ang)
    return _classes(sources, first, plan, recipe, name, last, map_batches)


def _is_annealed(params: InitialModelParams, count: int) -> bool:
    """Tell whether particles are few and of one kind without symmetry."""
    return params.classes == 1 and params.symmetry.upper() == "C1" and count <= params.annealed


def _begun(
    source: "ImageSource",
    descent: "Descent",
    params: InitialModelParams,
    report: Report,
    map_batches: MapBatches,
    steps: Steps,
) -> "FirstMap":
    """Make the first map in lots, or of few particles by annealing."""
    from napari_tomoflow.core.averaging.annealing import Annealing, annealed_map
    from napari_tomoflow.core.averaging.initial import first_map

    if not _is_annealed(params, len(source.particles)):
        return first_map(source, descent, report, map_batches, steps)
    annealing = Annealing(
        diameter_ang=descent.diameter_ang,
        resolution_ang=max(descent.resolution_ang, _ANNEALED_SHARE * descent.diameter_ang),
        reach_ang=descent.reach_ang,
        iterations=math.ceil(descent.iterations / 2),
        starts=2 * descent.starts,
        seed=descent.seed,
    )
    return annealed_map(source, annealing, report, map_batches, steps)


def _average(
    sources: "RawSources",
    first: "FirstMap",
    number: int,
    recipe: "Recipe",
    name: str,
    report: Report,
    map_batches: MapBatches,
) -> Average:
    """Align particles with one of the first maps, and average them."""
    from napari_tomoflow.core.averaging.refinement import refine_poses
    from napari_tomoflow.core.averaging.resizing import band_pass, shell_filtered
    from napari_tomoflow.core.averaging.result import average_of

    ended = refine_poses(sources, first.volumes[number], recipe, None, report, map_batches)
    average = average_of(ended, name, recipe.symmetry, recipe.pixel_ang)
    volume = shell_filtered(ended.average.volume, band_pass(recipe.coarsest, recipe.box_px / 2))
    return average.replace(
        map=average.map.replace(volume=volume),
        quality={**average.quality, "resolution_ang": None, "descent": first.quality},
    )


def _classes(
    sources: "RawSources",
    first: "FirstMap",
    plan: "PosePlan",
    recipe: "Recipe",
    name: str,
    report: Report,
    map_batches: MapBatches,
) -> Average:
    """Part particles by the first maps, and average each class."""
    from napari_tomoflow.core.averaging.competing import classes_by_maps
    from napari_tomoflow.core.averaging.half_sets import half_sets
    from napari_tomoflow.core.averaging.result import classes_joined

    particles, source = sources.dataset.particles, sources(recipe.box_px, recipe.pixel_ang)
    numbers, shares = classes_by_maps(source, list(first.volumes), plan, part(report, 0, 2), map_batches)
    class_of = shares.argmax(axis=1)
    chosen = [np.flatnonzero(class_of == place) for place in range(len(numbers))]
    averages = []
    for place, (number, mine) in enumerate(zip(numbers, chosen, strict=True)):
        some = particles[mine]
        if np.bincount(some.half, minlength=3)[1:].min() < _LEAST_OF_HALF:
            some = some.replace(half=half_sets(some.replace(half=np.array(0)), recipe.diameter_ang))
        here = part(part(report, 1, 2), place, len(numbers))
        of_class = f"{name}_{place + 1}"
        averages.append(_average(sources.of(some), first, int(number), recipe, of_class, here, map_batches))
    return classes_joined(averages, chosen, shares)


def _first(report: Report) -> Report:
    """Give the descent its share of the time."""

    def share(done: int, total: int, doing: str) -> None:
        report(_SHARE_OF_STARTS * done, _SHARES * max(total, 1), doing)

    return share


INITIAL_MODEL = Stage.of(initial_model, version=5, cites=("10.1038/s41592-019-0591-8", "10.1042/BCJ20210708"))
