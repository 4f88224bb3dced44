"""copick's picks (JSON): Å from the corner, and a transform from the particle's own frame to the tomogram's.

A transform may hold a shift as well, which is taken into the position.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.ops import poses
from napari_tomoflow.io.columns import numbers, scores, whole_numbers
from napari_tomoflow.io.files import read_text, write_text
from napari_tomoflow.io.particle_formats.frame import Floats, Told, only_tomogram
from napari_tomoflow.io.particle_formats.numbering import score_of
from napari_tomoflow.io.particle_formats.particle_format import ParticleFormat

_KIND = "a file of copick picks"
_OF_ALL = ("user_id", "session_id")
_POINT = {"location", "transformation_", "score", "instance_id"}
_NOT_A_ROTATION = 1e-3


def read_copick(path: Path, told: Told) -> ParticleSet:
    """Read the picks of one kind of particle in one run.

    Raises
    ------
    DataError
        The file is no list of picks or damaged, or the tomogram is not known.
    """
    picks, points = _picks(path)
    positions = numbers(path, {axis: [point["location"].get(axis) for point in points] for axis in "xyz"})
    transforms = _transforms(path, points)
    name = str(picks.get("run_name") or told.one_name(path))
    names = np.full(len(points), name)
    features: dict[str, NDArray[Any]] = {
        "species": np.full(len(points), str(picks.get("pickable_object_name", ""))),
        "instance_id": whole_numbers(path, "instance_id", [point.get("instance_id") or 0 for point in points]),
    }
    features |= {key: np.full(len(points), str(picks[key])) for key in _OF_ALL if picks.get(key) is not None}
    features |= _further(points)
    spoken = Told(told.frames, told.tomogram, pixel_ang=1.0)
    return ParticleSet(
        centers_ang_zyx=spoken.centers(path, positions + transforms[:, :3, 3], names),
        quaternions_xyzw=poses.quaternions_from_matrices(transforms[:, :3, :3]),
        tomogram=names,
        score=score_of(scores(path, "score", [point.get("score") for point in points])),
        features=features,
    )


def write_copick(path: Path, particles: ParticleSet, told: Told) -> list[str]:
    """Write the picks of one kind of particle in one tomogram."""
    name = only_tomogram(particles)
    frame = told.whole_frame(name, path)
    positions = told.positions(path, particles) * (frame.voxel_ang or 1.0)
    features = {key: np.asarray(values) for key, values in particles.features.items()}
    species = features.pop("species", np.full(len(particles), "particle"))
    of_all = {key: str(features.pop(key)[0]) for key in _OF_ALL if key in features and len(particles)}
    instances = features.pop("instance_id", np.zeros(len(particles), np.int64))
    transforms = np.tile(np.eye(4), (len(particles), 1, 1))
    transforms[:, :3, :3] = particles.matrices
    points = [
        {
            "location": dict(zip("xyz", map(float, position), strict=True)),
            "transformation_": transform.tolist(),
            "instance_id": int(instance),
            "score": float(score) if np.isfinite(score) else None,
            **{key: column[row].item() for key, column in features.items()},
        }
        for row, (position, transform, instance, score) in enumerate(
            zip(positions, transforms, instances, particles.score, strict=True)
        )
    ]
    picks = {
        "pickable_object_name": str(species[0]) if len(species) else "particle",
        "user_id": of_all.get("user_id", "tomoflow"),
        "session_id": of_all.get("session_id", "0"),
        "run_name": name,
        "voxel_spacing": frame.voxel_ang,
        "unit": "angstrom",
        "points": points,
        "trust_orientation": bool(np.any(particles.quaternions_xyzw[:, 3] ** 2 < 1 - 1e-9)),
    }
    write_text(path, json.dumps(picks, indent=1) + "\n")
    return []


def _picks(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    try:
        picks = json.loads(read_text(path, _KIND))
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is not readable JSON: {error}; copy the file again.") from error
    points = picks.get("points") if isinstance(picks, dict) else None
    if not isinstance(points, list) or not all(
        isinstance(point, dict) and isinstance(point.get("location"), dict) for point in points
    ):
        raise DataError(f"{path} holds no points with a location; give a file of picks from copick.")
    unit = str(picks.get("unit") or "angstrom")
    if unit != "angstrom":
        raise DataError(f"{path} counts in {unit}, where copick counts in angstrom; mend the unit or the positions.")
    return picks, points


def _transforms(path: Path, points: list[dict[str, Any]]) -> Floats:
    """Return the transforms, float64[P, 4, 4]; no transform is the identity."""
    try:
        given = [np.array(point.get("transformation_") or np.eye(4).tolist(), np.float64) for point in points]
        transforms = np.stack(given) if given else np.zeros((0, 4, 4))
        turns = transforms.reshape(-1, 4, 4)[:, :3, :3]
    except (ValueError, TypeError):
        turns = transforms = np.array(np.nan)
    if not np.all(np.isfinite(transforms)):
        raise DataError(f"{path}: a transformation is not made of 4 × 4 numbers; mend that point.")
    gap = np.abs(turns @ turns.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2), initial=0.0)
    wrong = ~(gap < _NOT_A_ROTATION) | ~(np.linalg.det(turns) > 0)
    if wrong.any():
        raise DataError(f"{path}: the transformation of point {int(np.argmax(wrong)) + 1} is no rotation; mend it.")
    return transforms


def _further(points: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    """Gather what points say beyond copick's own fields, where all say it in plain words or numbers."""
    keys = set.intersection(*(set(point) for point in points)) - _POINT if points else set()
    columns = {key: [point[key] for point in points] for key in sorted(keys)}
    return {
        key: np.array(values)
        for key, values in columns.items()
        if all(isinstance(value, (int, float)) for value in values) or all(isinstance(value, str) for value in values)
    }


def _has_picks(path: Path) -> bool:
    return '"points"' in read_text(path, _KIND)


COPICK = ParticleFormat(
    name="copick",
    title="a file of copick picks",
    suffixes=(".json",),
    recognises=_has_picks,
    read=read_copick,
    write=write_copick,
    keeps=frozenset({"turns", "tomogram", "score"}),
    one_tomogram=True,
    one_species=True,
)
