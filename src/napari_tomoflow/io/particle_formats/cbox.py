"""crYOLO's boxes: ``.cbox`` with all it knows, ``.coords`` with centres, ``.box`` with a corner and the size.

crYOLO counts voxels from 0. A box is named by the corner in x and y, and by its middle in z.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.io.columns import numbers
from napari_tomoflow.io.files import read_text, write_text
from napari_tomoflow.io.particle_formats.frame import Floats, Told
from napari_tomoflow.io.particle_formats.numbering import score_of, score_to
from napari_tomoflow.io.particle_formats.particle_format import ParticleFormat, begins_with_numbers
from napari_tomoflow.io.star import labels_of, read_star, table_of, write_star

_KIND = "a list of boxes"
_CORNER = ("CoordinateX", "CoordinateY", "CoordinateZ")
_SIZES = ("Width", "Height", "Depth")
_SCORE = "Confidence"
_FURTHER = ("EstWidth", "EstHeight", "NumBoxes", "Angle")
_COLUMNS = (*_CORNER, *_SIZES, "EstWidth", "EstHeight", _SCORE, "NumBoxes", "Angle")
_BOX_PX = 32.0


def read_cbox(path: Path, told: Told) -> ParticleSet:
    """Read boxes of crYOLO in a tomogram.

    Raises
    ------
    DataError
        The boxes are of micrographs or damaged, or the tomogram is not known.
    """
    table = table_of(read_star(path), _CORNER[0], path)
    lacking = [name for name in (*_CORNER, *_SIZES[:2]) if name not in table.columns]
    if lacking:
        raise DataError(f"{path} has no column {lacking[0]}; write it again with crYOLO.")
    columns: dict[str, NDArray[Any]] = {str(name): table[name].to_numpy() for name in table.columns}
    if table[_CORNER[2]].isna().all() and len(table):
        raise DataError(f"{path} holds boxes on micrographs, which have no z; give the boxes of a tomogram.")
    corners = numbers(path, {name: columns[name] for name in _CORNER})
    sizes = numbers(path, {name: columns[name] for name in _SIZES[:2]})
    name = told.one_name(path)
    return ParticleSet(
        centers_ang_zyx=told.centers(path, _middles(corners, sizes), np.full(len(table), name)),
        tomogram=np.array(name),
        score=score_of(_floats(columns.get(_SCORE, np.full(len(table), np.nan)))),
        features={key: _plain(values) for key, values in columns.items() if key not in {*_CORNER, _SCORE}},
    )


def write_cbox(path: Path, particles: ParticleSet, told: Told) -> list[str]:
    """Write boxes as crYOLO's boxmanager does."""
    import pandas as pd

    box_px = np.full(len(particles), _BOX_PX)
    features = {name: np.asarray(values) for name, values in particles.features.items()}
    sizes = {name: features.pop(name, box_px) for name in _SIZES}
    shape = np.stack([_floats(sizes[name]) for name in _SIZES[:2]], axis=1)
    corners = _middles(told.positions(path, particles), -shape)
    unknown = np.full(len(particles), np.nan)
    columns = {
        **dict(zip(_CORNER, corners.T, strict=True)),
        **sizes,
        **{name: features.pop(name, unknown) for name in _FURTHER},
        _SCORE: score_to(particles),
    }
    table = pd.DataFrame({name: columns[name] for name in _COLUMNS} | features)
    write_star(path, {"global": {"cbox_format_version": "1.0"}, "cryolo": table})
    return []


def read_coords(path: Path, told: Told) -> ParticleSet:
    """Read centres, x y z in each row, with whatever follows kept.

    Raises
    ------
    DataError
        Rows are not made of numbers, or the tomogram is not known.
    """
    rows = _rows(path, at_least=3)
    further = {f"column {place + 1}": rows[:, place] for place in range(3, rows.shape[1])}
    return _of_one(path, told, rows[:, :3], further)


