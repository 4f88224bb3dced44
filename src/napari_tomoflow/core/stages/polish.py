"""Stage: the geometry of tilt series, refined by the particles they show."""

from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Dataset, DensityMap, Ensemble, Polished
from napari_tomoflow.core.model.ensemble import named_species
from napari_tomoflow.core.ops.ctf import DoseModel
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import MapBatches, NoSteps, Stage, Steps, in_order

if TYPE_CHECKING:
    from napari_tomoflow.core.polishing.averaged import Species

__all__ = ["POLISH", "PolishParams", "polish"]

_POSE_REACH = 1 / 24
"""How far poses may move in a round, in diameters: the geometry has been there before."""


class PolishParams(Params):
    """What is refined, and how far."""

    species: str = param("", help="Kinds of particles, with commas between them; empty for all that have an average.")
    mode: Literal["regularised", "subtilt"] = param(
        "regularised", help="Refine what all particles share, or every image of every particle by itself."
    )
    diameter_ang: float | None = param(
        None, unit="Å", low=20, high=5000, help="Diameter of the particles; empty takes what the picks say."
    )
    rounds: int = param(3, low=1, high=20, help="At most; it stops when the halves agree no better.")
    reach_ang: float = param(
        30.0, unit="Å", low=2, high=500, help="Regularised: how far images may lie from where they are thought to be."
    )
    ctf: bool = param(
        False,
        help="First refine against the average what the microscope did: defocus, unknown hands, strength, aberrations, "
        "stretch of images.",
    )
    poses: bool = param(True, help="Regularised: turn particles, too, at the geometry found.")
    paths: bool = param(
        True, help="Regularised: let each particle move by itself, too, where tilts left out agree with that."
    )
    folds: int = param(
        2, low=1, high=10, expert=True, help="Regularised: how many tenths of the particles judge what the others say."
    )
    seed: int = param(1, low=0, expert=True, help="Start of all random numbers.")
    dose_weighting: DoseModel = param("grant-grigorieff", expert=True, help="How exposure fades the tilts.")


def polish(
    ensemble: Ensemble,
    *,
    params: PolishParams = PolishParams(),
    report: Report = silent,
    map_batches: MapBatches = in_order,
    steps: Steps = NoSteps(),
) -> Polished:
    """Refine the geometry of tilt series by the particles they show, and average those anew.

    Parameters
    ----------
    ensemble : Ensemble
        Refined particles of one or several species, with the average of each. Halves that particles have are kept.
    params : PolishParams
    report, map_batches, steps
        See `core.report` and `core.stage`. Every round is kept.

    Returns
    -------
    Polished
        Alignments, with the bending of the specimen, that any stage can use; the particles where they are then seen;
        and their averages. ``quality["series"]`` tells for every series which parts of the geometry were accepted, by
        how much particles left out gained, and how far tilts moved; ``quality["species"]`` the resolution before and
        after. Where asked for, ``quality["ctf"]`` tells what each turn found of the CTF and strength of every series,
        and ``quality["optics"]`` of the stretch and the aberrations of every microscope.

    Raises
    ------
    DataError, ParamError
        A species has too few particles, or its diameter is not known.

    Notes
    -----
    See `core.polishing.course` for the regularised course, and `core.polishing.subtilt` for the other. In the first
    the shift and angles of each tilt, the bending of the specimen over its exposure, that of each image and the place
    of each particle are tried in turn, and a part is used only if particles that it was not fitted to agree better by
    it. Both halves share the geometry. Last each particle may move along a smooth path of its own, as do its
    neighbours or not, if that tells better than its place alone where tilts left out show it; paths are columns of the
    particles, and every stage that cuts out images follows them. See `core.polishing.defocus`, `defocus_scales`,
    `magnification` and `aberrations` for the CTF and the lens, which are judged by particles left out, too; the species
    of most particles tells them. Not done: a pixel that is off as a whole, which only a known map could tell.

    References
    ----------
    .. [1] Tegunov et al., Nat. Methods 18 (2021) 186, doi:10.1038/s41592-020-01054-7. All particles refine geometry and
       deformation together.
    .. [2] Zivanov et al., eLife 11 (2022) e83724, doi:10.7554/eLife.83724. Maps of correlations made once.
    .. [3] Chen et al., Nat. Methods 16 (2019) 1161, doi:10.1038/s41592-019-0591-8. Images refined by themselves.
    .. [4] Zivanov et al., IUCrJ 7 (2020) 253, doi:10.1107/S2052252520000081. Aberrations and magnification by sums over
       all images.
    """
    data, species = _prepared(ensemble, params)
    if not params.ctf:
        return _polished(ensemble, data, species, params, report, map_batches, steps)
    from napari_tomoflow.core.polishing.defocus_course import refine_ctfs

    first = max(data, key=lambda name: len(data[name].particles))
    found = refine_ctfs(data[first], species[first], params.dose_weighting, part(report, 0, 2), map_batches)
    data = {name: one.replace(ctfs=found.ctfs) for name, one in data.items()}
    known = ensemble.replace(ctfs=found.ctfs)
    made = _polished(known, data, species, params, part(report, 1, 2), map_batches, steps)
    ctfs = {name: found.ctfs[name] for name in found.record}
    told = {"ctf": found.record, "optics": found.optics}
    return made.replace(ctfs=ctfs, quality={**made.quality, **told})


