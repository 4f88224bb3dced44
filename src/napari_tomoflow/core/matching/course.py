"""The course of a match: search, search for nothing, believe what stands out, refine it."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_tomoflow.core.matching.exclusion import widened
from napari_tomoflow.core.matching.flanks import own_scores
from napari_tomoflow.core.matching.null import FEWEST_PEAKS, Null
from napari_tomoflow.core.matching.params import MatchParams
from napari_tomoflow.core.matching.refine import Refined, refine
from napari_tomoflow.core.matching.scene import Scene
from napari_tomoflow.core.matching.search import Hits
from napari_tomoflow.core.matching.template import Template, phases_randomised
from napari_tomoflow.core.model import ParticleSet, Tomogram
from napari_tomoflow.core.ops.poses import quaternions_from_matrices
from napari_tomoflow.core.ops.so3 import rotation_grid
from napari_tomoflow.core.ops.spacing import spaced
from napari_tomoflow.core.report import Report, part, silent

Floats = NDArray[np.float64]

_NULL_STENCILS = 12
"""Their correlations with the whole tomogram tell the spread to a hundredth."""

_DECIDED_SE = 3.0
"""A hand is believed when the two mirror images differ by so many standard errors."""

_HISTOGRAM_BINS = 80


def find_particles(tomogram: Tomogram, scene: Scene, species: str, params: MatchParams, report: Report) -> ParticleSet:
    """Search a scene and keep what is better than chance."""
    steps = 4 if params.hand_test else 3
    null_template = (
        phases_randomised(scene.template, params.seed) if params.null == "random-phases" else scene.template.mirrored()
    )
    hits = scene.search(scene.template, part(report, 0, steps), "Matching the template")
    sd = sd_of_correlation(scene, null_template)
    sample, share = scene.search.sampled()
    elsewhere = sample.avoiding(around_certain(scene, hits, sd))
    null_hits = elsewhere(null_template, part(report, 1, steps), "Matching what shows nothing")
    null, null_away = measure_null(scene, hits, null_hits, sd, share)
    threshold = null.threshold(params.false_positives)
    believed = hits[: min(params.at_most, int(np.sum(null.z(hits.scores) >= threshold)))]
    refined = refine(scene.level, scene.template, believed, scene.step_deg, part(report, 2, steps))
    kept, removed = _kept(scene, believed, refined, params.top_hat, threshold * null.sd)
    quality = {
        **scene.quality,
        "null": {"kind": params.null, "peaks": len(null_away), "share": share, **null.quality},
        "warnings": _warnings(tomogram.name, null_away),
        "threshold_z": threshold,
        "removed": removed,
        "expected_false_positives": params.false_positives,
        "scores": _histograms(null.z(hits.scores), null.z(null_away.scores)),
    }
    if params.hand_test:
        mirrored = scene.search(scene.template.mirrored(), part(report, 3, steps), "Matching the mirror image")
        quality["hand"] = compare_hands(believed, mirrored, null, scene.distance_vox)
    # Finer poses raise scores that are chance too, some by a fifth; the null is that of scores before.
    expected_false = null.expected_above(null.z(believed.scores[kept]))
    chosen = refined[kept]
    return _particles(tomogram, scene, chosen, null.z(chosen.scores), expected_false, species, quality)


def sd_of_correlation(scene: Scene, template: Template) -> float:
    """Measure the standard deviation of a template's correlation coefficients over all places and rotations."""
    stencil, correlation = scene.level.stencils(template), scene.level.correlation
    rotations = rotation_grid(60.0)
    chosen = rotations[:: max(1, len(rotations) // _NULL_STENCILS)]
    parts = (correlation.single(stencil(rotation))[scene.allowed_zyx] for rotation in chosen)
    return float(np.sqrt(np.mean([np.mean(np.square(values, dtype=np.float64)) for values in parts])))


def around_certain(scene: Scene, hits: Hits, sd: float) -> NDArray[np.bool_]:
    """Mark the surroundings of hits that no normal noise reaches: z² / 2 > ln(voxels · orientations).

    Nothing is marked where that would leave less than half of the places to the null.
    """
    certain = hits.places_zyx[np.flatnonzero(np.square(hits.scores / sd) / 2 > np.log(scene.trials))]
    marks = np.zeros(scene.allowed_zyx.shape, np.bool_)
    marks[tuple(certain.T)] = True
    marks = widened(marks, scene.distance_vox)
    crowded = np.sum(marks & scene.allowed_zyx) > np.sum(scene.allowed_zyx) / 2
    return np.zeros_like(marks) if crowded else marks


def measure_null(scene: Scene, hits: Hits, null_hits: Hits, sd: float, share: float = 1.0) -> tuple[Null, Hits]:
    """Fit the scores of a template that shows nothing, away from what the real one finds.

    Where a particle lies, any template of its size scores higher than in ice. Peaks of the null there would count as
    chance, so they are left out: those near hits that a first fit believes, where enough others remain. Where there
    are too few to fit anything, normal noise is assumed.

    Parameters
    ----------
    scene : Scene
    hits, null_hits : Hits
    sd : float
        Of the null's correlation coefficients.
    share : float
        Of the tomogram in which the null was looked for.

    Returns
    -------
    Null
    Hits
        The peaks of the null that were used.
    """
    if len(null_hits) <= FEWEST_PEAKS:
        return Null.of_normal_noise(sd, scene.trials), null_hits
    first = Null.of_peaks(null_hits.scores, sd, share)
    believed = hits.places_zyx[: int(np.sum(first.z(hits.scores) >= first.threshold(1.0)))]
    if not len(believed):
        return first, null_hits
    apart_vox, _ = cKDTree(believed).query(null_hits.places_zyx)
    away = null_hits[np.flatnonzero(apart_vox > scene.distance_vox)]
    if len(away) <= max(FEWEST_PEAKS, len(null_hits) / 2):
        return first, null_hits
    return Null.of_peaks(away.scores, sd, share), away


def compare_hands(hits: Hits, mirrored: Hits, null: Null, distance_vox: float) -> dict[str, Any]:
    """Say which mirror image of the template fits better where the template was found.

    Parameters
    ----------
    hits, mirrored : Hits
        Of the template, those believed, and of its mirror image, all.
    null : Null
    distance_vox : float
        A hit of the one and a hit of the other nearer than this are of the same particle.
    """
    if len(hits) < 2 or not len(mirrored):
        return {"says": "undecided", "particles": len(hits)}
    apart_vox, nearest = cKDTree(mirrored.places_zyx).query(hits.places_zyx)
    both = np.flatnonzero(apart_vox < distance_vox)
    own, other = null.z(hits.scores[both]), null.z(mirrored.scores[np.asarray(nearest)[both]])
    if len(own) < 2:
        return {"says": "undecided", "particles": len(own)}
    better = own - other
    error = float(better.std(ddof=1) / np.sqrt(len(better)))
    mean = float(better.mean())
    decided = bool(abs(mean) > _DECIDED_SE * error)
    return {
        "says": "undecided" if not decided else "as the template" if mean > 0 else "mirrored",
        "particles": len(better),
        "z_template": float(own.mean()),
        "z_mirrored": float(other.mean()),
        "z_difference": mean,
        "z_difference_error": error,
    }


def _kept(
    scene: Scene, believed: Hits, refined: Refined, top_hat: float, least: float
) -> tuple[NDArray[np.intp], dict[str, int]]:
    """Choose refined hits, the best first, without what is no particle of its own; count that by cause."""
    order = np.argsort(-refined.scores, kind="stable")
    order = order[refined.stand_out[order] >= top_hat]
    apart = spaced(refined.places_zyx, scene.distance_vox, order)
    before = replace(refined, scores=believed.scores)  # which the threshold is for
    kept = apart[own_scores(scene.level, scene.template, before[apart], least, silent) >= least]
    removed = {
        "not_standing_out_or_too_near": len(refined) - len(apart),
        "flanks_of_better_ones": len(apart) - len(kept),
    }
    return kept, removed


def _particles(
    tomogram: Tomogram,
    scene: Scene,
    refined: Refined,
    z: Floats,
    expected_false: Floats,
    species: str,
    quality: dict[str, Any],
) -> ParticleSet:
    """Put chosen hits into a table."""
    centre_zyx = np.array(tomogram.volume.shape) // 2
    quality |= {"particles": len(z), "median_z": float(np.median(z)) if len(z) else None}
    return ParticleSet(
        centers_ang_zyx=(refined.places_zyx - centre_zyx) * tomogram.voxel_ang,
        quaternions_xyzw=quaternions_from_matrices(refined.rotations),
        tomogram=np.array(tomogram.name),
        score=z,
        features={
            "species": np.full(len(z), species),
            "z": z,
            "lcc": refined.scores,
            "expected_false": expected_false,
            "stand_out": refined.stand_out,
            "diameter_ang": np.full(len(z), scene.template.diameter_ang),
        },
        quality=quality,
    )


def _warnings(name: str, null_hits: Hits) -> list[str]:
    """Say what a person should know of the threshold."""
    if len(null_hits) > FEWEST_PEAKS:
        return []
    return [
        f"{name}: the template that shows nothing has only {len(null_hits)} peaks in so small a tomogram; the "
        "threshold is that of normal noise, which structured background exceeds more often than it says."
    ]


def _histograms(z: Floats, null_z: Floats) -> dict[str, Any]:
    """Count the peaks of template and null by height."""
    edges = np.linspace(
        0.0, max(float(part.max()) for part in (z, null_z, np.ones(1)) if len(part)), _HISTOGRAM_BINS + 1
    )
    return {
        "z_edges": edges.tolist(),
        "template": np.histogram(z, edges)[0].tolist(),
        "null": np.histogram(null_z, edges)[0].tolist(),
    }
