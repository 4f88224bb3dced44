"""Motive lists: STOPGAP's STAR files, and the EM files of TOM, AV3, PyTom and novaSTA.

A position is counted in voxels from 1; it is a whole voxel, at which the subtomogram was cut, and the
shift found since.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.ops import poses
from napari_tomoflow.io.columns import numbers, scores, whole_numbers
from napari_tomoflow.io.em import EM_SUFFIX, read_em, write_em
from napari_tomoflow.io.particle_formats.frame import Floats, Told
from napari_tomoflow.io.particle_formats.numbering import (
    named,
    number_columns,
    numbered,
    score_of,
    score_to,
    unique_ids,
    write_names,
)
from napari_tomoflow.io.particle_formats.particle_format import ParticleFormat
from napari_tomoflow.io.star import labels_of, read_star, table_of, write_star

Columns = dict[str, NDArray[Any]]

_BLOCK = "stopgap_motivelist"
_STOPGAP = (
    "motl_idx", "tomo_num", "object", "subtomo_num", "halfset", "orig_x", "orig_y", "orig_z", "score",
    "x_shift", "y_shift", "z_shift", "phi", "psi", "the", "class",
)  # fmt: skip
_STOPGAP_POSE = ("orig_x", "orig_y", "orig_z", "x_shift", "y_shift", "z_shift", "phi", "psi", "the")
_HALVES = {"A": 1, "B": 2}

_EM = (
    "score", "geom1", "geom2", "subtomo_id", "tomo_id", "object_id", "subtomo_mean", "x", "y", "z",
    "shift_x", "shift_y", "shift_z", "geom3", "geom4", "geom5", "phi", "psi", "theta", "class",
)  # fmt: skip
_EM_POSE = ("x", "y", "z", "shift_x", "shift_y", "shift_z", "phi", "psi", "theta")
_EXACT_IN_FLOAT32 = 2**24


def read_stopgap(path: Path, told: Told) -> ParticleSet:
    """Read STOPGAP's motive list.

    Raises
    ------
    DataError
        Columns are missing or hold no numbers, or the tomogram is not known.
    """
    table = table_of(read_star(path, text_columns=("halfset",)), "orig_x", path)
    columns: Columns = {str(name): table[name].to_numpy() for name in table.columns}
    halfset = columns.pop("halfset", np.full(len(table), ""))
    half = np.array([_HALVES.get(str(word), 0) for word in halfset])
    return _particles(path, told, columns, _STOPGAP_POSE, "tomo_num", "motl_idx", _one_half_is_none(half))


def write_stopgap(path: Path, particles: ParticleSet, told: Told) -> list[str]:
    """Write STOPGAP's motive list; STOPGAP refuses columns it does not know, so there are none."""
    import pandas as pd

    tomograms = numbered(particles)
    features = dict(number_columns(particles, _FEATURES_OF_STOPGAP))
    columns = {
        "object": np.ones(len(particles)),
        "subtomo_num": particles.ids,
        **features,
        **_pose(path, particles, told, _STOPGAP_POSE),
        "motl_idx": particles.ids,
        "tomo_num": tomograms,
        "halfset": np.where(particles.half == 2, "B", "A"),
        "score": score_to(particles),
        "class": particles.class_ids,
    }
    whole = {"motl_idx", "tomo_num", "object", "subtomo_num", "class"}
    table = {name: columns[name].astype(np.int64) if name in whole else columns[name] for name in _STOPGAP}
    write_star(path, {_BLOCK: pd.DataFrame(table)})
    write_names(path, particles, tomograms)
    undecided = int(np.sum(particles.half == 0))
    if undecided and undecided < len(particles):
        return [f"STOPGAP knows no particle of neither half: {undecided} of neither are told to be of half A."]
    return []


def read_em_motl(path: Path, told: Told) -> ParticleSet:
    """Read the motive list of TOM or AV3.

    Raises
    ------
    DataError
        It is no EM file of 20 rows, or the tomogram is not known.
    """
    values = read_em(path)
    if values.shape[2] != len(_EM) or values.shape[0] != 1:
        raise DataError(f"{path} is no motive list: it is {values.shape[2]} wide, not {len(_EM)}; open it as a volume.")
    columns: Columns = dict(zip(_EM, values[0].T.astype(np.float64), strict=True))
    return _particles(path, told, columns, _EM_POSE, "tomo_id", "subtomo_id", np.zeros(values.shape[1], np.int64))


