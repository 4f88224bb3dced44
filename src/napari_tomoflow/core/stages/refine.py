"""Stage: poses and average of particles, refined in two halves that never see each other."""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from napari_tomoflow.core.errors import DataError, MissingError
from napari_tomoflow.core.model import Average, Dataset, DensityMap
from napari_tomoflow.core.ops.ctf import DoseModel
from napari_tomoflow.core.ops.so3 import symmetry_operators
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import MapBatches, NoSteps, Stage, Steps, in_order

if TYPE_CHECKING:
    from napari_tomoflow.core.averaging.recipe import Recipe

__all__ = ["REFINE", "RefineParams", "refine"]

_START_SHARE, _START_RANGE_ANG = 0.25, (30.0, 80.0)
"""Resolution of the start: a share of the diameter, within a range."""


class RefineParams(Params):
    """What the particles are, what they are compared with, and how far that is taken."""

    species: str = param("", help="Kind of particle; empty for all.")
    only_class: int = param(0, low=0, help="Class of the particles that are taken; 0 takes all.")
    name: str = param("", help="Name of the result; empty takes the species.")
    diameter_ang: float | None = param(
        None, unit="Å", low=20, high=5000, help="Diameter of the particle; empty takes what the picks say."
    )
    symmetry: str | None = param(
        None, help="Point group: C1, C2, ..., D2, ..., T, O, I; empty takes that of the reference."
    )
    reference: Path | None = param(None, help="Map to begin with; empty takes the newest of the particles.")
    mask: Path | None = param(None, help="Mask from 0 to 1 with a soft edge; empty takes a ball, or one within it.")
    search: Literal["auto", "global", "local"] = param(
        "auto", help="Look for poses everywhere at first (auto), always, or never."
    )
    box_px: int | None = param(
        None, unit="px", low=24, high=1024, help="Edge of the box, even; empty takes 1.6 diameters."
    )
    pixel_ang: float | None = param(
        None, unit="Å", low=0.1, help="Voxel of the average; empty takes the coarsest pixel of the series."
    )
    start_ang: float | None = param(
        None,
        unit="Å",
        low=5,
        help="Finest detail both halves are given; empty takes a quarter of the diameter.",
    )
    reach_ang: float | None = param(
        None, unit="Å", low=1, help="How far particles may lie off at first; empty takes an eighth of the diameter."
    )
    iterations: int = param(12, low=1, high=100, help="At most; it stops when the halves agree no better.")
    left_out: float = param(
        0.03, low=0, high=0.9, help="Share of the particles, those of the lowest scores, that do not count."
    )
    tight_mask: bool = param(
        True, help="Compare halves under a mask about what has appeared, as tight as the resolution allows."
    )
    seed: int = param(1, low=0, expert=True, help="Start of the random phases that tell what a mask adds.")
    local_filter: bool = param(
        False, expert=True, help="Filter halves by how far they agree around each voxel, as in crowded cells."
    )
    subsets: bool = param(
        False, expert=True, help="Average parts of the particles too, to tell what more of them would bring."
    )
    dose_weighting: DoseModel = param("grant-grigorieff", expert=True, help="How exposure fades the tilts.")

    @model_validator(mode="after")
    def check_together(self) -> Self:
        """Check what the types cannot tell."""
        symmetry_operators(self.symmetry or "C1")
        if self.box_px is not None and self.box_px % 2:
            raise ValueError(f"box_px {self.box_px} is odd; give an even number.")
        return self