def _polished(
    ensemble: Ensemble,
    data: "dict[str, Dataset]",
    species: "dict[str, Species]",
    params: PolishParams,
    report: Report,
    map_batches: MapBatches,
    steps: Steps,
) -> Polished:
    """Refine with the CTF as it is known."""
    if params.mode == "subtilt":
        return _by_themselves(data, species, params, report, map_batches, steps)
    from napari_tomoflow.core.polishing.course import Settings, refine_together
    from napari_tomoflow.core.polishing.result import polished_together

    settings = Settings(
        rounds=params.rounds,
        reach_ang=params.reach_ang,
        folds=params.folds,
        poses=params.poses,
        paths=params.paths,
        dose_weighting=params.dose_weighting,
        seed=params.seed,
    )
    particles = {name: data[name].particles for name in species}
    return polished_together(
        ensemble, species, refine_together(ensemble, species, particles, settings, report, map_batches, steps)
    )


def _prepared(ensemble: Ensemble, params: PolishParams) -> "tuple[dict[str, Dataset], dict[str, Species]]":
    """Part the species, and say how each is averaged."""
    from napari_tomoflow.core.averaging.half_sets import half_sets
    from napari_tomoflow.core.averaging.selection import diameter_ang_of, of_species

    wanted = named_species(params.species)
    data, species = {}, {}
    for name in wanted or ensemble.maps:
        if name not in ensemble.maps:
            raise DataError(f"There is no average of {name}, but of {', '.join(ensemble.maps)}; choose from these.")
        mine = of_species(ensemble, name)
        diameter = params.diameter_ang or diameter_ang_of(mine.particles)
        data[name] = mine.replace(particles=mine.particles.replace(half=half_sets(mine.particles, diameter)))
        species[name] = _species(mine, ensemble.maps[name], diameter, params.seed)
    return data, species


def _by_themselves(
    data: "dict[str, Dataset]",
    species: "dict[str, Species]",
    params: PolishParams,
    report: Report,
    map_batches: MapBatches,
    steps: Steps,
) -> Polished:
    """Refine every image of every particle by itself."""
    from napari_tomoflow.core.averaging.sources import RawSources
    from napari_tomoflow.core.polishing.averaged import Averaged
    from napari_tomoflow.core.polishing.result import ByThemselves, polished_by_themselves
    from napari_tomoflow.core.polishing.subtilt import SubtiltSettings, refine_subtilts

    results = {}
    settings = SubtiltSettings(rounds=params.rounds, seed=params.seed)
    for number, (name, one) in enumerate(species.items()):
        recipe, inner = one.recipe, part(report, number, len(species))
        sources = RawSources(data[name], recipe.diameter_ang / 2, params.dose_weighting)
        source = sources(recipe.box_px, recipe.pixel_ang)
        known = Averaged.made(source, one, recipe.seed, part(inner, 0, 2), map_batches)
        found = refine_subtilts(
            sources, known.result.halves, one, settings, part(inner, 1, 2), map_batches, steps, name
        )
        results[name] = ByThemselves(source, found.average or known.result, known.curve, found)
    report(1, 1, "Polished")
    return polished_by_themselves(species, results)


def _species(mine: Dataset, known: DensityMap, diameter_ang: float, seed: int) -> "Species":
    """Average a species on the grid of its map, within its mask; particles that did not count still do not."""
    from napari_tomoflow.core.averaging.recipe import Recipe, ball
    from napari_tomoflow.core.polishing.averaged import Species

    box_px = known.volume.shape[0]
    if set(known.volume.shape) != {box_px} or box_px % 2:
        raise DataError(f"{known.name}: a map of {known.volume.shape} voxels is no even cube; refine it again.")
    recipe = Recipe(
        box_px=box_px,
        pixel_ang=known.voxel_ang,
        diameter_ang=diameter_ang,
        start_ang=diameter_ang,
        symmetry=known.symmetry,
        reach_ang=_POSE_REACH * diameter_ang,
        seed=seed,
    )
    mask = ball(recipe) if known.mask is None else np.clip(np.asarray(known.mask, np.float32), 0.0, 1.0)
    counted = mine.particles.features.get("counted", np.ones(len(mine.particles)))
    return Species(recipe, mask, np.asarray(counted, np.float64))


POLISH = Stage.of(
    polish,
    version=4,
    cites=(
        "10.1038/s41592-020-01054-7",
        "10.7554/eLife.83724",
        "10.1038/s41592-019-0591-8",
        "10.1107/S2052252520000081",
    ),
)
