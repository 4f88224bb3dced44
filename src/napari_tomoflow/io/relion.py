"""RELION 5 tilt-series STAR files: the table of all series, and the table of one series."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, CtfSeries, RawStack
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.io.columns import (
    ALIGNMENT_COLUMNS,
    CTF_COLUMNS,
    alignment_from_table,
    column_if_any,
    ctf_from_table,
    optics_from_columns,
)
from napari_tomoflow.io.files import naming
from napari_tomoflow.io.mrc import open_mrc
from napari_tomoflow.io.stack_file import FileHeader, Planes, StackFile
from napari_tomoflow.io.star import read_star
from napari_tomoflow.io.tilts import ranks

if TYPE_CHECKING:
    import pandas as pd

STAR_SUFFIXES = (".star",)

_LIST = "rlnTomoTiltSeriesStarFile"
_TILT = "rlnTomoNominalStageTiltAngle"


@dataclass(frozen=True)
class RelionSeries:
    """One tilt series of a RELION project.

    Attributes
    ----------
    name : str
    path : Path
        STAR file of the series.
    table : DataFrame
        One row per tilt.
    general : mapping
        Row of the table of all series: optics, pixel size, hand; empty when only the one file was given.
    """

    name: str
    path: Path
    table: "pd.DataFrame"
    general: Mapping[str, Any] = field(default_factory=dict)


def list_relion_series(path: Path) -> dict[str, Path]:
    """Name the series of a STAR file and where the file of each is, whether it is there or not.

    Raises
    ------
    DataError
        The file is no tilt-series STAR.
    """
    name, table = _tilt_series_table(path)
    if _LIST not in table.columns:
        return {name: path}
    return {str(row["rlnTomoName"]): resolve(str(row[_LIST]), path) for _, row in table.iterrows()}


def read_relion_series(path: Path, name: str | None = None) -> RelionSeries:
    """Read one series, from its own file or from the table of all series.

    The table of all series is looked for above a series' own file, where RELION keeps it, because the
    optics and the pixel size are only there.

    Parameters
    ----------
    path : Path
    name : str, optional
        Which series, when the file lists several.

    Raises
    ------
    DataError
        The file is no tilt-series STAR, lists several series, or not the one asked for.
    """
    own_name, table = _tilt_series_table(path)
    if _LIST not in table.columns:
        return RelionSeries(own_name, path, table, _row_above(path))
    rows = {str(row["rlnTomoName"]): row for _, row in table.iterrows()}
    if name is None and len(rows) == 1:
        name = next(iter(rows))
    if name not in rows:
        files = ", ".join(map(str, table[_LIST]))
        raise DataError(f"{path} lists {len(rows)} tilt series; give the file of one: {files}.")
    star = resolve(str(rows[name][_LIST]), path)
    if not star.exists():
        raise DataError(f"{path} lists {rows[name][_LIST]}, which is not there; put it back and try again.")
    return RelionSeries(name, star, _tilt_series_table(star)[1], dict(rows[name]))


def _tilt_series_table(path: Path) -> tuple[str, "pd.DataFrame"]:
    """Find the table of a STAR file that is about tilt series, with the name of its block."""
    import pandas as pd

    for name, block in read_star(path).items():
        table = pd.DataFrame([block]) if isinstance(block, dict) else block
        if {_LIST, _TILT} & set(table.columns):
            return name, table
    raise DataError(
        f"{path} is no tilt series of RELION 5: no table has the column {_TILT} or {_LIST}; "
        "give tilt_series.star, or the STAR file of one series."
    )


def _row_above(star: Path) -> Mapping[str, Any]:
    """Find what the table of all series, one folder up, says of a series."""
    for path in sorted(star.resolve().parent.parent.glob("*.star")):
        if _LIST not in path.read_text("utf-8", "replace"):
            continue
        _, table = _tilt_series_table(path)
        rows = [row for _, row in table.iterrows() if Path(str(row[_LIST])).name == star.name]
        if rows:
            return dict(rows[0])
    return {}


def relion_raw_stack(series: RelionSeries) -> RawStack:
    """Gather what RELION knows of the raw series; its images are opened when first read."""
    with naming(series.path):
        return _raw_stack(series)


def _raw_stack(series: RelionSeries) -> RawStack:
    table, general = series.table, series.general
    axis_deg = column_if_any(table, "rlnTomoNominalTiltAxisAngle")
    before = column_if_any(table, "rlnMicrographPreExposure")
    order = None if before is None else ranks(before)
    values: dict[str, Any] = {
        "pixel_ang": _number(general, "rlnTomoTiltSeriesPixelSize"),
        "voltage_kv": _number(general, "rlnVoltage"),
        "cs_mm": _number(general, "rlnSphericalAberration"),
        "amplitude_contrast": _number(general, "rlnAmplitudeContrast"),
        "axis_deg": None if axis_deg is None else float(np.median(axis_deg)),
        "tilt_deg": column_if_any(table, _TILT),
        "dose_before_e_ang2": before,
        "order": order,
    }
    return RawStack(
        name=series.name,
        source=str(series.path),
        images=_stack(series),
        said_by={name: series.path.name for name, value in values.items() if value is not None},
        **values,
    )


def relion_alignment(series: RelionSeries) -> Alignment | None:
    """Return RELION's alignment, or None before its alignment job."""
    if not set(ALIGNMENT_COLUMNS) <= set(series.table.columns):
        return None
    with naming(series.path):
        return alignment_from_table(series.table)


