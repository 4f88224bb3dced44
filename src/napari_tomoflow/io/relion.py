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


def read_relion_series(path: Path) -> dict[str, RelionSeries]:
    """Read all series of a table of series, or the one of a file of one series.

    Raises
    ------
    DataError
        The file is no tilt-series STAR, or one it lists is not there.
    """
    import pandas as pd

    for name, block in read_star(path).items():
        table = pd.DataFrame([block]) if isinstance(block, dict) else block
        if _LIST in table.columns:
            rows = [dict(row) for _, row in table.iterrows()]
            return {str(row["rlnTomoName"]): _listed(row, path) for row in rows}
        if _TILT in table.columns:
            return {name: RelionSeries(name, path, table)}
    raise DataError(
        f"{path} is no tilt series of RELION 5: no table has the column {_TILT} or {_LIST}; "
        "give tilt_series.star, or the STAR file of one series."
    )


def relion_raw_stack(series: RelionSeries) -> RawStack:
    """Gather what RELION knows of the raw series; its images are opened when first read."""
    table, general = series.table, series.general
    axis_deg = column_if_any(table, "rlnTomoNominalTiltAxisAngle")
    before = column_if_any(table, "rlnMicrographPreExposure")
    order = None if before is None else ranks(before)
    values: dict[str, Any] = {
        "pixel_ang": _number(general, "rlnTomoTiltSeriesPixelSize", "rlnMicrographOriginalPixelSize"),
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
    return alignment_from_table(series.table)


def relion_ctf(series: RelionSeries) -> CtfSeries | None:
    """Return RELION's CTF with its hand, or None before its CTF job or without the table of all series."""
    if not set(CTF_COLUMNS) <= set(series.table.columns) or "rlnVoltage" not in series.general:
        return None
    return ctf_from_table(series.table, optics_from_columns(series.general), int(series.general.get("rlnTomoHand", 0)))


def open_star_stack(path: Path) -> StackFile:
    """Open the images a STAR file of one series lists, as one stack.

    Raises
    ------
    DataError
        It lists several series; the text names them.
    """
    return _stack(only_series(path))


def only_series(path: Path) -> RelionSeries:
    """Return the one series of a STAR file, or say which there are to choose from."""
    found = read_relion_series(path)
    if len(found) != 1:
        files = ", ".join(str(series.path) for series in found.values())
        raise DataError(f"{path} lists {len(found)} tilt series; give the file of one: {files}.")
    return next(iter(found.values()))


def _listed(row: Mapping[Any, Any], path: Path) -> RelionSeries:
    star = resolve(str(row[_LIST]), path)
    if not star.exists():
        raise DataError(f"{path} lists {row[_LIST]}, which is not there; put it back or give one series' STAR file.")
    series = next(iter(read_relion_series(star).values()))
    return RelionSeries(str(row["rlnTomoName"]), star, series.table, row)


def resolve(name: str, star: Path) -> Path:
    """Find a file named relative to the project's root, which is some folder above the STAR file."""
    for folder in star.resolve().parents:
        if (folder / name).exists():
            return folder / name
    return star.parent / name


def _number(general: Mapping[str, Any], *names: str) -> float | None:
    found = [float(general[name]) for name in names if name in general]
    return found[0] if found else None


def _stack(series: RelionSeries) -> StackFile:
    pixel_ang = _number(series.general, "rlnTomoTiltSeriesPixelSize", "rlnMicrographOriginalPixelSize")
    header = FileHeader(pixel_ang=pixel_ang, tilt_deg=column_if_any(series.table, _TILT))
    return StackFile(series.path, _load, header)


def _load(path: Path) -> Array:
    table = only_series(path).table
    if "rlnMicrographName" not in table.columns:
        raise DataError(f"{path} lists movies but no images; run motion correction first and give its STAR file.")
    return _ListedImages(path, tuple(table["rlnMicrographName"]))


class _ListedImages(Planes):
    """Images that lie in a file each (or as ``NUMBER@stack``); a file is looked for when it is read."""

    def __init__(self, star: Path, names: tuple[str, ...]) -> None:
        self._star = star
        self._names = names

    @cached_property
    def _first(self) -> NDArray[Any]:
        return self.plane(0)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._names), *self._first.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._first.dtype

    def plane(self, index: int) -> NDArray[Any]:
        number, _, name = self._names[index].rpartition("@")
        path = resolve(name, self._star)
        if not path.exists():
            raise DataError(f"{self._star} lists the image {name}, which is not there; put it back and try again.")
        return np.asarray(open_mrc(path)[int(number) - 1 if number else 0])
