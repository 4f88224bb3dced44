"""Stage: particles that are not all alike, told apart."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Classes, Dataset, DensityMap, ParticleSet
from napari_tomoflow.core.ops.ctf import DoseModel
from napari_tomoflow.core.ops.so3 import symmetry_operators
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import MapBatches, NoSteps, Stage, Steps, in_order

if TYPE_CHECKING:
    from napari_tomoflow.core.averaging.sources import RawSources
    from napari_tomoflow.core.classification.recipe import Recipe
    from napari_tomoflow.core.classification.split import Split

__all__ = ["CLASSIFY", "ClassifyParams", "classify"]

_PIXELS_PER_DETAIL = 8.0 / 3.0
"""Pixels to the finest detail: Nyquist lies a third beyond it."""

_DETAIL_SHARE, _LEAST_PIXELS = 0.1, 3.0
"""Finest detail compared: a share of the diameter, at least as many pixels of the series."""

_BOX_DIAMETERS = 1.6
_SHARES = 4
"""Three passes over the particles part them, a fourth averages the classes."""


class ClassifyParams(Params):
    """How particles are told apart."""

    method: Literal["score", "pca", "multi-reference", "likelihood"] = param(
        "likelihood",
        help="By score, by components of difference, or by maps that compete for each particle, wholly or in shares.",
    )
    classes: int = param(2, low=2, high=50, help="Number of classes; scores always make two.")
    species: str = param("", help="Kind of particle; empty for all.")
    name: str = param("", help="Name of the result; empty takes the species.")
    reference: Path | None = param(
        None, help="Map that tells symmetry, voxel and mask; empty takes the newest of the particles."
    )
    mask: Path | None = param(
        None, help="Mask from 0 to 1 with a soft edge around what may differ; empty takes a ball around all."
    )
    diameter_ang: float | None = param(
        None, unit="Å", low=20, high=5000, help="Diameter of the particle; empty takes what the picks say."
    )
    symmetry: str | None = param(
        None, help="Point group that all classes have; empty takes that of the reference, C1 shows where it is broken."
    )
    resolution_ang: float | None = param(
        None, unit="Å", low=4, high=200, help="Finest detail that is compared; empty takes a tenth of the diameter."
    )
    components: int | None = param(
        None, low=1, high=50, help="PCA: directions of difference; empty takes one less than classes, at least two."
    )
    clustering: Literal["k-means", "hierarchical"] = param("k-means", help="PCA: how particles are grouped by them.")
    keep: float | None = param(
        None, low=0.01, high=1, help="Score: share of the particles kept; empty cuts between two peaks, or keeps 0.95."
    )
    rounds: int = param(
        0, low=0, high=20, help="Times particles are aligned anew, near their pose: with all, then with any class."
    )
    repeats: int = param(3, low=1, high=50, help="Times it is done from other random numbers; the best one counts.")
    seed: int = param(1, low=0, help="Start of all random numbers.")

    iterations: int = param(60, low=1, high=500, expert=True, help="At most, in each repeat.")
    difference: float = param(
        0.3, low=0.001, high=10, expert=True, help="Power in which classes may differ, as a share of the average's."
    )
    pixel_ang: float | None = param(
        None, unit="Å", low=0.1, expert=True, help="Voxel of the averages; empty takes that of the reference."
    )
    dose_weighting: DoseModel = param("grant-grigorieff", expert=True, help="How exposure fades the tilts.")

    @model_validator(mode="after")
    def check_together(self) -> Self:
        """Check what the types cannot tell."""
        symmetry_operators(self.symmetry or "C1")
        return self


def classify(
    dataset: Dataset,
    reference: DensityMap | None = None,
    *,
    mask: DensityMap | None = None,
    params: ClassifyParams = ClassifyParams(),
    report: Report = silent,
    map_batches: MapBatches = in_order,
    steps: Steps = NoSteps(),
) -> Classes:
    """Tell particles apart that are not all alike, and average each class.

    Parameters
    ----------
    dataset : Dataset
        Particles at refined poses. Halves they have are kept.
    reference : DensityMap, optional
        Their average: symmetry, voxel and mask are taken from it. The parameter of this name makes it from a file.
    mask : DensityMap, optional
        Where classes may differ, in the frame of the average. What lies outside is the same in all of them.
    params : ClassifyParams
    report, map_batches, steps
        See `core.report` and `core.stage`. Every repeat and round is kept.

    Returns
    -------
    Classes
        The largest class first, by score what is kept. ``quality["stability"]`` tells how far the repeats agree,
        ``quality["gain"]`` by how much maps of one half of the particles, parted by itself, explain a particle of the
        other better than maps of random classes do, in units of log likelihood: where it is not clearly above 0,
        classes are made by chance.

    Raises
    ------
    DataError, ParamError
        There are too few particles, or too many for the memory; their diameter is not known; they have no scores.

    Notes
    -----
    Poses stay as they are, unless `rounds` are asked for: particles then climb to where they agree best with the
    average of all, later with the map of any class, before classes are made anew. See `core.classification.spectra`
    for what is compared, `contest` for the maps that compete, `components`, `scores` and `proof`. Classes with fewer
    than four particles go to the others. Both halves are in view when classes are made: refine a class by itself for
    its resolution. Not done: classes of continuous motion, and sums over poses in place of the best one.

    References
    ----------
    .. [1] Scheres et al., Nat. Methods 4 (2007) 27, doi:10.1038/nmeth992. Likelihoods over classes.
    .. [2] Tipping and Bishop, J. R. Stat. Soc. B 61 (1999) 611, doi:10.1111/1467-9868.00196. Components from data with
       gaps.
    """
    from napari_tomoflow.core.averaging.half_sets import half_sets
    from napari_tomoflow.core.averaging.selection import diameter_ang_of, of_species
    from napari_tomoflow.core.averaging.sources import RawSources
    from napari_tomoflow.core.classification.class_maps import LEAST, class_maps
    from napari_tomoflow.core.classification.result import classes_of
    from napari_tomoflow.core.classification.split import largest_first

    data = of_species(dataset, params.species)
    diameter = params.diameter_ang or diameter_ang_of(data.particles)
    data = data.replace(particles=data.particles.replace(half=half_sets(data.particles, diameter)))
    if params.classes * LEAST > len(data.particles):
        raise DataError(
            f"{len(data.particles)} particles are too few for {params.classes} classes; ask for at most "
            f"{len(data.particles) // LEAST}."
        )
    recipe = _recipe(data, reference, params, diameter)
    sources = RawSources(data, diameter / 2, params.dose_weighting)
    split, others, particles = _parted(data, sources, recipe, mask, params, report, map_batches, steps)
    # What is kept by score is class 1 however few it is.
    if recipe.method != "score" or split.counts.min() < LEAST:
        split = largest_first(split, LEAST)
    shown = _grid_of_maps(data, reference, params, recipe)
    maps = class_maps(
        sources(shown.volume.shape[0], shown.voxel_ang).at(particles),
        split.class_of,
        split.shares.max(axis=1),
        recipe.symmetry,
        diameter,
        np.asarray(shown.mask, np.float32),
        params.seed,
        part(report, _SHARES - 1, _SHARES),
        map_batches,
    )
    return classes_of(particles, split, others, maps, shown, params.method)


def _recipe(data: Dataset, reference: DensityMap | None, params: ClassifyParams, diameter_ang: float) -> "Recipe":
    """Choose what the person left open."""
    from napari_tomoflow.core.classification.recipe import Recipe

    coarsest_ang = max(one.pixel_ang for one in data.series.values())
    resolution_ang = params.resolution_ang or max(_DETAIL_SHARE * diameter_ang, _LEAST_PIXELS * coarsest_ang)
    pixel_ang = max(resolution_ang / _PIXELS_PER_DETAIL, coarsest_ang)
    return Recipe(
        method=params.method,
        n_classes=params.classes,
        box_px=_box_px(diameter_ang, pixel_ang),
        pixel_ang=pixel_ang,
        resolution_ang=resolution_ang,
        diameter_ang=diameter_ang,
        symmetry=params.symmetry or ("C1" if reference is None else reference.symmetry),
        difference=params.difference,
        clustering=params.clustering,
        components=params.components or max(2, params.classes - 1),
        iterations=params.iterations,
        repeats=params.repeats,
        rounds=params.rounds,
        seed=params.seed,
    )


def _box_px(diameter_ang: float, pixel_ang: float) -> int:
    return 2 * max(12, math.ceil(_BOX_DIAMETERS / 2 * diameter_ang / pixel_ang))


def _parted(
    data: Dataset,
    sources: "RawSources",
    recipe: "Recipe",
    mask: DensityMap | None,
    params: ClassifyParams,
    report: Report,
    map_batches: MapBatches,
    steps: Steps,
) -> "tuple[Split, tuple[Split, ...], ParticleSet]":
    """Part the particles, by score or by images, and return where they lie now."""
    if recipe.method == "score":
        from napari_tomoflow.core.classification.scores import conditions_of, split_by_score

        report(0, _SHARES, "Looking at the scores")
        split = split_by_score(data.particles.score, conditions_of(data), params.keep, recipe.seed)
        return split, (), data.particles
    from napari_tomoflow.core.averaging.resizing import fitted
    from napari_tomoflow.core.classification.course import part_by_images

    focus = None if mask is None else _soft(fitted(mask, recipe.box_px, recipe.pixel_ang))
    found = part_by_images(sources(recipe.box_px, recipe.pixel_ang), recipe, focus, _first(report), map_batches, steps)
    return found.best, found.others, found.particles


def _first(report: Report) -> Report:
    """Give the parting its share of the time."""

    def share(done: int, total: int, doing: str) -> None:
        report((_SHARES - 1) * done, _SHARES * max(total, 1), doing)

    return share


def _soft(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keep a mask within 0 and 1."""
    if not mask.max() > 0:
        raise DataError("The mask is empty; give one that is 1 where classes may differ.")
    return np.asarray(np.clip(mask, 0.0, 1.0), np.float32)


