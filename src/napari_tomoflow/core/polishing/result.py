"""What refinement of geometry or of single images came to, as a noun with its quality."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.extraction import subtilts_of
from napari_tomoflow.core.averaging.fsc_curve import FscCurve
from napari_tomoflow.core.averaging.reconstruct import Reconstruction
from napari_tomoflow.core.averaging.refinement import Refined
from napari_tomoflow.core.averaging.result import average_of
from napari_tomoflow.core.averaging.series_images import DatasetImages
from napari_tomoflow.core.model import Alignment, Average, Dataset, ParticleSet, Polished, SubtiltSet, TiltSeries
from napari_tomoflow.core.model.paths import path_weights
from napari_tomoflow.core.model.subtilt_set import COLUMNS
from napari_tomoflow.core.ops.poses import quaternions_from_matrices
from napari_tomoflow.core.polishing.averaged import Species
from napari_tomoflow.core.polishing.course import State
from napari_tomoflow.core.polishing.subtilt import RefinedSubtilts

Floats = NDArray[np.float64]


def polished_together(dataset: Dataset, species: Mapping[str, Species], after: State) -> Polished:
    """Name what `course.refine_together` led to.

    Parameters
    ----------
    dataset : Dataset
        As it was.
    species : mapping of str to Species
    after : State
    """
    averages = {}
    for name, one in after.averages.items():
        rounds = [_round_of(record, name) for record in after.history[1:] if record["kept"]]
        refined = Refined(
            particles=after.particles[name],
            average=one.result,
            curve=one.curve,
            resolution_ang=one.curve.resolution_ang(),
            weights=species[name].weights,
            history=tuple(rounds),
        )
        averages[name] = _average(refined, name, species[name])
    everywhere = np.concatenate([one.centers_ang_zyx for one in after.particles.values()])
    tomogram = np.concatenate([one.tomogram for one in after.particles.values()])
    alignments, series = {}, {}
    for name in dict.fromkeys(tomogram.tolist()):
        was, now = dataset.alignments[name], after.alignments[name]
        series[name] = _change(was, now, everywhere[tomogram == name])
        series[name]["path_rms_ang"] = _path_rms_ang(dataset.series[name], now, after.particles.values())
        rounds = [record["series"][name] for record in after.history[1:] if record["kept"]]
        series[name]["rounds"] = rounds
        alignments[name] = now.replace(quality=series[name])
    curves = {name: (after.before[name], one.curve) for name, one in after.averages.items()}
    quality = {"mode": "regularised", "species": _compared(curves), "series": series, "rounds": list(after.history)}
    return Polished(averages=averages, alignments=alignments, quality=quality)


def _average(refined: Refined, name: str, species: Species) -> Average:
    recipe = species.recipe
    return average_of(refined, name, recipe.symmetry, recipe.pixel_ang, species.mask)


def _round_of(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Take one species out of the record of a round."""
    return {**record["species"][name], "resolution_ang": record["resolution_ang"][name]}


def _compared(curves: Mapping[str, tuple[FscCurve, FscCurve]]) -> dict[str, dict[str, Any]]:
    """Say how far halves agreed before and after."""
    return {
        name: {
            "resolution_before_ang": before.resolution_ang(),
            "resolution_ang": after.resolution_ang(),
            "fsc_before": {
                "frequency_inv_ang": np.round(before.frequency_inv_ang, 6).tolist(),
                "corrected": np.round(before.corrected, 4).tolist(),
            },
            "fsc": {
                "frequency_inv_ang": np.round(after.frequency_inv_ang, 6).tolist(),
                "corrected": np.round(after.corrected, 4).tolist(),
            },
        }
        for name, (before, after) in curves.items()
    }


