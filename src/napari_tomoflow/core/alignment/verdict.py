"""Whether an alignment is to be believed, and what is to be said of it."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.axis import half_turn_distance
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.model.tilt_series import TiltSeries

if TYPE_CHECKING:
    from napari_tomoflow.core.alignment.course import Course
    from napari_tomoflow.core.alignment.landmark_course import LandmarkChoice
    from napari_tomoflow.core.alignment.search import Placement

_CHANCE_ERRORS = 5.0
"""A series is aligned only if its correlations stand out of chance by this many standard errors."""

_AXIS_OFF_DEG = 5.0
_FAR_OFF_DEG = 45.0

_ODD_RESIDUAL_MADS = 4.0
"""A tilt whose residual is this far above the others' is named."""

_FIELD_LOST = 0.2
"""Shifts that lose more of the field than this are named."""


def refuse_chance(name: str, placed: "Placement", chance: "Placement") -> None:
    """Raise `DataError` if the images correlate no better than images with nothing in common do."""
    real, noise = (one.height[np.isfinite(one.height)] for one in (placed, chance))
    error = np.sqrt((real.var() + noise.var()) / len(real))
    if real.mean() - noise.mean() < _CHANCE_ERRORS * max(float(error), 1e-6):
        raise DataError(
            f"{name} cannot be aligned: its images correlate with each other with peaks of {real.mean():.1f} × noise, "
            f"images with nothing in common reach {noise.mean():.1f} ± {error:.1f}; check tilt angles and axis, "
            "or leave out bad tilts."
        )


def describe(
    series: TiltSeries,
    alignment: Alignment,
    course: "Course",
    choice: "LandmarkChoice",
    excluded: dict[int, str],
    nominal_deg: float | None,
) -> dict[str, Any]:
    """Sum up the quality of an alignment for people and for databases."""
    residual_ang = alignment.residual_ang[alignment.kept]
    steps = course.matched.steps
    lost = field_lost(alignment, series.pixel_ang, series.shape_yx)
    return {
        "residual_nm": _summary(residual_ang / 10.0),
        "residual_px": _summary(residual_ang / series.pixel_ang),
        "residual_ang": _rounded(alignment.residual_ang),
        "residual_is_blind_to": "errors of the common axis and of the tilt angles, and drifts all tilts share",
        "correlation_over_noise": round(float(np.mean(steps.height)), 2),
        "held_out_correlation": round(float(np.mean(steps.held_out)), 2),
        "coarse_correlation_over_noise": round(course.placed.mean_height, 2),
        "chance_correlation_over_noise": round(course.chance.mean_height, 2),
        "predicted_from": course.matched.predictor,
        **choice.quality(series.pixel_ang),
        "passes_accepted": course.passes,
        "axis_deg": round(choice.axis_deg, 3),
        "axis_error_deg": round(course.axis_error_deg, 3),
        "axis_nominal_deg": nominal_deg,
        "hand": "not determined: the axis was found blind" if course.choice.blind else "as the axis given says",
        "tilts_used": int(alignment.kept.sum()),
        "tilts_excluded": {str(tilt): reason for tilt, reason in sorted(excluded.items())},
        "thickness_nm": None if alignment.thickness_ang is None else round(alignment.thickness_ang / 10.0, 2),
        "level_deg_yx": [round(angle, 3) for angle in alignment.level_deg_yx],
        "level_error_deg": round(float(np.rad2deg(np.arctan(course.slab.slope_error))), 3),
        "level": _level_note(course),
        "field_lost": round(float(lost.max()), 3),
        "warnings": _warnings(alignment, course, choice, nominal_deg, lost),
    }


def field_lost(alignment: Alignment, pixel_ang: float, shape_yx: tuple[int, int]) -> NDArray[np.float64]:
    """Return which fraction of each image lies outside the specimen's field because of its shift: float64[N]."""
    shifts_px = np.abs(alignment.shift_ang_yx[alignment.kept]) / pixel_ang
    shown = np.clip(1.0 - shifts_px / np.array(shape_yx), 0.0, 1.0)
    return np.asarray(1.0 - shown.prod(axis=1))


def _summary(values: NDArray[np.float64]) -> dict[str, float]:
    return {"mean": _rounded(values.mean()), "sd": _rounded(values.std()), "max": _rounded(values.max())}


def _rounded(values: Any) -> Any:
    """Round to four figures after the point, NaN as None, which JSON has."""
    return [None if np.isnan(v) else round(float(v), 4) for v in values] if np.ndim(values) else round(float(values), 4)


def _level_note(course: "Course") -> str:
    slab = course.slab
    if not slab.seen:
        return "specimen not seen in depth; centred by the shifts alone"
    if slab.slope_x == slab.slope_y == 0.0:
        return "centred; slope not told from zero"
    return "centred; slope measured"


def _warnings(
    alignment: Alignment,
    course: "Course",
    choice: "LandmarkChoice",
    nominal_deg: float | None,
    lost: NDArray[np.float64],
) -> list[str]:
    """Say in sentences what a person should look at."""
    found = []
    axis_deg = choice.axis_deg
    if nominal_deg is not None:
        apart = half_turn_distance(axis_deg, nominal_deg)
        if half_turn_distance(axis_deg, -nominal_deg) < _AXIS_OFF_DEG < apart:
            found.append(
                f"The tilt axis is at {axis_deg:.1f}°, the nominal one at {nominal_deg:.1f}°: its sign is wrong."
            )
        elif apart > _FAR_OFF_DEG:
            found.append(f"The tilt axis is at {axis_deg:.1f}°, about 90° from the nominal {nominal_deg:.1f}°.")
        elif apart > _AXIS_OFF_DEG:
            found.append(f"The tilt axis is at {axis_deg:.1f}°, {apart:.1f}° from the nominal {nominal_deg:.1f}°.")
    if course.choice.blind:
        found.append("Nobody said where the axis is: the hand of the tomogram is not determined.")
    residual = alignment.residual_ang
    usual = float(np.nanmedian(residual))
    spread = 1.4826 * float(np.nanmedian(np.abs(residual - usual)))
    for tilt in np.flatnonzero(residual > usual + _ODD_RESIDUAL_MADS * max(spread, 0.1 * usual)):
        found.append(
            f"Tilt {int(tilt)} ({alignment.tilt_deg[tilt]:.1f}°) disagrees with the others by {residual[tilt]:.1f} Å."
        )
    if lost.max() > _FIELD_LOST:
        found.append(f"Shifts move up to {100 * lost.max():.0f} % of the field out of the images.")
    return found
