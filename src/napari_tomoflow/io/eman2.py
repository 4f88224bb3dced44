"""EMAN2's alignments: ``tlt_params`` in the info file of a tilt series (JSON).

A row is ``tx ty ztilt ytilt xtilt``; a point p of the volume, from its centre, is seen at::

    (u, v) = (Rz(−ztilt) · Ry(−ytilt) · Rx(−xtilt) · p)_xy + (tx, ty),    in unbinned pixels from pixel N // 2

so all three angles are ours with the other sign. A tilt whose ``ali_loss`` is 500 or more is left out.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment
from napari_tomoflow.io.files import read_text, write_text
from napari_tomoflow.io.foreign import StackFacts

Floats = NDArray[np.float64]

_KIND = "an EMAN2 info file"
_LEFT_OUT_LOSS = 500.0


@dataclass(frozen=True, eq=False)
class Eman2Info:
    """What an info file says of the geometry. Legend: N tilts.

    Attributes
    ----------
    path : Path
    rows : float64[N, 5]
        tx, ty (unbinned px), ztilt, ytilt, xtilt (degrees).
    loss : float64[N]
        ``ali_loss``, nm; zeros where there is none.
    pixel_ang : float or None
        ``apix_unbin``.
    stack : str
        ``tlt_file``; empty when it is not said.
    """

    path: Path
    rows: Floats
    loss: Floats
    pixel_ang: float | None
    stack: str


def read_info(path: Path) -> Eman2Info:
    """Read an info file as it is.

    Raises
    ------
    DataError
        It is no EMAN2 info file with an alignment, or is damaged.
    """
    try:
        values = json.loads(read_text(path, _KIND))
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is not readable JSON: {error}; copy the file again.") from error
    if not isinstance(values, dict) or "tlt_params" not in values:
        raise DataError(f"{path} has no tlt_params; align the series in EMAN2 first, or give the info file of it.")
    rows = _floats(path, "tlt_params", values["tlt_params"])
    if rows.ndim != 2 or rows.shape[1] != 5 or not len(rows):
        raise DataError(f"{path}: tlt_params has the shape {rows.shape}, not tilts × 5; align the series again.")
    loss = _floats(path, "ali_loss", values.get("ali_loss", [0.0] * len(rows)))
    if loss.shape != (len(rows),):
        raise DataError(f"{path} has {len(rows)} tlt_params but {loss.size} ali_loss; align the series again.")
    pixel = values.get("apix_unbin")
    pixel_ang = None if pixel is None else float(_floats(path, "apix_unbin", pixel))
    if pixel_ang is not None and pixel_ang <= 0:
        raise DataError(f"{path}: apix_unbin is {pixel_ang:g}; mend it to the pixel size of the unbinned images.")
    return Eman2Info(path, rows, loss, pixel_ang, str(values.get("tlt_file", "")))


def read_eman2_alignment(path: Path, stack: StackFacts) -> Alignment:
    """Read an EMAN2 alignment for a stack; ``apix_unbin``, if there, is the pixel it speaks of.

    Raises
    ------
    DataError
        The file is damaged, or is not for this stack.
    """
    info = read_info(path)
    if len(info.rows) != stack.n_tilts:
        raise DataError(
            f"{path} holds {len(info.rows)} tilts but {stack.path} {stack.n_tilts} images; "
            "give the stack EMAN2 made of the series."
        )
    pixel_ang = stack.pixel_ang if info.pixel_ang is None else info.pixel_ang
    return Alignment(
        tilt_deg=-info.rows[:, 3],
        axis_deg=-info.rows[:, 2],
        xtilt_deg=-info.rows[:, 4],
        shift_ang_yx=pixel_ang * info.rows[:, 1::-1],
        kept=info.loss < _LEFT_OUT_LOSS,
        quality={"warnings": []},
    )


def write_info(path: Path, alignment: Alignment, *, pixel_ang: float, stack: str) -> list[str]:
    """Write an info file with an alignment.

    Parameters
    ----------
    path : Path
    alignment : Alignment
    pixel_ang : float
        Of the unbinned images.
    stack : str
        Path of the stack as EMAN2 is to find it.

    Returns
    -------
    list of str
        What EMAN2 cannot say and was left out.
    """
    rows = np.column_stack(
        [alignment.shift_ang_yx[:, ::-1] / pixel_ang, -alignment.axis_deg, -alignment.tilt_deg, -alignment.xtilt_deg]
    )
    measured = np.where(np.isfinite(alignment.residual_ang), alignment.residual_ang / 10, 0.0)
    values: dict[str, Any] = {
        "ali_loss": np.where(alignment.kept, np.minimum(measured, _LEFT_OUT_LOSS - 1), 2 * _LEFT_OUT_LOSS).tolist(),
        "apix_unbin": pixel_ang,
        "tlt_file": stack,
        "tlt_params": rows.tolist(),
    }
    write_text(path, json.dumps(values, indent=1) + "\n")
    if alignment.deformation is not None:
        return ["The bending of the specimen is left out: EMAN2 has no place for it."]
    return []


def _floats(path: Path, name: str, values: Any) -> Floats:
    try:
        array = np.array(values, np.float64)
    except (ValueError, TypeError):
        array = np.array(np.nan)
    if not np.all(np.isfinite(array)):
        raise DataError(f"{path}: {name} is not made of numbers; align the series again.")
    return array
