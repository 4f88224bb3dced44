"""The sign of the defocus gradient: which side of a tilted specimen is farther from focus."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ctf.fringes import GoldFringes
from napari_tomoflow.core.ctf.joint import JointFit, Settled
from napari_tomoflow.core.ctf.series_spectra import SeriesSpectra

Floats = NDArray[np.float64]

_TRIED = np.arange(-1.5, 1.51, 0.25)
_NEEDED = 10.0
"""Log-likelihood by which a sign must beat both the other sign and no gradient at all."""

_TEMPER = 5.0
"""By how much log-likelihoods overrate themselves: neighbouring tilts and rings are not independent."""

_FEWEST_STEPS = 2


@dataclass(frozen=True)
class HandVerdict:
    """What the images say of the hand.

    Attributes
    ----------
    hand : {-1, 0, +1}
        0 is undecided.
    confidence : float
        Probability of the better sign against its best rival; 0.5 is a guess.
    over_none, over_other : float
        Log-likelihood of the better sign over that of no gradient, and of the other sign.
    gradient, gradient_error : float
        By what the geometry's depth is to be multiplied to fit best; near ±1 if pixel size and angles are right.
    by_gold : bool
        The fringes of gold were asked as well, as the rings alone leave it open.
    """

    hand: int
    confidence: float
    over_none: float
    over_other: float
    gradient: float
    gradient_error: float
    by_gold: bool


def likelier_sign(fit: JointFit, settled: Settled) -> int:
    """Return the sign that explains the series better, or 0 where neither beats no gradient by enough."""
    totals = {sign: fit.settle(settled.model.replace(gradient=float(sign))).total for sign in (-1, 0, 1)}
    better = 1 if totals[1] > totals[-1] else -1
    return better if totals[better] - max(totals[0], totals[-better]) > _NEEDED else 0


def judge_hand(fit: JointFit, settled: Settled, measured: SeriesSpectra, gold: GoldFringes | None) -> HandVerdict:
    """Compare both signs, each with the slope and astigmatism that suit it best, and no gradient.

    Where rings leave it open the fringes of gold, which the spectra are without, are asked as well.
    """
    totals = {}
    for sign in (-1, 0, 1):
        one = settled if sign == settled.model.gradient else fit.settle(settled.model.replace(gradient=float(sign)))
        for _ in range(_FEWEST_STEPS):
            one = fit.improve(one)
        totals[sign] = one.total
    models = {float(size): settled.model.replace(gradient=float(size)) for size in _TRIED}
    free = np.array([fit.settle(model).total for model in models.values()])
    verdict = _verdict(totals, free, by_gold=False)
    if verdict.hand or gold is None:
        return verdict
    by_gold = {size: gold.total(measured, model) for size, model in models.items()}
    totals = {sign: total + by_gold[sign] for sign, total in totals.items()}
    return _verdict(totals, free + list(by_gold.values()), by_gold=True)


def _verdict(totals: dict[int, float], free: Floats, *, by_gold: bool) -> HandVerdict:
    """Judge by the log-likelihoods of both signs and none, and of a row of gradients."""
    better = 1 if totals[1] >= totals[-1] else -1
    over_none, over_other = totals[better] - totals[0], totals[better] - totals[-better]
    ahead = min(over_none, over_other)
    gradient, error = _free_gradient(free)
    return HandVerdict(
        hand=better if ahead > _NEEDED else 0,
        confidence=float(1.0 / (1.0 + np.exp(-np.clip(ahead, 0.0, 200.0) / _TEMPER))),
        over_none=float(over_none),
        over_other=float(over_other),
        gradient=gradient,
        gradient_error=error,
        by_gold=by_gold,
    )


def _free_gradient(totals: Floats) -> tuple[float, float]:
    """Return the best of a row of gradients and its standard error, NaN where nothing depends on it."""
    top = int(np.clip(np.argmax(totals), 1, len(totals) - 2))
    bend, slope, _ = np.polyfit(_TRIED[top - 1 : top + 2] - _TRIED[top], totals[top - 1 : top + 2], 2)
    if bend > -1e-3:
        return float("nan"), float("nan")
    best = _TRIED[top] - slope / (2 * bend)
    return float(np.clip(best, _TRIED[0], _TRIED[-1])), float(np.sqrt(-_TEMPER / (2 * bend)))
