"""What a refinement came to, as a noun with its quality."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.refinement import Refined
from napari_tomoflow.core.model import Average, DensityMap, ParticleSet

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_BANDS, _SECTORS = 9, 18
_SCORE_BINS = 30

_SURE = 0.9
"""Probability of its class from which on a particle counts as sure of it."""


def average_of(
    refined: Refined, name: str, symmetry: str, voxel_ang: float, mask: NDArray[np.float32] | None = None
) -> Average:
    """Name the average, and say how good it is in plain numbers.

    Particles tell in the feature ``counted`` whether they are in the average.
    """
    particles, counted = refined.particles, refined.weights > 0
    features = {**particles.features, "counted": counted.astype(np.int64)}
    counts, edges = np.histogram(particles.score[np.isfinite(particles.score)], _SCORE_BINS)
    quality: dict[str, Any] = {
        **refined.curve.record(),
        "resolution_ang": refined.resolution_ang,
        "particles": len(particles),
        "counted": int(counted.sum()),
        "iterations": [dict(one) for one in refined.history],
        "score": {"counts": counts.tolist(), "edges": np.round(edges, 5).tolist()},
        "directions": _directions(particles.matrices).tolist(),
        "coverage": np.round(refined.average.coverage, 4).tolist(),
    }
    return Average(
        map=DensityMap(
            name=name or "average",
            volume=refined.average.volume,
            voxel_ang=voxel_ang,
            halves=refined.average.halves,
            mask=mask,
            symmetry=symmetry,
        ),
        particles=particles.replace(features=features),
        quality=quality,
    )


def classes_joined(averages: Sequence[Average], chosen: Sequence[Indices], shares: Floats) -> Average:
    """Join the averages of several classes: the map of the first, and the particles of all, who tell their class.

    Parameters
    ----------
    averages : sequence of Average
        Of class 1, 2, ...
    chosen : sequence of int64[...]
        Which of the particles each is of.
    shares : float64[P, C]
        How probable each class is for each particle.
    """
    each = [one.replace(particles=one.particles.replace(class_ids=number)) for number, one in enumerate(averages, 1)]
    particles = ParticleSet.joined([one.particles for one in each])[np.argsort(np.concatenate(chosen))]
    about = [{"name": one.map.name, "particles": len(one.particles)} for one in each]
    sure = round(float((shares.max(axis=1) > _SURE).mean()), 4)
    return each[0].replace(
        particles=particles,
        classes=tuple(each),
        quality={**each[0].quality, "particles": len(particles), "classes": about, "sure": sure},
    )


def _directions(matrices: Floats) -> NDArray[np.int64]:
    """Count from where the untilted beam sees the particles: bands of equal area in z by sectors about z."""
    beam_xyz = matrices[:, 2]
    band = np.clip(((beam_xyz[:, 2] + 1.0) / 2.0 * _BANDS).astype(int), 0, _BANDS - 1)
    turn = np.arctan2(beam_xyz[:, 1], beam_xyz[:, 0]) / (2.0 * np.pi) % 1.0
    sector = np.clip((turn * _SECTORS).astype(int), 0, _SECTORS - 1)
    return np.bincount(band * _SECTORS + sector, minlength=_BANDS * _SECTORS).reshape(_BANDS, _SECTORS)
