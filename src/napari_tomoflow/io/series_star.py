"""``tilt_series.star``: what is known of a series, and where its images lie. It never copies raw data."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.io.columns import column, optics_columns, optics_from_columns
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.io.stack_file import StackFile
from napari_tomoflow.io.stacks import open_stack
from napari_tomoflow.io.star import read_star, table_of, write_star

SERIES_STAR = "tilt_series.star"
_OWN_STACK = "stack.mrc"


def save_series(series: TiltSeries, folder: Path) -> str:
    """Write ``tilt_series.star``; images that are in memory only go beside it as ``stack.mrc``.

    A stack that lies elsewhere is named both by its absolute path and by its path relative to `folder`,
    so that it is found again after a project has moved together with its data, or alone.
    """
    import pandas as pd

    general = {
        "rlnTomoName": series.name,
        **_stack_names(series, folder),
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
    write_star(folder / SERIES_STAR, {"general": general, "tilts": table})
    return SERIES_STAR


def load_series(folder: Path) -> TiltSeries:
    """Read ``tilt_series.star`` and open its stack.

    Raises
    ------
    DataError
        The file or its stack is not there or is damaged.
    """
    path = folder / SERIES_STAR
    blocks = read_star(path)
    general, table = blocks.get("general"), table_of(blocks, "rlnTomoNominalStageTiltAngle", path)
    if not isinstance(general, dict):
        raise DataError(f"{path} has no block data_general with the pixel size; import the series again.")
    axis_deg = general.get("rlnTomoNominalTiltAxisAngle")
    return TiltSeries(
        name=general["rlnTomoName"],
        images=open_stack(_find_stack(general, path)),
        tilt_deg=column(table, "rlnTomoNominalStageTiltAngle"),
        pixel_ang=float(general["rlnTomoTiltSeriesPixelSize"]),
        axis_deg=None if axis_deg is None else float(axis_deg),
        dose_before_e_ang2=column(table, "rlnMicrographPreExposure"),
        dose_of_tilt_e_ang2=column(table, "tomoflowExposure"),
        order=np.array(table["tomoflowOrder"], np.int64),
        kept=np.array(table["tomoflowKept"], bool),
        excluded_because=tuple(table["tomoflowExcludedBecause"]),
        optics=optics_from_columns(general),
        defocus_hand=general.get("rlnTomoHand", 0),
        contrast=general["tomoflowContrast"],
    )


def _stack_names(series: TiltSeries, folder: Path) -> dict[str, str]:
    """Say where the images lie, writing them first when they lie nowhere."""
    if isinstance(series.images, StackFile):
        path = series.images.path.resolve()
        return {"tomoflowStack": os.path.relpath(path, folder.resolve()), "tomoflowStackAbsolute": str(path)}
    own = folder / _OWN_STACK
    write_mrc(own, series.images, series.pixel_ang, stack=True, label=f"tilt series {series.name}")
    return {"tomoflowStack": own.name}


def _find_stack(general: dict[str, Any], star: Path) -> Path:
    """Look beside the project first: a copied project is to use the data copied with it."""
    near = (star.parent / general["tomoflowStack"]).resolve()
    far = Path(general.get("tomoflowStackAbsolute", near))
    for path in (near, far):
        if path.exists():
            return path
    raise DataError(f"{star} refers to the stack {far}, which is not there; put it back, or import the series again.")
