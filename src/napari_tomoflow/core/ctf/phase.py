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
_MOST = 9
"""Trial phases."""

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
    begun, step = float(settled.model.phase_rad[0]), np.deg2rad(_STEP_DEG)
    trials: dict[int, tuple[float, Settled]] = {}

    def explained(place: int, start: Settled) -> float:
        if place not in trials:
            done = refine(_at(fit, start, begun + place * step), part(report, min(len(trials), _MOST), _MOST + 2))
            trials[place] = (fit.evidence(done), done)
        return trials[place][0]

    best, top = 0, -np.inf
    while explained(best, settled) > top and len(trials) < _MOST:
        top = trials[best][0]
        best = max((best, best - 1, best + 1), key=lambda place: explained(place, trials[best][1]))
    around = [trials[place][0] for place in (best - 1, best, best + 1) if place in trials]
    moved, error_deg = _between(around)
    answer = _at(fit, trials[best][1], begun + (best + moved) * step)
    return refine(answer, part(report, _MOST + 1, _MOST + 2)), PhaseFit(error_deg, rival)


def _at(fit: JointFit, start: Settled, phase_rad: float) -> Settled:
    return fit.settle(start.model.replace(phase_rad=np.array([phase_rad, start.model.phase_rad[1]])))


def _between(values: list[float]) -> tuple[float, float]:
    """Return place of the top in steps from the middle, and the standard error in degrees; 90 where there is no top."""
    bend = values[0] - 2 * values[1] + values[2] if len(values) == 3 else 0.0
    if bend >= 0:
        return 0.0, 90.0
    return 0.5 * (values[0] - values[2]) / bend, float(min(_STEP_DEG * np.sqrt(-_TEMPER / bend), 90.0))