def relion_ctf(series: RelionSeries) -> CtfSeries | None:
    """Return RELION's CTF with its hand, or None before its CTF job or without the table of all series."""
    if not set(CTF_COLUMNS) <= set(series.table.columns) or "rlnVoltage" not in series.general:
        return None
    with naming(series.path):
        hand = int(series.general.get("rlnTomoHand", 0))
        return ctf_from_table(series.table, optics_from_columns(series.general), hand)


def open_star_stack(path: Path) -> StackFile:
    """Open the images a STAR file of one series lists, as one stack.

    Raises
    ------
    DataError
        It lists several series; the text names them.
    """
    return _stack(read_relion_series(path))


def resolve(name: str, star: Path) -> Path:
    """Find a file named relative to the project's root, which is some folder above the STAR file."""
    for folder in star.resolve().parents:
        if (folder / name).exists():
            return folder / name
    return star.parent / name


def _number(general: Mapping[str, Any], name: str) -> float | None:
    if name not in general:
        return None
    try:
        return float(general[name])
    except ValueError as error:
        raise DataError(f"{name} is {general[name]!s}, not a number; mend the table of all series.") from error


def _stack(series: RelionSeries) -> StackFile:
    with naming(series.path):
        pixel_ang = _number(series.general, "rlnTomoTiltSeriesPixelSize")
        header = FileHeader(pixel_ang=pixel_ang, tilt_deg=column_if_any(series.table, _TILT))
    return StackFile(series.path, _load, header)


def _load(path: Path) -> Array:
    _, table = _tilt_series_table(path)
    if "rlnMicrographName" not in table.columns:
        raise DataError(f"{path} lists movies but no images; run motion correction first and give its STAR file.")
    return ListedImages(path, tuple(table["rlnMicrographName"]))


class ListedImages(Planes):
    """Images that lie in a file each (or as ``NUMBER@stack``); a file is looked for when it is read.

    Parameters
    ----------
    star : Path
        The table that lists them.
    names : tuple of str
        As it has them.
    shape_yx : (int, int), optional
        What the table says of all; left out, that of the first image.
    """

    def __init__(self, star: Path, names: tuple[str, ...], shape_yx: tuple[int, int] | None = None) -> None:
        self._star = star
        self._names = names
        self._shape_yx = shape_yx

    @cached_property
    def _first(self) -> NDArray[Any]:
        return self.plane(0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of images, and their height and width."""
        return (len(self._names), *(self._shape_yx or self._first.shape))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the first image's elements."""
        return self._first.dtype

    def plane(self, index: int) -> NDArray[Any]:
        """Read one image.

        Raises
        ------
        DataError
            Its file is not there, holds fewer, or of another size.
        """
        number, _, name = self._names[index].rpartition("@")
        path = resolve(name, self._star)
        if not path.exists():
            raise DataError(f"{self._star} lists the image {name}, which is not there; put it back and try again.")
        stack = open_mrc(path)
        place = int(number) - 1 if number else 0
        if not 0 <= place < len(stack) or stack.shape[1:] != (self._shape_yx or stack.shape[1:]):
            size = " × ".join(map(str, self._shape_yx or stack.shape[1:]))
            raise DataError(
                f"{self._star} wants image {place + 1} of {size} px from {path}, which holds {len(stack)} of "
                f"{stack.shape[1]} × {stack.shape[2]} px; give the stack it was written with."
            )
        return np.asarray(stack[place])