def write_em_motl(path: Path, particles: ParticleSet, told: Told) -> list[str]:
    """Write the motive list of TOM or AV3; its numbers are float32, so a position is split as there."""
    tomograms = numbered(particles)
    fits = bool(np.all(np.abs(particles.ids) < _EXACT_IN_FLOAT32))
    columns = {
        **dict(number_columns(particles, _FEATURES_OF_EM)),
        **_pose(path, particles, told, _EM_POSE),
        "subtomo_id": particles.ids if fits else np.arange(1, len(particles) + 1),
        "tomo_id": tomograms,
        "score": score_to(particles),
        "class": particles.class_ids,
    }
    zeros = np.zeros(len(particles))
    write_em(path, np.stack([columns.get(name, zeros) for name in _EM], axis=1)[None])
    write_names(path, particles, tomograms)
    return [] if fits else ["An EM file cannot hold ids beyond 16 million: particles are numbered anew."]


def _particles(
    path: Path, told: Told, columns: Columns, pose: tuple[str, ...], tomogram: str, ids: str, half: NDArray[np.int64]
) -> ParticleSet:
    """Make particles of the columns of a list; those that say neither place nor kind are kept as features."""
    lacking = [name for name in (*pose, tomogram, "class", "score") if name not in columns]
    if lacking:
        raise DataError(f"{path} is no motive list: it has no column {lacking[0]}; write it again with its program.")
    values = numbers(path, {name: columns[name] for name in pose})
    features = {name: column for name, column in columns.items() if name not in {*pose, tomogram, "class", "score"}}
    names = named(path, whole_numbers(path, tomogram, columns[tomogram]), told)
    return ParticleSet(
        centers_ang_zyx=told.centers(path, values[:, :3] + values[:, 3:6] - 1, names),
        quaternions_xyzw=poses.quaternions_from_matrices(poses.matrices_from_stopgap(values[:, 6:9])),
        tomogram=names,
        class_ids=whole_numbers(path, "class", columns["class"]),
        half=half,
        score=score_of(scores(path, "score", columns["score"])),
        **unique_ids(features, ids),
        features=features,
    )


def _pose(path: Path, particles: ParticleSet, told: Told, names: tuple[str, ...]) -> dict[str, Floats]:
    """Lay out positions, split into a whole voxel and the rest, and angles."""
    positions = told.positions(path, particles) + 1
    cut = np.rint(positions)
    angles_deg = poses.stopgap_from_matrices(particles.matrices)
    return dict(zip(names, np.concatenate([cut, positions - cut, angles_deg], axis=1).T, strict=True))


def _one_half_is_none(half: NDArray[np.int64]) -> NDArray[np.int64]:
    """Take a list that is all of one half for one that was never split."""
    return half if len(np.unique(half)) > 1 else np.zeros_like(half)


_FEATURES_OF_STOPGAP = frozenset({"object", "subtomo_num"})
_FEATURES_OF_EM = frozenset({"geom1", "geom2", "object_id", "subtomo_mean", "geom3", "geom4", "geom5"})


def _is_em_motl(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(16)
    sizes = [int.from_bytes(head[at : at + 4], order) for order in ("little", "big") for at in (4, 12)]
    return sizes[:2] == [len(_EM), 1] or sizes[2:] == [len(_EM), 1]


STOPGAP = ParticleFormat(
    name="stopgap",
    title="a STOPGAP motive list",
    suffixes=(".star",),
    recognises=lambda path: "_orig_x" in labels_of(path),
    read=read_stopgap,
    write=write_stopgap,
    keeps=frozenset({"turns", "tomogram", "ids", "class_ids", "half", "score"}),
    columns=_FEATURES_OF_STOPGAP,
)
MOTL = ParticleFormat(
    name="motl",
    title="an EM motive list",
    suffixes=(EM_SUFFIX,),
    recognises=_is_em_motl,
    read=read_em_motl,
    write=write_em_motl,
    keeps=frozenset({"turns", "tomogram", "ids", "class_ids", "score"}),
    columns=_FEATURES_OF_EM,
)