def _grid_of_maps(data: Dataset, reference: DensityMap | None, params: ClassifyParams, recipe: "Recipe") -> DensityMap:
    """Return an empty map on the grid of the averages, with name, symmetry and mask."""
    from napari_tomoflow.core.averaging.resizing import fitted
    from napari_tomoflow.core.ops.masks import soft_sphere

    finest_ang = max(one.pixel_ang for one in data.series.values())
    wanted_ang = recipe.pixel_ang if reference is None else reference.voxel_ang
    pixel_ang = params.pixel_ang or max(wanted_ang, finest_ang)
    box_px = _box_px(recipe.diameter_ang, pixel_ang)
    if reference is None or reference.mask is None:
        mask = soft_sphere(box_px, 0.5 * recipe.diameter_ang / pixel_ang + 2.0)
    else:
        mask = _soft(fitted(reference.replace(volume=reference.mask, contrast="bright"), box_px, pixel_ang))
    return DensityMap(
        name=params.name or params.species or ("particles" if reference is None else reference.name),
        volume=np.zeros((box_px,) * 3, np.float32),
        voxel_ang=pixel_ang,
        mask=mask,
        symmetry=recipe.symmetry,
    )


CLASSIFY = Stage.of(classify, version=2, cites=("10.1038/nmeth992", "10.1111/1467-9868.00196"))
