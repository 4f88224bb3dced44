"""The phase shift of a phase plate, found together with the defocus it hides behind.

Under one set of ring heights every answer looks best that the heights were measured with. So for each trial
phase defocus, heights and what tilts share are found anew, and what all of that explains is compared.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ctf.joint import JointFit, Settled
from napari_tomoflow.core.ctf.plate import Rival
from napari_tomoflow.core.report import Report, part

Floats = NDArray[np.float64]

_STEP_DEG = 4.0
_MOST, _MOST_ATTEMPTS = 9, 16
"""Trial phases, and how often one of them is settled."""

_TEMPER = 25.0
"""By how much log-likelihoods overrate themselves here: all tilts share the structure, and its speckle."""

Refine = Callable[[Settled, Report], Settled]


@dataclass(frozen=True)
class PhaseFit:
    """How well the phase shift is known.

    Attributes
    ----------
    error_deg : float
        Standard error.
    rival : Rival
    """

    error_deg: float
    rival: Rival


def find_phase(
    fit: JointFit, settled: Settled, refine: Refine, rival: Rival, report: Report
) -> tuple[Settled, PhaseFit]:
    """Walk to the phase that explains the series best, and between the trials around it.

    Parameters
    ----------
    fit, settled
        A series settled at the phase to begin with.
    refine
        Finds everything but the phase anew, starting from the values given.
    rival
        To be handed on.
    report
    """
    trials = _Trials(fit, refine, report, float(settled.model.phase_rad[0]))
    trials.attempt(0, settled)
    best, missing = 0, [-1, 1]
    while missing and len(trials.settled) < _MOST:
        for place in missing:
            trials.attempt(place, trials.settled[best])
        best = trials.likeliest()
        missing = [place for place in (best - 1, best + 1) if place not in trials.settled]
    # A search finds the nearest top, and each began on one side only: from the other it may find a higher one.
    for place, start in ((best, best - 1), (best, best + 1), (best - 1, best), (best + 1, best)):
        if start in trials.settled:
            trials.attempt(place, trials.settled[start])
    best = trials.likeliest()
    around = [trials.explained[place] for place in (best - 1, best, best + 1) if place in trials.explained]
    moved, error_deg = _between(around)
    return trials.refined(best + moved, trials.settled[best]), PhaseFit(error_deg, rival)


class _Trials:
    """What was found at each trial phase, so many steps from where the walk began."""

    def __init__(self, fit: JointFit, refine: Refine, report: Report, begun_rad: float) -> None:
        self.settled: dict[int, Settled] = {}
        self.explained: dict[int, float] = {}
        self._fit, self._refine, self._report, self._begun_rad = fit, refine, report, begun_rad
        self._done = 0

    def attempt(self, place: int, start: Settled) -> None:
        """Find everything else at a phase, beginning with the values given; the best of several attempts is kept."""
        settled = self.refined(place, start)
        explained = self._fit.evidence(settled)
        if explained > self.explained.get(place, -np.inf):
            self.explained[place], self.settled[place] = explained, settled

    def refined(self, place: float, start: Settled) -> Settled:
        """Find everything else at a phase."""
        phase_rad = self._begun_rad + place * float(np.deg2rad(_STEP_DEG))
        moved = start.model.replace(phase_rad=np.array([phase_rad, start.model.phase_rad[1]]))
        share = part(self._report, self._done, _MOST_ATTEMPTS)
        self._done = min(self._done + 1, _MOST_ATTEMPTS - 1)
        return self._refine(self._fit.settle(moved), share)

    def likeliest(self) -> int:
        """Return the place that explains most."""
        return max(self.explained, key=lambda place: self.explained[place])


def _between(values: list[float]) -> tuple[float, float]:
    """Return place of the top in steps from the middle, and the standard error in degrees; 90 where there is no top."""
    bend = values[0] - 2 * values[1] + values[2] if len(values) == 3 else 0.0
    if bend >= 0:
        return 0.0, 90.0
    return 0.5 * (values[0] - values[2]) / bend, float(min(_STEP_DEG * np.sqrt(-_TEMPER / bend), 90.0))