def write_coords(path: Path, particles: ParticleSet, told: Told) -> list[str]:
    """Write centres."""
    _write_rows(path, told.positions(path, particles))
    return []


def read_box(path: Path, told: Told) -> ParticleSet:
    """Read boxes, x y z and their size in each row.

    Raises
    ------
    DataError
        The boxes are of micrographs or damaged, or the tomogram is not known.
    """
    rows = _rows(path, at_least=4)
    if rows.shape[1] == 4:
        raise DataError(f"{path} holds boxes on micrographs, x y width height; give the boxes of a tomogram.")
    sizes = {name: rows[:, place] for place, name in enumerate(_SIZES[: rows.shape[1] - 3], start=3)}
    further = {f"column {place + 1}": rows[:, place] for place in range(6, rows.shape[1])}
    return _of_one(path, told, _middles(rows[:, :3], rows[:, 3:5]), sizes | further)


def write_box(path: Path, particles: ParticleSet, told: Told) -> list[str]:
    """Write boxes of the size that particles came with, or of a usual one."""
    sizes = [_floats(particles.features.get(name, np.full(len(particles), _BOX_PX))) for name in _SIZES[:2]]
    shape = np.stack(sizes, axis=1)
    _write_rows(path, np.column_stack([_middles(told.positions(path, particles), -shape), shape]))
    return []


def _middles(corners_xyz: Floats, sizes_xy: Floats) -> Floats:
    """Go from corners to middles by half the size, in x and y only."""
    middles = np.array(corners_xyz)
    middles[:, :2] += sizes_xy / 2
    return middles


def _of_one(path: Path, told: Told, positions: Floats, features: dict[str, Floats]) -> ParticleSet:
    name = told.one_name(path)
    centers = told.centers(path, positions, np.full(len(positions), name))
    return ParticleSet(centers_ang_zyx=centers, tomogram=np.array(name), features=features)


def _rows(path: Path, at_least: int) -> Floats:
    lines = [line.split() for line in read_text(path, _KIND).replace(",", " ").splitlines() if line.strip()]
    width = len(lines[0]) if lines else 0
    if width < at_least or any(len(words) != width for words in lines):
        raise DataError(f"{path} does not have {at_least} numbers or more in each row, as many in all; mend it.")
    columns = {f"column {place + 1}": [words[place] for words in lines] for place in range(width)}
    return numbers(path, columns)


def _write_rows(path: Path, rows: Floats) -> None:
    write_text(path, "".join("\t".join(map(repr, row)) + "\n" for row in rows.tolist()))


def _floats(values: Any) -> Floats:
    import pandas as pd

    return np.asarray(pd.to_numeric(pd.Series(values), errors="coerce"), np.float64)


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Keep numbers as numbers, with NaN where crYOLO does not know one, and words as words."""
    if values.dtype.kind in "iufb":
        return values
    as_numbers = _floats(values)
    return as_numbers if np.isfinite(as_numbers).any() else values.astype(np.str_)


_LIST = frozenset({"tomogram"})

CBOX = ParticleFormat(
    name="cbox",
    title="a file of crYOLO boxes",
    suffixes=(".cbox",),
    recognises=lambda path: f"_{_CORNER[0]}" in labels_of(path),
    read=read_cbox,
    write=write_cbox,
    keeps=_LIST | {"score"},
    one_tomogram=True,
)
COORDS = ParticleFormat(
    name="coords",
    title="a list of centres",
    suffixes=(".coords",),
    recognises=begins_with_numbers(3),
    read=read_coords,
    write=write_coords,
    keeps=_LIST,
    columns=frozenset(),
    one_tomogram=True,
)
BOX = ParticleFormat(
    name="box",
    title="a list of boxes",
    suffixes=(".box",),
    recognises=begins_with_numbers(4),
    read=read_box,
    write=write_box,
    keeps=_LIST,
    columns=frozenset(_SIZES[:2]),
    one_tomogram=True,
)
