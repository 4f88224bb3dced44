"""``tilt_series.star``: what is known of a series, and where its images lie. It never copies raw data."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.io.columns import column, optics_columns, optics_from_columns
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.io.stack_file import StackFile
from napari_tomoflow.io.stacks import open_stack
from napari_tomoflow.io.star import read_star, table_of, write_star

if TYPE_CHECKING:
    import pandas as pd

SERIES_STAR = "tilt_series.star"
_OWN_STACK = "stack.mrc"
_OWN_HALVES = {"Odd": "stack_odd.mrc", "Even": "stack_even.mrc"}


def save_series(series: TiltSeries, folder: Path) -> str:
    """Write ``tilt_series.star``; images that are in memory only go beside it as ``stack.mrc``.

    A stack that lies elsewhere is named both by its absolute path and by its path relative to `folder`,
    so that it is found again after a project has moved together with its data, or alone.
    """
    places = _place_of(series.images, "tomoflowStack", _OWN_STACK, series, folder)
    for (half, own), images in zip(_OWN_HALVES.items(), series.halves or (), strict=False):
        places |= _place_of(images, f"tomoflowStack{half}", own, series, folder)
    general, table = series_blocks(series)
    write_star(folder / SERIES_STAR, {"general": {**general, **places}, "tilts": table})
    return SERIES_STAR


def series_blocks(series: TiltSeries) -> "tuple[dict[str, Any], pd.DataFrame]":
    """Lay out everything but the images: what holds for the series, and a row for each tilt."""
    import pandas as pd

    general = {
        "rlnTomoName": series.name,
        "rlnTomoTiltSeriesPixelSize": series.pixel_ang,
        **optics_columns(series.optics),
        "rlnTomoHand": series.defocus_hand,
        "tomoflowContrast": series.contrast,
    }
    if series.axis_deg is not None:
        general["rlnTomoNominalTiltAxisAngle"] = series.axis_deg
    table = pd.DataFrame(
        {
            "rlnTomoNominalStageTiltAngle": series.tilt_deg,
            "rlnMicrographPreExposure": series.dose_before_e_ang2,
            "tomoflowExposure": series.dose_of_tilt_e_ang2,
            "tomoflowOrder": series.order,
            "tomoflowKept": series.kept,
            "tomoflowExcludedBecause": series.excluded_because,
        }
    )
    return general, table


def load_series(folder: Path) -> TiltSeries:
    """Read ``tilt_series.star`` and open its stack.

    Raises
    ------
    DataError
        The file or its stack is not there or is damaged.
    """
    path = folder / SERIES_STAR
    general, _, values = read_series_blocks(path)
    images = open_stack(find_file(general, "tomoflowStack", path))
    halves = [
        open_stack(find_file(general, f"tomoflowStack{half}", path))
        for half in _OWN_HALVES
        if f"tomoflowStack{half}" in general
    ]
    return TiltSeries(images=images, halves=(halves[0], halves[1]) if halves else None, **values)


def read_series_blocks(path: Path) -> "tuple[dict[str, Any], pd.DataFrame, dict[str, Any]]":
    """Read back what `series_blocks` laid out: both blocks, and the fields of a `TiltSeries` but for its images.

    Raises
    ------
    DataError
        The file is damaged.
    """
    blocks = read_star(path)
    general, table = blocks.get("general"), table_of(blocks, "rlnTomoNominalStageTiltAngle", path)
    if not isinstance(general, dict):
        raise DataError(f"{path} has no block data_general with the pixel size; import the series again.")
    axis_deg = general.get("rlnTomoNominalTiltAxisAngle")
    values = {
        "name": general["rlnTomoName"],
        "tilt_deg": column(table, "rlnTomoNominalStageTiltAngle"),
        "pixel_ang": float(general["rlnTomoTiltSeriesPixelSize"]),
        "axis_deg": None if axis_deg is None else float(axis_deg),
        "dose_before_e_ang2": column(table, "rlnMicrographPreExposure"),
        "dose_of_tilt_e_ang2": column(table, "tomoflowExposure"),
        "order": np.array(table["tomoflowOrder"], np.int64),
        "kept": np.array(table["tomoflowKept"], bool),
        "excluded_because": tuple(table["tomoflowExcludedBecause"]),
        "optics": optics_from_columns(general),
        "defocus_hand": general.get("rlnTomoHand", 0),
        "contrast": general["tomoflowContrast"],
    }
    return general, table, values


def _place_of(images: Array, column_name: str, own: str, series: TiltSeries, folder: Path) -> dict[str, str]:
    """Say where images lie, writing them first when they lie nowhere."""
    if isinstance(images, StackFile):
        return both_paths(column_name, images.path, folder)
    write_mrc(folder / own, images, series.pixel_ang, stack=True, label=f"tilt series {series.name}")
    return {column_name: own}


def both_paths(column_name: str, path: Path, folder: Path) -> dict[str, str]:
    """Name a file by its path relative to `folder` and, as COLUMNAbsolute, by its absolute path."""
    path = path.resolve()
    return {column_name: os.path.relpath(path, folder.resolve()), f"{column_name}Absolute": str(path)}


def find_file(row: Mapping[str, Any], column_name: str, star: Path, what: str = "stack") -> Path:
    """Look beside the project first: a copied project is to use the data copied with it.

    Raises
    ------
    DataError
        The file is in neither place.
    """
    near = (star.parent / row[column_name]).resolve()
    far = Path(row.get(f"{column_name}Absolute", near))
    for path in (near, far):
        if path.exists():
            return path
    raise DataError(f"{star} refers to the {what} {far}, which is not there; put it back, or import the series again.")
