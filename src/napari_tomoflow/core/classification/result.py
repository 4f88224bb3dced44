"""What a classification came to, as a noun with its quality."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.classification.class_maps import ClassMap
from napari_tomoflow.core.classification.recipe import Method
from napari_tomoflow.core.classification.split import Split, stability
from napari_tomoflow.core.model import Classes, DensityMap, ParticleSet

Indices = NDArray[np.int64]

_SURE = 0.9

_SURE_ERRORS = 3.0
"""Standard errors of the gain that it is above 0 at least, where classes are there."""

_LEAST_RAND_INDEX = 0.4
"""Of repeats with the split; below, they have next to nothing in common."""

_SCORE_BINS = 30


def classes_of(
    particles: ParticleSet,
    split: Split,
    others: Sequence[Split],
    maps: Sequence[ClassMap],
    shown: DensityMap,
    method: Method,
) -> Classes:
    """Name the classes, and say how good they are in plain numbers.

    Parameters
    ----------
    particles : ParticleSet
    split : Split
        The largest class first.
    others : sequence of Split
        Repeats.
    maps : sequence of ClassMap
    shown : DensityMap
        Any map on their grid: name, voxel, symmetry and mask are taken from it.
    method : {"score", "pca", "multi-reference", "likelihood"}
    """
    class_of = split.class_of
    columns = {f"probability_{number + 1}": column for number, column in enumerate(split.shares.T)}
    quality: dict[str, Any] = {
        "method": method,
        "particles": len(particles),
        "classes": [_about(number, split, one) for number, one in enumerate(maps)],
        "sure": round(float((split.shares.max(axis=1) > _SURE).mean()), 4),
        "series": _by_series(particles, class_of, len(maps)),
        "score": _scores(particles.score, class_of, len(maps)),
        **split.record,
    }
    if others:
        quality["stability"] = stability(split, others).record()
    if doubts := _doubts(quality):
        quality["warnings"] = doubts
    return Classes(
        particles=particles.replace(
            class_ids=class_of + 1, features={**_without_old(particles), **split.features, **columns}
        ),
        maps=tuple(
            shown.replace(name=f"{shown.name} class {number + 1}", volume=one.volume, halves=one.halves)
            for number, one in enumerate(maps)
        ),
        quality=quality,
    )


def _doubts(quality: Mapping[str, Any]) -> list[str]:
    """Say what speaks against the classes."""
    doubts = []
    if "gain" in quality and quality["gain"] <= _SURE_ERRORS * quality["gain_error"]:
        doubts.append("Classes of half of the particles explain the others no better than random classes do.")
    if "stability" in quality and np.mean(quality["stability"]["rand_index"]) < _LEAST_RAND_INDEX:
        doubts.append(
            "Repeats found other classes, so chance made them; take fewer, or give a mask around what differs."
        )
    return doubts


def _without_old(particles: ParticleSet) -> dict[str, NDArray[np.generic]]:
    """Return the features, but those of an earlier classification."""
    old = ("probability_", "component_", "corrected_score")
    return {name: column for name, column in particles.features.items() if not name.startswith(old)}


def _about(number: int, split: Split, one: ClassMap) -> dict[str, Any]:
    count = int(split.counts[number])
    mine = split.class_of == number
    return {
        "class": number + 1,
        "particles": count,
        "share": round(count / max(len(mine), 1), 4),
        "probability": round(float(split.shares[mine, number].mean()), 4),
        **one.curve.record(),
    }


def _by_series(particles: ParticleSet, class_of: Indices, count: int) -> dict[str, list[int]]:
    """Count the particles of each class in each tomogram."""
    return {
        name: np.bincount(class_of[particles.tomogram == name], minlength=count).tolist()
        for name in dict.fromkeys(particles.tomogram.tolist())
    }


def _scores(score: NDArray[np.float64], class_of: Indices, count: int) -> dict[str, Any] | None:
    """Count the scores of each class."""
    known = np.isfinite(score)
    if not known.any():
        return None
    edges = np.histogram_bin_edges(score[known], _SCORE_BINS)
    counts = [np.histogram(score[known & (class_of == number)], edges)[0].tolist() for number in range(count)]
    return {"edges": np.round(edges, 6).tolist(), "counts": counts}
