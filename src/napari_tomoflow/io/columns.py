"""Nouns as tables with RELION 5's column names, and back. Our geometry is RELION's, so nothing is converted.

Columns RELION has no name for start with ``tomoflow``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Aberrations, Alignment, CtfSeries, Optics
from napari_tomoflow.core.model.optics import UNSTRETCHED, Magnification

if TYPE_CHECKING:
    import pandas as pd

ALIGNMENT_COLUMNS = ("rlnTomoXTilt", "rlnTomoYTilt", "rlnTomoZRot", "rlnTomoXShiftAngst", "rlnTomoYShiftAngst")
_LARGEST = 2**53
"""Whole numbers beyond this are no longer exact as float64."""
CTF_COLUMNS = ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle")
_BEAM_TILT = ("rlnBeamTiltX", "rlnBeamTiltY")
_ZERNIKE = ("rlnOddZernike", "rlnEvenZernike")
_MAGNIFICATION = ("rlnMagMat00", "rlnMagMat01", "rlnMagMat10", "rlnMagMat11")
FAULTLESS: dict[str, float | str] = {
    **dict.fromkeys(_BEAM_TILT, 0.0),
    **dict.fromkeys(_ZERNIKE, "[0.0]"),
    **dict(zip(_MAGNIFICATION, np.ravel(UNSTRETCHED).tolist(), strict=True)),
}
"""What a lens is like where nothing is said of how it falls short."""

OPTICS_COLUMNS = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast", *FAULTLESS)


def column(table: "pd.DataFrame", name: str) -> NDArray[np.float64]:
    """Return a column as float64[N].

    Raises
    ------
    DataError
        The table lacks it, or it holds text.
    """
    found = column_if_any(table, name)
    if found is None:
        raise DataError(f"A table has no column {name}, only {', '.join(table.columns)}; write the file again.")
    return found


def column_if_any(table: "pd.DataFrame", name: str) -> NDArray[np.float64] | None:
    """Return a column as float64[N], or None when the table lacks it."""
    if name not in table.columns:
        return None
    try:
        return np.array(table[name], np.float64)
    except ValueError as error:
        raise DataError(f"The column {name} is not all numbers: {error}; mend the file it came from.") from error


def numbers(path: Path, columns: Mapping[str, Any]) -> NDArray[np.float64]:
    """Gather columns as float64[P, columns].

    Raises
    ------
    DataError
        An entry is no finite number; the text names the file, the column and the particle.
    """
    return np.stack([_finite(path, name, values) for name, values in columns.items()], axis=1)


def whole_numbers(path: Path, name: str, values: Any) -> NDArray[np.int64]:
    """Take a column as int64[P].

    Raises
    ------
    DataError
        An entry is no number, or beyond all counting.
    """
    column = _finite(path, name, values)
    if np.any(np.abs(column) > _LARGEST):
        worst = int(np.argmax(np.abs(column)))
        raise DataError(
            f"{path}: {name} of particle {worst + 1} is {column[worst]:g}, too large to count; mend that row."
        )
    return column.astype(np.int64)


def scores(path: Path, name: str, values: Any) -> NDArray[np.float64]:
    """Take a column as float64[P] in which NaN stands for none.

    Raises
    ------
    DataError
        An entry is a word.
    """
    try:
        return np.asarray(values, np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: the column {name} is not made of numbers alone; mend it.") from error


def _finite(path: Path, name: str, values: Any) -> NDArray[np.float64]:
    try:
        column = np.asarray(values, np.float64)
    except (ValueError, TypeError):
        column = np.array([_number_or_nan(value) for value in values])
    bad = np.flatnonzero(~np.isfinite(column))
    if len(bad):
        raise DataError(
            f"{path}: {name} of particle {bad[0] + 1} is {list(values)[bad[0]]!s}, not a number; "
            "mend that row or delete it."
        )
    return column


def _number_or_nan(value: Any) -> float:
    try:
        return float(value)
    except (ValueError, TypeError):
        return float("nan")


def table_from_alignment(alignment: Alignment) -> "pd.DataFrame":
    """Lay an alignment out, one row per tilt."""
    import pandas as pd

    return pd.DataFrame(
        {
            "rlnTomoXTilt": alignment.xtilt_deg,
            "rlnTomoYTilt": alignment.tilt_deg,
            "rlnTomoZRot": alignment.axis_deg,
            "rlnTomoXShiftAngst": alignment.shift_ang_yx[:, 1],
            "rlnTomoYShiftAngst": alignment.shift_ang_yx[:, 0],
            "tomoflowResidualAngst": alignment.residual_ang,
            "tomoflowKept": alignment.kept,
        }
    )


def alignment_from_table(table: "pd.DataFrame", **record: Any) -> Alignment:
    """Read an alignment; `record` gives its other fields."""
    residual_ang, kept = column_if_any(table, "tomoflowResidualAngst"), column_if_any(table, "tomoflowKept")
    shifts = [column(table, f"rlnTomo{axis}ShiftAngst") for axis in "YX"]
    return Alignment(
        tilt_deg=column(table, "rlnTomoYTilt"),
        axis_deg=column(table, "rlnTomoZRot"),
        xtilt_deg=column(table, "rlnTomoXTilt"),
        shift_ang_yx=np.stack(shifts, axis=1),
        residual_ang=np.array(np.nan) if residual_ang is None else residual_ang,
        kept=np.array(True) if kept is None else kept.astype(bool),
        **record,
    )


def table_from_ctf(ctf: CtfSeries) -> "pd.DataFrame":
    """Lay a CTF series out, one row per tilt."""
    import pandas as pd

    return pd.DataFrame(
        {
            "rlnDefocusU": ctf.defocus_u_ang,
            "rlnDefocusV": ctf.defocus_v_ang,
            "rlnDefocusAngle": ctf.azimuth_deg,
            "rlnPhaseShift": ctf.phase_deg,
            "rlnCtfMaxResolution": ctf.fit_ang,
            "rlnCtfFigureOfMerit": ctf.score,
            **_strengths(ctf),
        }
    )


def _strengths(ctf: CtfSeries) -> dict[str, NDArray[np.float64]]:
    """Lay out how strong the tilts are, where anybody found out."""
    columns = {"tomoflowScale": ctf.scale, "tomoflowBFactor": ctf.b_ang2}
    return columns if np.any(ctf.scale != 1) or np.any(ctf.b_ang2) else {}


def ctf_from_table(table: "pd.DataFrame", optics: Optics, hand: int) -> CtfSeries:
    """Read a CTF series; columns that are not there keep their defaults."""
    optional = {
        "azimuth_deg": column_if_any(table, "rlnDefocusAngle"),
        "phase_deg": column_if_any(table, "rlnPhaseShift"),
        "fit_ang": column_if_any(table, "rlnCtfMaxResolution"),
        "score": column_if_any(table, "rlnCtfFigureOfMerit"),
        "scale": column_if_any(table, "tomoflowScale"),
        "b_ang2": column_if_any(table, "tomoflowBFactor"),
    }
    given: dict[str, Any] = {name: values for name, values in optional.items() if values is not None}
    return CtfSeries(
        optics=optics,
        defocus_u_ang=column(table, "rlnDefocusU"),
        defocus_v_ang=column(table, "rlnDefocusV"),
        hand=hand,
        **given,
    )


def optics_columns(optics: Optics) -> dict[str, Any]:
    """Lay the optics out, with the aberrations and the magnification where any are known."""
    known = optics.aberrations
    columns: dict[str, Any] = {
        "rlnVoltage": optics.voltage_kv,
        "rlnSphericalAberration": optics.cs_mm,
        "rlnAmplitudeContrast": optics.amplitude_contrast,
    }
    if any(known.beam_tilt_mrad):
        columns |= dict(zip(_BEAM_TILT, known.beam_tilt_mrad, strict=True))
    if optics.is_stretched:
        columns |= dict(zip(_MAGNIFICATION, np.ravel(optics.magnification).tolist(), strict=True))
    zernike = zip(_ZERNIKE, (known.odd_zernike, known.even_zernike), strict=True)
    return columns | {name: f"[{','.join(map(repr, map(float, terms)))}]" for name, terms in zernike if terms}


def optics_from_columns(values: Any) -> Optics:
    """Read the optics from anything that can be looked up by column name."""
    return Optics(
        voltage_kv=float(values["rlnVoltage"]),
        cs_mm=float(values["rlnSphericalAberration"]),
        amplitude_contrast=float(values["rlnAmplitudeContrast"]),
        aberrations=_aberrations_from_columns(values),
        magnification=_magnification_from_columns(values),
    )


def _aberrations_from_columns(values: Any) -> Aberrations:
    """Read beam tilt and Zernike terms; what is not there is none."""
    along_x, along_y = (float(values[name]) if name in values else 0.0 for name in _BEAM_TILT)
    odd, even = (_vector(name, values[name]) if name in values else () for name in _ZERNIKE)
    return Aberrations((along_x, along_y), odd if any(odd) else (), even if any(even) else ())


def _magnification_from_columns(values: Any) -> Magnification:
    """Read RELION's matrix; what is not there is as it should be."""
    xx, xy, yx, yy = (float(values[name] if name in values else FAULTLESS[name]) for name in _MAGNIFICATION)
    return (xx, xy), (yx, yy)


def _vector(name: str, text: Any) -> tuple[float, ...]:
    """Read numbers as RELION writes several into one cell: ``[1,2,3]``."""
    try:
        return tuple(float(one) for one in str(text).strip("[]").split(",") if one.strip())
    except ValueError as error:
        raise DataError(f"{name} cannot be {text!r}; give numbers in brackets, e.g. [0.1,0.2].") from error
