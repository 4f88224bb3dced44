"""From a finished fit to the noun: every tilt of the series, and what is to be said of it.

Legend: N tilts of the series, K rings.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ctf.course import Course
from napari_tomoflow.core.ctf.curves import BEYOND_FORM_INV_ANG, Curve, curve_of
from napari_tomoflow.core.ctf.joint import SURE_GAIN
from napari_tomoflow.core.ctf.params import CtfParams
from napari_tomoflow.core.ctf.search import low_tilts
from napari_tomoflow.core.ctf.series_spectra import SeriesSpectra
from napari_tomoflow.core.model import Alignment, CtfSeries, TiltSeries

Floats = NDArray[np.float64]

_NEIGHBOURS = 3
_PHASE_KNOWN_DEG = 5.0
_RIVAL_FAR_BEHIND = 3.0
_FEWEST_RINGS = 4.0
_PLACES = 4
_LEAST_REACH = 0.18
"""Of 0.11 where gold alone is seen (`sim_fiducial_A`), and 0.26 to 0.98 where the defocus was right."""


def ctf_series(
    series: TiltSeries, alignment: Alignment | None, measured: SeriesSpectra, course: Course, params: CtfParams
) -> CtfSeries:
    """Lay the fit out for all tilts, those without a fit by interpolation over the tilt."""
    model, tilts = course.settled.model, measured.tilts
    curves = [curve_of(measured, i, model, course.heights[i]) for i in range(len(tilts))]
    along, across = measured.geometry.over_time(_significant(course) * model.astigmatism_ang)
    every = {
        name: _for_all(series, tilts, values)
        for name, values in (("mean", model.defocus_ang), ("along", along), ("across", across))
    }
    half = np.hypot(every["along"], every["across"])
    phase_deg = _for_all(series, tilts, np.rad2deg(measured.geometry.over_time(model.phase_rad)))
    hand, warnings = _hand(series, alignment, course, params)
    ctf = CtfSeries(
        optics=measured.optics,
        defocus_u_ang=every["mean"] + half,
        defocus_v_ang=every["mean"] - half,
        azimuth_deg=np.rad2deg(0.5 * np.arctan2(every["across"], every["along"])) % 180.0,
        phase_deg=phase_deg if params.phase == "fixed" else phase_deg % 180.0,
        fit_ang=_at(series.n_tilts, tilts, [one.fit_ang for one in curves]),
        score=_at(series.n_tilts, tilts, [one.score for one in curves]),
        hand=hand,
    )
    flagged, more = _doubtful(ctf, measured, course, params)
    if form_taken_for_rings(measured, course):
        more.append(
            f"Beyond {1 / BEYOND_FORM_INV_ANG:.0f} Å the low tilts hardly agree with the fit: the form of gold or "
            "molecules may have been taken for rings; do not trust the defocus."
        )
    told = _quality(ctf, measured, course, curves, flagged, warnings + more)
    return ctf.replace(quality=told).magnified(series.optics.magnification)


def _significant(course: Course) -> float:
    """Return which part of the astigmatism is left when what noise makes of none at all is taken off."""
    squared = float(np.sum(course.settled.model.astigmatism_ang[0] ** 2))
    return max(0.0, 1.0 - 2.0 * course.astigmatism_sd_ang**2 / squared) if squared else 0.0


def _hand(series: TiltSeries, alignment: Alignment | None, course: Course, params: CtfParams) -> tuple[int, list[str]]:
    """Choose the hand to hand on, and say where it does not follow from what was declared."""
    found, declared = course.hand.hand, series.defocus_hand
    warnings = []
    if found and declared and found != declared:
        used = "the declared one is kept" if params.hand == "declared" else "that of the images is used"
        warnings.append(
            f"The images show defocus hand {found:+d}, the series declares {declared:+d}; {used}. The tilt axis may be "
            "half a turn off, or the images mirrored."
        )
    if found and _is_blind(alignment):
        warnings.append(
            f"Defocus hand {found:+d} belongs to this alignment, whose axis was found blind: half a turn of the axis "
            "turns its sign and mirrors the tomogram."
        )
    hand = declared if params.hand == "declared" or not found else found
    if alignment is None:
        warnings.append("The tilt axis is not known, so the defocus gradient was left out; run align first.")
    if not found and params.hand == "data":
        said = f"the declared one, {declared:+d}, is used" if declared else "the depth term stays off"
        warnings.append(f"The defocus hand is undecided by the images; {said}.")
    return hand, warnings


def _is_blind(alignment: Alignment | None) -> bool:
    return alignment is not None and str(alignment.quality.get("hand", "")).startswith("not determined")


def _doubtful(
    ctf: CtfSeries, measured: SeriesSpectra, course: Course, params: CtfParams
) -> tuple[dict[str, str], list[str]]:
    """Name the tilts, and the series, whose fit a person should look at."""
    flagged = {str(tilt): "nothing to see in the image; interpolated" for tilt in measured.empty}
    defocus_ang = ctf.defocus_ang[measured.tilts]
    by_tilt = np.argsort(measured.tilt_deg, kind="stable")
    for place, i in enumerate(by_tilt):
        near = [j for j in by_tilt[max(0, place - _NEIGHBOURS) : place + _NEIGHBOURS + 1] if j != i]
        apart_um = 1e-4 * float(defocus_ang[i] - np.median(defocus_ang[near])) if near else 0.0
        tilt = str(measured.tilts[i])
        if course.together:
            continue
        if course.settled.gain[i] < SURE_GAIN:
            flagged[tilt] = "no rings of its own; defocus from its neighbours"
        elif abs(apart_um) > params.max_change_um:
            flagged[tilt] = f"defocus {apart_um:+.2f} µm from its neighbours'"
    warnings = []
    if course.together:
        warnings.append(
            f"No tilt shows rings of its own: all have the {1e-4 * float(np.median(defocus_ang)):.2f} µm that suit "
            "the sum of all; how far each is from that is not known."
        )
    elif not (course.settled.gain > SURE_GAIN).any():
        warnings.append("No tilt shows rings: this CTF is not to be trusted.")
    elif flagged:
        warnings.append(f"Tilts {', '.join(flagged)} have no defocus of their own that could be trusted.")
    return flagged, warnings + _phase_warnings(course)


def form_taken_for_rings(measured: SeriesSpectra, course: Course) -> bool:
    """Tell whether low tilts agree with the fit only where gold, membranes and molecules have their own rings."""
    if course.together:  # by the sum of all tilts, of which each shows next to nothing
        return False
    low, model = low_tilts(measured), course.settled.model
    reach = [curve_of(measured, int(tilt), model, course.heights[tilt]).reach for tilt in low]
    return float(np.mean(reach)) < _LEAST_REACH


def _phase_warnings(course: Course) -> list[str]:
    """Say when a phase shift that was fitted cannot be told from a change of defocus."""
    phase = course.phase
    if phase is None:
        return []
    warnings = []
    if phase.error_deg > _PHASE_KNOWN_DEG:
        warnings.append(f"The phase shift is known to {phase.error_deg:.0f}° only; do not trust it.")
    if phase.rival.behind < _RIVAL_FAR_BEHIND:
        warnings.append(
            f"A phase shift of {phase.rival.phase_deg:.0f}° explains the series nearly as well; do not trust it."
        )
    return warnings


def _quality(
    ctf: CtfSeries,
    measured: SeriesSpectra,
    course: Course,
    curves: list[Curve],
    flagged: dict[str, str],
    warnings: list[str],
) -> dict[str, Any]:
    """Sum up for people, for databases and for plots."""
    hand, phase, n = course.hand, course.phase, ctf.n_tilts
    used = measured.tilts
    slope_deg = np.rad2deg(np.arctan(course.settled.model.slope_xy))
    return {
        "defocus_um": _spread(1e-4 * ctf.defocus_ang[used]),
        "astigmatism_ang": round(float(np.mean((ctf.defocus_u_ang - ctf.defocus_v_ang)[used])), 1),
        "astigmatism_error_ang": round(2.0 * course.astigmatism_sd_ang, 1),
        "resolution_ang": _spread(ctf.fit_ang[used]),
        "score": _spread(ctf.score[used]),
        "defocus_hand": ctf.hand,
        "hand_from_images": hand.hand,
        "hand_by": ("rings and gold" if hand.by_gold else "rings") if hand.hand else None,
        "hand_confidence": round(hand.confidence, 4),
        "hand_gain_over_none": round(hand.over_none, 1),
        "hand_gain_over_other": round(hand.over_other, 1),
        "defocus_gradient": _plain(hand.gradient),
        "defocus_gradient_error": _plain(hand.gradient_error),
        "slope_deg_xy": [round(float(angle), 2) for angle in slope_deg],
        "phase_error_deg": None if phase is None else _plain(phase.error_deg),
        "gold_taken_out": measured.beads is not None,
        "tilts_used": len(used),
        "tilts_interpolated": [tilt for tilt in range(n) if tilt not in used],
        "tilts_doubtful": flagged,
        "warnings": warnings,
        "tilt_deg": [_plain(angle) for angle in measured.tilt_deg],
        "defocus_error_ang": _plain_list(_at(n, used, course.defocus_sd_ang)),
        "resolution_half_ang": _plain_list(_at(n, used, [one.half_ang for one in curves])),
        "spectra": {
            "tilts": [int(tilt) for tilt in used],
            "k_inv_ang": [round(float(k), 6) for k in measured.plan.k_inv_ang],
            "measured": [_plain_list(one.measured) for one in curves],
            "fitted": [_plain_list(one.fitted) for one in curves],
        },
    }


def _for_all(series: TiltSeries, tilts: NDArray[np.int64], values: Floats) -> Floats:
    """Spread values of the fitted tilts over all tilts, the others interpolated over the tilt."""
    by_tilt = tilts[np.argsort(series.tilt_deg[tilts], kind="stable")]
    result = np.interp(series.tilt_deg, series.tilt_deg[by_tilt], values[np.searchsorted(tilts, by_tilt)])
    result[tilts] = values
    return np.asarray(result, np.float64)


def _at(count: int, tilts: NDArray[np.int64], values: Any) -> Floats:
    result = np.full(count, np.nan)
    result[tilts] = values
    return result


def _plain(value: float) -> float | None:
    """Round for JSON, which has no NaN."""
    return round(float(value), _PLACES) if np.isfinite(value) else None


def _plain_list(values: Floats) -> list[float | None]:
    return [_plain(value) for value in values]


def _spread(values: Floats) -> dict[str, float | None]:
    known = values[np.isfinite(values)]
    if not len(known):
        return {"median": None, "min": None, "max": None}
    return {"median": _plain(np.median(known)), "min": _plain(known.min()), "max": _plain(known.max())}
