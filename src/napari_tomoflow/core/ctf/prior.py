"""What the other tilts let one expect of a tilt's defocus: a smooth course in time and in tilt, and jitter."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LEVEL_ANG = 10_000.0
_COURSE_ANG = (100.0, 300.0, 1000.0, 3000.0)
_JITTER_ANG = (50.0, 150.0, 300.0, 600.0, 1500.0)
_TIME_SCALE = 0.4
_TILT_SCALE_DEG = 30.0


def expected_defocus(
    measured_ang: Floats, variance_ang2: Floats, sure: NDArray[np.bool_], time: Floats, tilt_deg: Floats
) -> tuple[Floats, Floats]:
    """Predict each tilt's defocus from the other tilts by Gaussian-process regression.

    Parameters
    ----------
    measured_ang, variance_ang2 : float64[N]
        Defocus by the tilt's own images, and how well they know it.
    sure : bool[N]
        Tilts whose defocus counts for others.
    time : float64[N]
        −1 … 1.
    tilt_deg : float64[N]

    Returns
    -------
    mean_ang, variance_ang2 : float64[N]
        Of the defocus itself, its jitter included, the tilt's own images not.

    Notes
    -----
    The kernel is a level, half a smooth function of time and half one of tilt, and independent jitter;
    the size of course and jitter are those most likely, from a few.
    """
    course = 0.5 * _close(time, _TIME_SCALE) + 0.5 * _close(tilt_deg, _TILT_SCALE_DEG)
    level = float(np.median(measured_ang[sure])) if sure.any() else float(np.median(measured_ang))
    rest = measured_ang - level
    chosen = np.flatnonzero(sure)
    among = np.ix_(chosen, chosen)

    def covariance(size: tuple[float, float]) -> Floats:
        return _LEVEL_ANG**2 + size[0] ** 2 * course + size[1] ** 2 * np.eye(len(rest))

    def evidence(size: tuple[float, float]) -> float:
        matrix = covariance(size)[among] + np.diag(variance_ang2[chosen])
        return float(-np.linalg.slogdet(matrix)[1] - rest[chosen] @ np.linalg.solve(matrix, rest[chosen]))

    sizes = list(product(_COURSE_ANG, _JITTER_ANG))
    best = max(sizes, key=evidence) if len(chosen) > 2 else (1000.0, 1500.0)
    prior = covariance(best)
    mean, variance = np.full(len(rest), level), np.diag(prior).copy()
    for tilt in range(len(rest)):
        others = chosen[chosen != tilt]
        if len(others):
            matrix = prior[np.ix_(others, others)] + np.diag(variance_ang2[others])
            weights = np.linalg.solve(matrix, prior[others, tilt])
            mean[tilt] += weights @ rest[others]
            variance[tilt] -= weights @ prior[others, tilt]
    return mean, np.maximum(variance, 1.0)


def _close(values: Floats, scale: float) -> Floats:
    apart: Floats = (values[:, None] - values) / scale
    return np.asarray(np.exp(-0.5 * apart**2))
