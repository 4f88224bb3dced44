"""The phase shift of a phase plate, found together with the defocus it hides behind."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ctf.joint import JointFit, Settled

Floats = NDArray[np.float64]

_COARSE_DEG, _FINE_DEG = 6.0, 1.5
_WIDEST_CHANGE_DEG = 24.0
_SAME_RING_DEG = 30.0
"""Phases farther apart than this are two answers, not one."""

_TEMPER = 5.0
"""By how much log-likelihoods overrate themselves: neighbouring tilts and rings are not independent."""


@dataclass(frozen=True)
class PhaseFit:
    """How well the phase shift is known.

    Attributes
    ----------
    error_deg : float
        Standard error.
    rival_deg : float
        Another phase that explains the series next best.
    rival_behind : float
        By how much less, as log-likelihood.
    """

    error_deg: float
    rival_deg: float
    rival_behind: float


def find_phase(fit: JointFit, settled: Settled, within_deg: float = 90.0) -> tuple[Settled, PhaseFit]:
    """Try every phase shift, then its change over the series; each time all defocus values settle anew."""

    def at(mean_rad: float, change_rad: float) -> Settled:
        return fit.settle(settled.model.replace(phase_rad=np.array([mean_rad, change_rad])), within_deg)

    change = float(settled.model.phase_rad[1])
    coarse = np.deg2rad(np.arange(0.0, 180.0, _COARSE_DEG))
    heights = np.array([at(phase, change).total for phase in coarse])
    mean = float(coarse[np.argmax(heights)])
    fine = np.deg2rad(_FINE_DEG) * np.arange(-4, 5)
    mean += _top(fine, np.array([at(mean + move, change).total for move in fine]))
    changes = np.deg2rad(np.arange(-_WIDEST_CHANGE_DEG, _WIDEST_CHANGE_DEG + 1, 6.0))
    # A change is believed only where it explains more than the one parameter it costs.
    drifts = np.array([at(mean, move).total for move in changes]) - 0.5 * _TEMPER * (changes / np.deg2rad(12.0)) ** 2
    change = _top(changes, drifts)
    tops = np.array([at(mean + move, change).total for move in fine])
    mean += _top(fine, tops)
    best = at(mean % np.pi, change)
    apart = np.abs((coarse - mean + np.pi / 2) % np.pi - np.pi / 2)
    rivals = np.where(apart > np.deg2rad(_SAME_RING_DEG), heights, -np.inf)
    bend = -np.polyfit(fine, tops, 2)[0] * 2
    error = np.sqrt(_TEMPER / bend) if bend > 0 else np.pi / 2
    rival = int(np.argmax(rivals))
    return best, PhaseFit(
        error_deg=float(np.rad2deg(min(error, np.pi / 2))),
        rival_deg=float(np.rad2deg(coarse[rival])),
        rival_behind=float(heights.max() - rivals[rival]),
    )


def _top(x: Floats, y: Floats) -> float:
    """Return the place of the highest value, between samples by a parabola."""
    top = int(np.argmax(y))
    if not 0 < top < len(y) - 1:
        return float(x[top])
    bend = y[top - 1] - 2 * y[top] + y[top + 1]
    shift = 0.5 * (y[top - 1] - y[top + 1]) / bend if bend < 0 else 0.0
    return float(x[top] + shift * (x[1] - x[0]))
