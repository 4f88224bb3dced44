"""RELION 5's tables of tilt series, written: the one of all series and one for each.

RELION cannot mark a tilt as left out: its rows are the tilts in use. Images are named as slices of the
stack, ``NUMBER@stack``, and paths are relative to the folder of the tables, where RELION is to be started.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, CtfSeries, TiltSeries, Tomogram
from napari_tomoflow.io.columns import FAULTLESS, column, optics_columns, table_from_alignment, table_from_ctf
from napari_tomoflow.io.files import naming
from napari_tomoflow.io.foreign import StackFacts, spread_over
from napari_tomoflow.io.relion import STAR_SUFFIXES, RelionSeries, read_relion_series, relion_alignment, resolve
from napari_tomoflow.io.star import write_star
from napari_tomoflow.io.tilts import match_angles

if TYPE_CHECKING:
    import pandas as pd

SERIES_FOLDER = "tilt_series"
_SAME_TILT_DEG = 0.5
_OURS = "tomoflow"


def write_relion_series(
    folder: Path, series: TiltSeries, alignment: Alignment, ctf: CtfSeries | None, stack: Path
) -> Path:
    """Write the table of one series; tilts left out by the series or its alignment have no row.

    Parameters
    ----------
    folder : Path
        Where RELION is to be started.
    series, alignment, ctf
        Of one series.
    stack : Path
        Where its images lie; a table of RELION's that lists them will do.
    """
    import pandas as pd

    columns: dict[str, Any] = {
        "rlnMicrographName": _image_names(stack, folder, series.n_tilts),
        "rlnTomoNominalStageTiltAngle": series.tilt_deg,
        "rlnTomoNominalTiltAxisAngle": np.median(alignment.axis_deg) if series.axis_deg is None else series.axis_deg,
        "rlnMicrographPreExposure": series.dose_before_e_ang2,
    }
    tables = [pd.DataFrame(columns), table_from_alignment(alignment)]
    if ctf is not None:
        # What a tilted slab leaves of the signal, as our own weights have it.
        scale = np.abs(alignment.rotations[:, 2, 2]) * ctf.scale
        tables += [table_from_ctf(ctf), pd.DataFrame({"rlnCtfScalefactor": scale})]
    table = pd.concat(tables, axis=1)
    theirs = [name for name in table.columns if not name.startswith(_OURS)]
    path = folder / SERIES_FOLDER / f"{series.name}.star"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_star(path, {series.name: table.loc[series.kept & alignment.kept, theirs]})
    return path


def write_relion_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the table of all series from the rows of `relion_row`."""
    import pandas as pd

    write_star(path, {"global": pd.DataFrame(rows).fillna(FAULTLESS)})


def relion_row(
    series: TiltSeries, hand: int, tomogram: Tomogram | None = None, thickness_px: int | None = None
) -> dict[str, Any]:
    """Make the row of a series in the table of all.

    A tomogram adds its size in unbinned pixels; without one a thickness does, over the field of the images.
    """
    row: dict[str, Any] = {
        "rlnTomoName": series.name,
        **optics_columns(series.optics),
        "rlnMicrographOriginalPixelSize": series.pixel_ang,
        "rlnTomoHand": hand,
        "rlnOpticsGroupName": "optics1",
        "rlnTomoTiltSeriesPixelSize": series.pixel_ang,
        "rlnTomoTiltSeriesStarFile": f"{SERIES_FOLDER}/{series.name}.star",
    }
    if tomogram is not None:
        binning = tomogram.voxel_ang / series.pixel_ang
        size_xyz = [2 * round(n * binning / 2) for n in tomogram.volume.shape[::-1]]
        row["rlnTomoTomogramBinning"] = binning
    elif thickness_px is not None:
        size_xyz = [2 * -(-n // 2) for n in (*series.shape_yx[::-1], thickness_px)]
    else:
        return row
    return row | dict(zip(("rlnTomoSizeX", "rlnTomoSizeY", "rlnTomoSizeZ"), size_xyz, strict=True))


def read_relion_alignment(path: Path, stack: StackFacts) -> Alignment:
    """Read a RELION alignment for a stack; images without a row are marked as left out.

    Rows find their images by ``NUMBER@stack``, or else by the nominal angle.

    Raises
    ------
    DataError
        The series is not aligned yet, or its rows are not of this stack.
    """
    series = read_relion_series(path, stack.name)
    alignment = relion_alignment(series)
    if alignment is None:
        raise DataError(
            f"{series.path} holds no alignment; run AlignTiltSeries in RELION first, or give a later table."
        )
    alignment = alignment.replace(quality={"warnings": []})
    if series.path.resolve() == stack.path.resolve():
        return alignment
    images = _images_of(series, stack)
    left_out_deg = np.zeros(stack.n_tilts) if stack.tilt_deg is None else stack.tilt_deg
    return spread_over(alignment, images, stack.n_tilts, left_out_deg)


def _image_names(stack: Path, folder: Path, n_tilts: int) -> list[str]:
    """Name the images from `folder`: slices of a stack, or what a table of RELION's lists."""
    if stack.suffix.lower() not in STAR_SUFFIXES:
        return [f"{tilt + 1:06d}@{_from(folder, stack)}" for tilt in range(n_tilts)]
    listed = [name.rpartition("@") for name in read_relion_series(stack).table["rlnMicrographName"]]
    return [f"{number}{at}{_from(folder, resolve(name, stack))}" for number, at, name in listed]


def _from(folder: Path, path: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _images_of(series: RelionSeries, stack: StackFacts) -> NDArray[np.int64]:
    """Find the image of each row."""
    table = series.table
    numbers = _slices(table)
    if numbers is not None and np.isin(numbers, np.arange(stack.n_tilts)).all():
        return numbers
    with naming(series.path):
        nominal_deg = column(table, "rlnTomoNominalStageTiltAngle")
    found = None if stack.tilt_deg is None else match_angles(stack.tilt_deg, nominal_deg, _SAME_TILT_DEG)
    if found is not None:
        return found
    if len(table) == stack.n_tilts and stack.tilt_deg is None:
        return np.arange(stack.n_tilts)
    raise DataError(
        f"{series.path} has {len(table)} tilts that are not among the {stack.n_tilts} images of {stack.path}; "
        "give the stack of the series, with its angles by --angles or --mdoc."
    )


def _slices(table: "pd.DataFrame") -> NDArray[np.int64] | None:
    """Read the places in a stack off the names of the images, from 0; None when they are files of their own."""
    names = list(table.get("rlnMicrographName", []))
    numbers = [name.partition("@")[0] for name in names if "@" in name]
    if len(set(numbers)) != len(table) or not all(map(str.isdigit, numbers)):
        return None
    return np.array(numbers, np.int64) - 1
