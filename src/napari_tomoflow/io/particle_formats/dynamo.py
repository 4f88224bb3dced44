"""Dynamo's tables (``.tbl``): a row of numbers for each particle, with the tomograms' names in a ``.doc`` beside.

A position is column 24–26 plus the shift in column 4–6, in voxels counted from 1.
"""

from pathlib import Path

import numpy as np
from dynamotable.utils import COLUMN_NAMES

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.ops import poses
from napari_tomoflow.io.columns import numbers, whole_numbers
from napari_tomoflow.io.files import read_text, write_text
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
from napari_tomoflow.io.particle_formats.particle_format import ParticleFormat, begins_with_numbers

_KIND = "a Dynamo table"
_AXES = ("x", "y", "z")
_SHIFTS = ("dx", "dy", "dz")
_ANGLES = ("tdrot", "tilt", "narot")
_OWN = {*_AXES, *_SHIFTS, *_ANGLES, "tomo", "class", "cc"}
_FEWEST, _USUAL = 26, 35
_UNLESS_SAID = {"aligned_value": 1.0, "averaged_value": 1.0, "ftype": 1.0}


def read_dynamo(path: Path, told: Told) -> ParticleSet:
    """Read a Dynamo table.

    Raises
    ------
    DataError
        It is no table of numbers, or the tomogram is not known.
    """
    rows, imaginary = _rows(path)
    table = {_name(column): rows[:, column] for column in range(rows.shape[1])}
    names = named(path, whole_numbers(path, "tomo", table["tomo"]), told)
    positions = numbers(path, {name: table[name] for name in (*_AXES, *_SHIFTS)})
    angles_deg = numbers(path, {name: table[name] for name in _ANGLES})
    features = {name: values for name, values in table.items() if name not in _OWN}
    warnings = [f"The imaginary parts of {imaginary} numbers are left out."] if imaginary else []
    return ParticleSet(
        centers_ang_zyx=told.centers(path, positions[:, :3] + positions[:, 3:] - 1, names),
        quaternions_xyzw=poses.quaternions_from_matrices(poses.matrices_from_dynamo(angles_deg)),
        tomogram=names,
        class_ids=whole_numbers(path, "class", table["class"]),
        score=score_of(table["cc"]),
        quality={"warnings": warnings},
        **unique_ids(features, "tag"),
        features=features,
    )


def write_dynamo(path: Path, particles: ParticleSet, told: Told) -> list[str]:
    """Write a Dynamo table, and the list of tomograms beside it."""
    tomograms = numbered(particles)
    columns = {name: np.full(len(particles), value) for name, value in _UNLESS_SAID.items()}
    columns |= dict(number_columns(particles, _FEATURES))
    columns |= dict(zip(_AXES, told.positions(path, particles).T + 1, strict=True))
    columns |= dict(zip(_ANGLES, poses.dynamo_from_matrices(particles.matrices).T, strict=True))
    columns |= {"tag": particles.ids, "tomo": tomograms, "class": particles.class_ids, "cc": score_to(particles)}
    width = max(_USUAL, *(COLUMN_NAMES.index(name) + 1 for name in columns))
    zeros = np.zeros(len(particles))
    table = np.stack([columns.get(name, zeros) for name in COLUMN_NAMES[:width]], axis=1)
    write_text(path, "".join(" ".join(map(_digits, row)) + "\n" for row in table.tolist()))
    write_names(path, particles, tomograms)
    return []


def _rows(path: Path) -> tuple[Floats, int]:
    """Read the rows as float64[P, columns], and count entries that Dynamo left complex."""
    lines = [line.split() for line in read_text(path, _KIND).splitlines() if line.strip()]
    width = len(lines[0]) if lines else 0
    if width < _FEWEST:
        raise DataError(f"{path} is no Dynamo table: its rows have {width} columns, not {_FEWEST} or more.")
    values = np.empty((len(lines), width), np.complex128)
    for number, words in enumerate(lines, start=1):
        try:
            values[number - 1] = [complex(word.replace("i", "j").replace("jnf", "inf")) for word in words]
        except ValueError:
            raise DataError(
                f"{path}, row {number}: it is not made of {width} numbers; it may be cut short, so write it again."
            ) from None
    return values.real.copy(), int(np.count_nonzero(values.imag))


def _name(column: int) -> str:
    return COLUMN_NAMES[column] if column < len(COLUMN_NAMES) else f"col_{column + 1}"


def _digits(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


_FEATURES = frozenset(COLUMN_NAMES) - _OWN - {"tag"}

DYNAMO = ParticleFormat(
    name="dynamo",
    title="a Dynamo table",
    suffixes=(".tbl",),
    recognises=begins_with_numbers(9),
    read=read_dynamo,
    write=write_dynamo,
    keeps=frozenset({"turns", "tomogram", "ids", "class_ids", "score"}),
    columns=_FEATURES,
)