def refine(
    dataset: Dataset,
    reference: DensityMap | None = None,
    *,
    mask: DensityMap | None = None,
    params: RefineParams = RefineParams(),
    report: Report = silent,
    map_batches: MapBatches = in_order,
    steps: Steps = NoSteps(),
) -> Average:
    """Refine the poses of particles against the average of their half, and average them.

    Parameters
    ----------
    dataset : Dataset
        Halves that particles have are kept; else neighbours that share pixels get the same.
    reference : DensityMap, optional
        Any map of the particle, of which finer detail than the start is not used. Where it lacks the symmetry asked
        for, its axes are found first. The parameter of this name makes it from a file.
    mask : DensityMap, optional
        In the frame of the average.
    params : RefineParams
    report, map_batches, steps
        See `core.report` and `core.stage`. Every iteration is kept.

    Returns
    -------
    Average
        ``map.halves`` are unfiltered. ``quality["resolution_ang"]`` is where the FSC of the masked halves, freed of
        what the mask adds, falls below 0.143; None where the halves agree no further than the start they had in common.

    Raises
    ------
    MissingError
        There is no reference.
    DataError, ParamError
        There are too few particles, or their diameter is not known.

    Notes
    -----
    See `core.averaging.refinement` for the course and `core.averaging.search` for the search. Images are cut out of
    the raw series whenever they are needed, in boxes no finer than an iteration can use. A tight mask is drawn anew in
    every iteration: the largest body, extended by half the resolution known so far and at least 3 voxels, with a soft
    edge of 2 resolutions and at least 6 voxels, within a ball of the particle's diameter. The map is filtered by how
    far the halves agree, and where that is less than 0.143 by the signal that the shells around it show: detail does
    not end where halves of so many particles cease to show it. ``quality["subsets"]`` has the resolution of parts of
    the particles, for a Rosenthal–Henderson plot. Not done: helical symmetry.

    References
    ----------
    .. [1] Scheres and Chen, Nat. Methods 9 (2012) 853, doi:10.1038/nmeth.2115. Two halves from the start.
    .. [2] Chen et al., Nat. Methods 16 (2019) 1161, doi:10.1038/s41592-019-0591-8. Images of each tilt compared with
       one map, from coarse to fine.
    """
    from napari_tomoflow.core.averaging.half_sets import half_sets
    from napari_tomoflow.core.averaging.recipe import ball
    from napari_tomoflow.core.averaging.refinement import refine_poses
    from napari_tomoflow.core.averaging.resizing import fitted
    from napari_tomoflow.core.averaging.result import average_of
    from napari_tomoflow.core.averaging.selection import diameter_ang_of, of_species
    from napari_tomoflow.core.averaging.sources import RawSources
    from napari_tomoflow.core.averaging.subsets import rosenthal_henderson

    if reference is None:
        raise MissingError(
            "There is no map to begin with; run `tomoflow initial-model` first, or give a file with --reference."
        )
    data = of_species(dataset, params.species, params.only_class)
    diameter = params.diameter_ang or diameter_ang_of(data.particles)
    data = data.replace(particles=data.particles.replace(half=half_sets(data.particles, diameter)))
    recipe = _recipe(data, reference, params, diameter)
    if mask is not None:
        recipe = replace(recipe, tight_mask=False)
    start = _start(reference, recipe)
    soft = ball(recipe) if mask is None else _soft(fitted(mask, recipe.box_px, recipe.pixel_ang))
    sources = RawSources(data, diameter / 2, params.dose_weighting)
    here = part(report, 0, 2) if params.subsets else report
    ended = refine_poses(sources, start, recipe, soft, here, map_batches, steps)
    name = params.name or params.species or reference.name
    average = average_of(ended, name, recipe.symmetry, recipe.pixel_ang, ended.mask)
    if not params.subsets:
        return average
    source = sources(recipe.box_px, recipe.pixel_ang).at(ended.particles)
    subsets = rosenthal_henderson(source, ended, recipe.symmetry, recipe.seed, part(report, 1, 2), map_batches)
    return average.replace(quality={**average.quality, "subsets": subsets})


def _recipe(data: Dataset, reference: DensityMap, params: RefineParams, diameter_ang: float) -> "Recipe":
    """Choose what the person left open."""
    from napari_tomoflow.core.averaging.recipe import Recipe

    pixel_ang = params.pixel_ang or max(one.pixel_ang for one in data.series.values())
    start_ang = params.start_ang or float(np.clip(_START_SHARE * diameter_ang, *_START_RANGE_ANG))
    return Recipe(
        box_px=params.box_px or 2 * max(12, math.ceil(0.8 * diameter_ang / pixel_ang)),
        pixel_ang=pixel_ang,
        diameter_ang=diameter_ang,
        start_ang=max(start_ang, 2.2 * pixel_ang),
        symmetry=params.symmetry or reference.symmetry,
        reach_ang=params.reach_ang or diameter_ang / 8,
        iterations=params.iterations,
        search=params.search,
        left_out=params.left_out,
        seed=params.seed,
        tight_mask=params.tight_mask,
        local_filter=params.local_filter,
    )


def _start(reference: DensityMap, recipe: "Recipe") -> NDArray[np.float32]:
    """Bring the reference onto the grid, and its axes to where the symmetry has them."""
    from napari_tomoflow.core.averaging.recipe import ball
    from napari_tomoflow.core.averaging.resizing import fitted
    from napari_tomoflow.core.averaging.symmetry_axis import find_axes

    start = fitted(reference, recipe.box_px, recipe.pixel_ang)
    if not np.any(start):
        raise DataError(f"The reference {reference.name} is empty; give another.")
    if recipe.symmetry in (reference.symmetry, "C1"):
        return start
    radius = min(recipe.width_ang / recipe.start_ang, recipe.box_px / 2 - 1.0)
    return find_axes(start * ball(recipe), recipe.symmetry, radius).seen(start)


def _soft(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keep a mask within 0 and 1."""
    if not mask.max() > 0:
        raise DataError("The mask is empty; give one that is 1 inside the particle.")
    return np.asarray(np.clip(mask, 0.0, 1.0), np.float32)


REFINE = Stage.of(refine, version=5, cites=("10.1038/nmeth.2115", "10.1038/s41592-019-0591-8"))