def _change(was: Alignment, now: Alignment, centers_ang_zyx: Floats) -> dict[str, Any]:
    """Say by how much an alignment changed, tilt by tilt."""
    rigid_ang_yx, _ = now.replace(deformation=None).project(centers_ang_zyx)
    bent = [
        np.zeros_like(rigid_ang_yx)
        if one.deformation is None
        else one.deformation.displacements(rigid_ang_yx, centers_ang_zyx[:, 0])
        for one in (was, now)
    ]
    bending = np.sqrt(np.mean(np.sum((bent[1] - bent[0]) ** 2, axis=2), axis=1))
    columns = {
        "shift_y_ang": now.shift_ang_yx[:, 0] - was.shift_ang_yx[:, 0],
        "shift_x_ang": now.shift_ang_yx[:, 1] - was.shift_ang_yx[:, 1],
        "axis_deg": now.axis_deg - was.axis_deg,
        "tilt_deg": now.tilt_deg - was.tilt_deg,
        "xtilt_deg": now.xtilt_deg - was.xtilt_deg,
        "bending_ang": bending,
    }
    return {
        "changes": {name: np.round(column, 4).tolist() for name, column in columns.items()},
        "bending_rms_ang": round(float(np.sqrt(np.mean(bending**2))), 3),
        "particles": len(centers_ang_zyx),
    }


def _path_rms_ang(series: TiltSeries, alignment: Alignment, particles: Iterable[ParticleSet]) -> float:
    """Return how far the particles of a series lie from their centres in the tilts in use, RMS."""
    paths = np.concatenate([one.known_paths_ang_zyx[one.tomogram == series.name] for one in particles])
    moved = path_weights(series)[series.kept & alignment.kept] @ paths
    return round(float(np.sqrt(np.mean(np.sum(moved**2, axis=2)))), 3)


@dataclass(frozen=True, eq=False)
class ByThemselves:
    """What refinement of single images came to for one species.

    Attributes
    ----------
    source : DatasetImages
        Of the images as they were cut out.
    average : Reconstruction
    before : FscCurve
        Of what there was.
    found : RefinedSubtilts
    """

    source: DatasetImages
    average: Reconstruction
    before: FscCurve
    found: RefinedSubtilts


def polished_by_themselves(species: Mapping[str, Species], results: Mapping[str, ByThemselves]) -> Polished:
    """Name what `subtilt.refine_subtilts` led to for each species; the alignments stay as they were."""
    averages = {}
    for name, one in results.items():
        curve = one.found.curve
        refined = Refined(one.source.particles, one.average, curve, curve.resolution_ang(), species[name].weights)
        averages[name] = _average(refined, name, species[name])
    quality = {
        "mode": "subtilt",
        "species": _compared({name: (one.before, one.found.curve) for name, one in results.items()}),
        "rounds": {name: [dict(record) for record in one.found.history] for name, one in results.items()},
    }
    return Polished(
        averages=averages,
        alignments={},
        subtilts=_joined([_subtilts(one) for one in results.values()]),
        quality=quality,
    )


def _subtilts(one: ByThemselves) -> SubtiltSet:
    """Lay out the images of a species as they were found to be."""
    laid = subtilts_of(one.source, 0.0)
    number = {int(name): at for at, name in enumerate(one.source.particles.ids)}
    here = np.array([number[int(name)] for name in laid.particles.ids])[laid.particle], laid.tilt
    found = one.found.subtilts
    return laid.replace(
        quaternions_xyzw=quaternions_from_matrices(found.rotations[here]),
        shift_ang_yx=found.shift_ang_yx[here],
        weight=laid.weight * found.weight[here],
        score=found.score[here],
    )


def _joined(sets: Sequence[SubtiltSet]) -> SubtiltSet:
    """Join the images of all species."""
    firsts = np.cumsum([0] + [len(one.particles) for one in sets])
    names = ("tilt", "quaternions_xyzw", "shift_ang_yx", *COLUMNS)
    columns = {name: np.concatenate([getattr(one, name) for one in sets]) for name in names}
    return sets[0].replace(
        particles=ParticleSet.joined([one.particles for one in sets]),
        particle=np.concatenate([one.particle + first for one, first in zip(sets, firsts[:-1], strict=True)]),
        **columns,
    )
