"""Tables of comma-separated values, ours and anybody's: what columns mean is guessed from their names.

Ours say their units: ``x_ang`` is Å from the centre of the tomogram, ``x_px`` voxels from its corner counted
from 0. A table with bare ``x``, ``y``, ``z``, or without names, does not say, so the person is asked.
"""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.ops import poses
from napari_tomoflow.io.columns import numbers, whole_numbers
from napari_tomoflow.io.files import read_text, write_text
from napari_tomoflow.io.particle_formats.frame import Floats, Told, Unit, UnitMissingError
from napari_tomoflow.io.particle_formats.particle_format import ALL, ParticleFormat, head_of

Columns = dict[str, NDArray[Any]]

_KIND = "a table"
_SEPARATORS = (",", "\t", ";")
_TEXT = ("tomogram", "species")
_OURS = ("x_ang", "y_ang", "z_ang")
_ANGLES_DEG = ("rot_deg", "tilt_deg", "psi_deg")
_SAID_TWICE = " (file)"
_INT64_DIGITS = 19

_POSITIONS: Sequence[tuple[tuple[str, str, str], Unit | None]] = (
    (_OURS, "ang"),
    (("x_px", "y_px", "z_px"), "px"),
    (("rlnCenteredCoordinateXAngst", "rlnCenteredCoordinateYAngst", "rlnCenteredCoordinateZAngst"), "ang"),
    (("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ"), "px"),
    (("x", "y", "z"), None),
    (("coord_x", "coord_y", "coord_z"), None),
    (("pos_x", "pos_y", "pos_z"), None),
    (("axis-2", "axis-1", "axis-0"), None),
)
"""Names of x, y and z, and what they are counted in; the last are what napari writes of points."""

_TURNS: Sequence[tuple[tuple[str, ...], Callable[[Floats], Floats]]] = (
    (_ANGLES_DEG, poses.matrices_from_relion),
    (("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"), poses.matrices_from_relion),
    (("rot", "tilt", "psi"), poses.matrices_from_relion),
    (("phi", "psi", "the"), poses.matrices_from_stopgap),
    (("phi", "psi", "theta"), poses.matrices_from_stopgap),
    (("tdrot", "tilt", "narot"), poses.matrices_from_dynamo),
    (("qx", "qy", "qz", "qw"), poses.matrices_from_quaternions),
)
_OTHERS: Mapping[str, str] = {
    "tomogram": "tomogram", "tomo_name": "tomogram", "rlntomoname": "tomogram",
    "id": "id", "class": "class", "half": "half", "score": "score",
}  # fmt: skip


def read_csv(path: Path, told: Told) -> ParticleSet:
    """Read a table of positions, with every column that is not understood kept.

    Raises
    ------
    DataError
        There are no positions in it, nobody says what they are counted in, or the tomogram is not known.
    """
    table = _table(path, read_text(path, _KIND))
    position, unit = _found(path, table)
    values = numbers(path, {name: table.pop(name) for name in position})
    turns = next((turn for turn in _TURNS if set(turn[0]) <= table.keys()), None)
    given: dict[str, Any] = {}
    if turns is not None:
        names, matrices = turns
        angles = numbers(path, {name: table.pop(name) for name in names})
        given["quaternions_xyzw"] = poses.quaternions_from_matrices(matrices(angles))
    own = {_OTHERS[name.lower()]: table.pop(name) for name in list(table) if name.lower() in _OTHERS}
    whole = {
        field: own[name] for field, name in (("ids", "id"), ("class_ids", "class"), ("half", "half")) if name in own
    }
    given |= {field: whole_numbers(path, field, column) for field, column in whole.items()}
    if "score" in own:
        given["score"] = np.array([_number(word) for word in own["score"]])
    named = np.asarray(own.get("tomogram", np.full(len(values), told.one_name(path))), np.str_)
    return ParticleSet(
        centers_ang_zyx=_centers(path, values, told.unit or unit, named, told),
        tomogram=named,
        features={name.removesuffix(_SAID_TWICE): _plain(name, column) for name, column in table.items()},
        **given,
    )


