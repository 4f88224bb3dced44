"""Whether an alignment is to be believed, and what is to be said of it."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.axis import half_turn_distance
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.model.tilt_series import TiltSeries
from napari_tomoflow.core.ops.peaks import SD_PER_MAD

if TYPE_CHECKING:
    from napari_tomoflow.core.alignment.course import Course
    from napari_tomoflow.core.alignment.landmark_course import LandmarkChoice
    from napari_tomoflow.core.alignment.matching import Steps
    from napari_tomoflow.core.alignment.search import Placement

_CHANCE_ERRORS = 5.0
"""A series is aligned only if its correlations stand out of chance by this many standard errors."""

_AXIS_OFF_DEG = 5.0
_FAR_OFF_DEG = 45.0

_ODD_RESIDUAL_MADS = 4.0
"""A tilt whose residual is this far above the others' is named."""

_FEWEST_PX = 1.0
"""A disagreement below this many pixels harms nothing, however small the others are."""

_UNCONFIRMED = 0.5
"""A tilt is given up only if held-out matter speaks for it less than this fraction of what it does for others."""

_NEAREST = 6
"""Tilts at the nearest angles that a tilt is compared with."""

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


def disagreeing(steps: "Steps", tilt_deg: NDArray[np.float64], pixel_ang: float) -> dict[int, str]:
    """Find the tilts to give up: far from where all others say they should be, and unlike what they predict.

    Parameters
    ----------
    steps : Steps
        Each measured against a prediction it had no part in.
    tilt_deg : float64[K]
    pixel_ang : float
        Pixel at which the images were matched.

    Returns
    -------
    dict of int to str
        Place in the stack → reason.
    """
    residual, held_out = steps.residual_ang, steps.held_out
    usual = float(np.median(residual))
    spread = SD_PER_MAD * float(np.median(np.abs(residual - usual)))
    limit = max(usual + _ODD_RESIDUAL_MADS * spread, _FEWEST_PX * pixel_ang)
    found = {}
    for tilt in np.flatnonzero(residual > limit):
        nearest = np.argsort(np.abs(tilt_deg - tilt_deg[tilt]), kind="stable")[1 : _NEAREST + 1]
        if held_out[tilt] < _UNCONFIRMED * np.median(held_out[nearest]):
            found[int(tilt)] = (
                f"disagrees with the others by {residual[tilt]:.0f} Å, where they disagree by {usual:.0f} Å"
            )
    return found


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
        "residual_is_blind_to": choice.blind_to,
        "correlation_over_noise": round(float(np.mean(steps.height)), 2),
        "held_out_correlation": round(float(np.mean(steps.held_out)), 2),
        "coarse_correlation_over_noise": round(course.placed.mean_height, 2),
        "chance_correlation_over_noise": round(course.chance.mean_height, 2),
        "predicted_from": course.matched.predictor,
        **choice.quality(series.pixel_ang),
        "passes_accepted": course.passes,
        "axis_deg": round(choice.axis_deg, 3),
        "axis_nominal_deg": nominal_deg,
        "hand": _hand(course, choice, nominal_deg),
        "tilts_used": int(alignment.kept.sum()),
        "tilts_excluded": {str(tilt): reason for tilt, reason in sorted((excluded | course.excluded).items())},
        "tilts_swapped": [list(pair) for pair in course.exchanged],
        "tilts_shadowed": {str(tilt): round(hidden, 3) for tilt, hidden in sorted(course.stack.shadowed.items())},
        "thickness_nm": None if alignment.thickness_ang is None else round(alignment.thickness_ang / 10.0, 2),
        "level_deg_yx": [round(angle, 3) for angle in alignment.level_deg_yx],
        "level_error_deg": round(float(np.rad2deg(np.arctan(course.slab.slope_error))), 3),
        "level": _level_note(course),
        "tilt_offset_deg": _tilt_offset(alignment, course),
        "field_lost": round(float(lost.max()), 3),
        "warnings": _warnings(series, alignment, course, choice, nominal_deg, lost),
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


def _hand(course: "Course", choice: "LandmarkChoice", nominal_deg: float | None) -> str:
    """Say whether the half-turn of the axis, and with it the hand, is known."""
    if course.choice.blind or nominal_deg is None:
        return "not determined: the axis was found blind"
    if half_turn_distance(choice.axis_deg, nominal_deg) > _AXIS_OFF_DEG:
        return "not determined: the axis given is wrong, so its half-turn may be too"
    return "as the axis given says"


def _axis_fault(axis_deg: float, nominal_deg: float | None) -> str:
    """Name what is wrong with the nominal axis, if anything."""
    apart = 0.0 if nominal_deg is None else half_turn_distance(axis_deg, nominal_deg)
    if nominal_deg is None or apart < _AXIS_OFF_DEG:
        return ""
    if half_turn_distance(axis_deg, -nominal_deg) < _AXIS_OFF_DEG:
        return f"The tilt axis is at {axis_deg:.1f}°, the nominal one at {nominal_deg:.1f}°: its sign is wrong."
    if apart > _FAR_OFF_DEG:
        return f"The tilt axis is at {axis_deg:.1f}°, about 90° from the nominal {nominal_deg:.1f}°."
    return f"The tilt axis is at {axis_deg:.1f}°, {apart:.1f}° from the nominal {nominal_deg:.1f}°."


def _tilt_offset(alignment: Alignment, course: "Course") -> float | None:
    """Return what levelling added to all tilts; None where it was not told from zero, or not asked for."""
    told = course.slab.seen and course.slab.slope_x != 0.0 and alignment.level_deg_yx[0] != 0.0
    return round(alignment.level_deg_yx[0], 3) if told else None


def _warnings(
    series: TiltSeries,
    alignment: Alignment,
    course: "Course",
    choice: "LandmarkChoice",
    nominal_deg: float | None,
    lost: NDArray[np.float64],
) -> list[str]:
    """Say in sentences what a person should look at."""
    found = []
    if axis_fault := _axis_fault(choice.axis_deg, nominal_deg):
        found.append(axis_fault)
    if course.choice.blind:
        found.append("Nobody said where the axis is: the hand of the tomogram is not determined.")
    for first, second in course.exchanged:
        found.append(
            f"Tilts {first} and {second} carry each other's angle on file: the angles were exchanged, and tilt {first} "
            f"is now at {series.tilt_deg[second]:.1f}°, tilt {second} at {series.tilt_deg[first]:.1f}°."
        )
    for tilt, hidden in course.stack.shadowed.items():
        found.append(
            f"Tilt {tilt} ({series.tilt_deg[tilt]:.1f}°) is shadowed, as by a grid bar: "
            f"{100 * hidden:.0f} % of it is masked."
        )
    found += [f"Tilt {tilt} is left out: {reason}." for tilt, reason in sorted(course.excluded.items())]
    residual = alignment.residual_ang
    usual = float(np.nanmedian(residual))
    spread = SD_PER_MAD * float(np.nanmedian(np.abs(residual - usual)))
    limit = max(usual + _ODD_RESIDUAL_MADS * max(spread, 0.1 * usual), _FEWEST_PX * series.pixel_ang)
    for odd in np.flatnonzero(residual > limit):
        found.append(f"Tilt {odd} ({alignment.tilt_deg[odd]:.1f}°) disagrees with the others by {residual[odd]:.1f} Å.")
    found += choice.warnings(series.pixel_ang)
    if lost.max() > _FIELD_LOST:
        found.append(f"Shifts move up to {100 * lost.max():.0f} % of the field out of the images.")
    return found
