"""The sign of the defocus gradient: which side of a tilted specimen is farther from focus."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ctf.joint import JointFit, Settled

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
    """

    hand: int
    confidence: float
    over_none: float
    over_other: float
    gradient: float
    gradient_error: float


def likelier_sign(fit: JointFit, settled: Settled) -> int:
    """Return the sign that explains the series better, or 0 where neither beats no gradient by enough."""
    totals = {sign: fit.settle(settled.model.replace(gradient=float(sign))).total for sign in (-1, 0, 1)}
    better = 1 if totals[1] > totals[-1] else -1
    return better if totals[better] - max(totals[0], totals[-better]) > _NEEDED else 0


def judge_hand(fit: JointFit, settled: Settled) -> HandVerdict:
    """Compare both signs, each with the slope and astigmatism that suit it best, and no gradient."""
    totals = {}
    for sign in (-1, 0, 1):
        one = settled if sign == settled.model.gradient else fit.settle(settled.model.replace(gradient=float(sign)))
        for _ in range(_FEWEST_STEPS):
            one = fit.improve(one)
        totals[sign] = one.total
    better = 1 if totals[1] >= totals[-1] else -1
    over_none, over_other = totals[better] - totals[0], totals[better] - totals[-better]
    ahead = min(over_none, over_other)
    gradient, error = _free_gradient(fit, settled)
    decided = ahead > _NEEDED
    return HandVerdict(
        hand=better if decided else 0,
        confidence=float(1.0 / (1.0 + np.exp(-np.clip(ahead, 0.0, 200.0) / _TEMPER))),
        over_none=float(over_none),
        over_other=float(over_other),
        gradient=gradient,
        gradient_error=error,
    )


def _free_gradient(fit: JointFit, settled: Settled) -> tuple[float, float]:
    """Let the gradient have any size: the best one and its standard error, NaN where nothing depends on it."""
    totals = np.array([fit.settle(settled.model.replace(gradient=float(size))).total for size in _TRIED])
    top = int(np.clip(np.argmax(totals), 1, len(totals) - 2))
    bend, slope, _ = np.polyfit(_TRIED[top - 1 : top + 2] - _TRIED[top], totals[top - 1 : top + 2], 2)
    if bend > -1e-3:
        return float("nan"), float("nan")
    best = _TRIED[top] - slope / (2 * bend)
    return float(np.clip(best, _TRIED[0], _TRIED[-1])), float(np.sqrt(-_TEMPER / (2 * bend)))