def write_csv(path: Path, particles: ParticleSet, told: Told) -> list[str]:
    """Write our table, in Å from the centre."""
    columns: Columns = {
        "tomogram": particles.tomogram,
        "id": particles.ids,
        **dict(zip(_OURS, particles.centers_ang_zyx[:, ::-1].T, strict=True)),
        **dict(zip(_ANGLES_DEG, poses.relion_from_matrices(particles.matrices).T, strict=True)),
        "class": particles.class_ids,
        "half": particles.half,
        "score": particles.score,
    }
    known = {name.lower() for name in columns} | _OTHERS.keys()
    for name, values in particles.features.items():
        column = np.asarray(values)
        own = name + _SAID_TWICE if name.lower() in known else name
        columns[own] = column.astype(np.int64) if column.dtype == np.bool_ else column
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    write_text(path, text.getvalue())
    return []


def _table(path: Path, text: str) -> dict[str, list[str]]:
    """Part the text into words by column; columns without names are x, y, z and what follows."""
    first = text.lstrip("\n").partition("\n")[0]
    separator = next((mark for mark in _SEPARATORS if mark in first), None)
    if separator:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    else:
        rows = [line.split() for line in text.splitlines()]
    rows = [[word.strip() for word in row] for row in rows if any(word.strip() for word in row)]
    width = len(rows[0]) if rows else 0
    wrong = next((number for number, row in enumerate(rows, start=1) if len(row) != width), None)
    if width < 3 or wrong is not None:
        where = "it has fewer than three columns" if wrong is None else f"row {wrong} has not {width} entries"
        raise DataError(f"{path} is no table of positions: {where}; write it again, whole.")
    header = rows[0]
    if all(math.isfinite(_number(word)) for word in header[:3]):
        header = ["x", "y", "z", *(f"column {place}" for place in range(4, width + 1))]
    else:
        rows = rows[1:]
    if len(set(header)) < width or not rows:
        wrong_because = "two columns share a name" if rows else "it holds no particle"
        raise DataError(f"{path} cannot be read: {wrong_because}; write it again.")
    return {name: [row[place] for row in rows] for place, name in enumerate(header)}


def _found(path: Path, table: Mapping[str, list[str]]) -> tuple[tuple[str, ...], Unit | None]:
    """Find the columns of positions, as the table spells them, and what they are counted in."""
    spelled = {name.lower(): name for name in table}
    for names, unit in _POSITIONS:
        if all(name.lower() in spelled for name in names):
            return tuple(spelled[name.lower()] for name in names), unit
    raise DataError(
        f"{path} has no columns of positions, only {', '.join(table)}; name them x_px, y_px, z_px (voxels from the "
        "corner) or x_ang, y_ang, z_ang (Å from the centre)."
    )


def _centers(path: Path, values: Floats, unit: Unit | None, names: NDArray[np.str_], told: Told) -> Floats:
    if unit is None:
        raise UnitMissingError(
            f"{path} does not say what its positions are counted in; say the unit px, ang or ang-corner, or name the "
            "columns x_px (voxels from the corner) or x_ang (Å from the centre)."
        )
    if unit == "ang":
        return values[:, ::-1]
    return told.centers(path, values, names, 1.0 if unit == "ang-corner" else None)


def _has_positions(path: Path) -> bool:
    try:
        _found(path, _table(path, "\n".join(head_of(path)[:2])))
    except DataError:
        return False
    return True


def _plain(name: str, words: list[str]) -> NDArray[Any]:
    """Take words for numbers where all of them are; names of things stay words."""
    if name in _TEXT:
        return np.array(words, np.str_)
    values = np.array([_number(word) for word in words])
    if any(math.isnan(value) and word.lower() not in ("nan", "") for value, word in zip(values, words, strict=True)):
        return np.array(words, np.str_)
    whole = all(len(word) < _INT64_DIGITS and word.lstrip("+-").isdigit() for word in words)
    return values.astype(np.int64) if whole else values


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan


CSV = ParticleFormat(
    name="csv",
    title="a table of comma-separated values",
    suffixes=(".csv", ".tsv", ".txt"),
    recognises=_has_positions,
    read=read_csv,
    write=write_csv,
    keeps=ALL,
    in_voxels=False,
)
