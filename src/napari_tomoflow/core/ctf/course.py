"""The order in which a series is fitted: from the low tilts outward, and from what is coarse to what is fine."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ctf.curves import curve_of
from napari_tomoflow.core.ctf.fringes import GoldFringes
from napari_tomoflow.core.ctf.hand import HandVerdict, judge_hand, likelier_sign
from napari_tomoflow.core.ctf.joint import SURE_GAIN, JointFit, Settled
from napari_tomoflow.core.ctf.params import CtfParams
from napari_tomoflow.core.ctf.phase import PhaseFit, find_phase
from napari_tomoflow.core.ctf.plate import search_plate
from napari_tomoflow.core.ctf.search import Start, low_tilts, search, search_together
from napari_tomoflow.core.ctf.series_spectra import SeriesSpectra
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.report import Report, part, watched

Floats = NDArray[np.float64]

_LOW_TILT_DEG = 20.0
_OUTWARD_DEG = 30.0
_FEWEST_ANCHORS = 6
_ANCHOR_SD_ANG = 150.0
"""A tilt whose own rings give its defocus so well tells of the structure all tilts share."""

_REACHES_FARTHER = 0.1
"""By how much the mean correlation of fine rings must be better for a less likely start to be taken."""

_TEMPER = 4.0
"""By how much the variance of a defocus exceeds the one its rings alone would have (from simulations)."""

_SHARED_TEMPER = 2.0
"""Likewise for the astigmatism all tilts share."""

_EARLY_ROUNDS, _ROUNDS, _STEPS = 3, 4, 2


@dataclass(frozen=True, eq=False)
class Course:
    """A finished fit. Legend: N tilts in use, K rings.

    Attributes
    ----------
    settled : Settled
    heights : float64[N, K]
        Of the rings above the background.
    defocus_sd_ang : float64[N]
        What each tilt's defocus is known to, with the help of its neighbours.
    astigmatism_sd_ang : float
        What the mean astigmatism, half the difference of the two defocus values, is known to in any direction.
    hand : HandVerdict
    phase : PhaseFit or None
        None where the phase shift was fixed.
    together : bool
        No tilt shows rings of its own: all have the defocus that suits their sum.
    """

    settled: Settled
    heights: Floats
    defocus_sd_ang: Floats
    astigmatism_sd_ang: float
    hand: HandVerdict
    phase: PhaseFit | None
    together: bool


def fit_series(measured: SeriesSpectra, params: CtfParams, declared_hand: int, report: Report) -> Course:
    """Fit all tilts together.

    Parameters
    ----------
    measured : SeriesSpectra
    params : CtfParams
    declared_hand : {-1, 0, 1}
        What the series says; decides only when asked to.
    report : Report
    """
    begin = part(report, 0, 2)
    gold = GoldFringes.fit(measured, params) if params.phase == "fixed" else None
    if params.phase == "fit":
        start, rival = search_plate(measured, params, begin)
        fit, settled = _begin(measured, start, params)
    else:
        fit, settled = _best_begun(measured, params, gold, begin)
    sign = declared_hand if params.hand == "declared" else likelier_sign(fit, settled)
    settled = fit.settle(settled.model.replace(gradient=float(sign)))
    refine = partial(_refine, fit)
    last = part(report, 1, 2)
    settled, phase = refine(settled, part(last, 0, 3)), None
    if params.phase == "fit":
        settled, phase = find_phase(fit, settled, refine, rival, part(last, 1, 3))
    last(2, 3, "Deciding the hand")
    hand = judge_hand(fit, settled, measured, gold)
    known = 1.0 / np.sqrt(fit.defocus_sd_ang**-2.0 / _TEMPER + settled.expected_sd_ang**-2.0)
    astigmatism_sd_ang = float(np.sqrt(_SHARED_TEMPER * np.mean(fit.shared_sd(settled.model)[2:4] ** 2)))
    last(1, 1, "Fitted")
    return Course(settled, fit.heights, known, astigmatism_sd_ang, hand, phase, fit.together)


def _best_begun(
    measured: SeriesSpectra, params: CtfParams, gold: GoldFringes | None, report: Report
) -> tuple[JointFit, Settled]:
    """Settle the low tilts from every likely start, and go on with the likeliest unless another reaches farther.

    Where most of them show no rings of their own, settle all tilts together.
    """
    best, best_reach = None, -np.inf
    for start in watched(search(measured, params, part(report, 0, 2)), part(report, 1, 2), "Fitting the low tilts"):
        fit, settled = _begin(measured, start, params)
        reach = _reach(measured, fit, settled)
        if best is None or reach > best_reach + _REACHES_FARTHER:
            best, best_reach = (fit, settled), reach
    if best is None:
        raise DataError("No defocus could be tried; widen defocus_min_um to defocus_max_um.")
    if np.median(best[1].gain[low_tilts(measured)]) > SURE_GAIN:
        return best
    common = search_together(measured, params, gold)
    return best if common is None else _begin(measured, common, params, together=True)


def _begin(
    measured: SeriesSpectra, start: Start, params: CtfParams, together: bool = False
) -> tuple[JointFit, Settled]:
    """Settle the low tilts, whose tiles all have nearly one defocus, and predict the others."""
    fit = JointFit(measured, start, params, together)
    model = fit.start
    for _ in range(_EARLY_ROUNDS):
        fit.refresh(model, _low(measured) | together)
        settled = fit.settle(model, _OUTWARD_DEG)
        model = settled.model
    return fit, settled


def _refine(fit: JointFit, settled: Settled, report: Report) -> Settled:
    """Measure the rings and settle the tilts in turns."""
    for _ in watched(range(_ROUNDS), report, "Fitting all tilts together"):
        fit.refresh(settled.model, _anchors(fit))
        settled = fit.settle(settled.model)
        for _ in range(_STEPS):
            settled = fit.improve(settled)
    fit.refresh(settled.model, _anchors(fit))
    return fit.settle(settled.model)


def _reach(measured: SeriesSpectra, fit: JointFit, settled: Settled) -> float:
    """Return how far in resolution the rings of the low tilts agree with a fit.

    A false start may explain the strong coarse end better, by taking the specimen's form for rings.
    """
    low = np.flatnonzero(_low(measured))
    return float(np.mean([curve_of(measured, int(i), settled.model, fit.heights[i]).reach for i in low]))


def _low(measured: SeriesSpectra) -> NDArray[np.bool_]:
    """Choose the tilts whose tiles all have nearly one defocus."""
    steepness = np.abs(measured.tilt_deg)
    few = np.sort(steepness)[:_FEWEST_ANCHORS][-1]
    return np.asarray(steepness <= max(_LOW_TILT_DEG, float(few)))


def _anchors(fit: JointFit) -> NDArray[np.bool_]:
    sd_ang = fit.defocus_sd_ang
    if fit.together:
        return np.ones(len(sd_ang), bool)
    best = np.sort(sd_ang)[min(_FEWEST_ANCHORS, len(sd_ang)) - 1]
    return np.asarray(sd_ang <= max(_ANCHOR_SD_ANG, float(best)))
