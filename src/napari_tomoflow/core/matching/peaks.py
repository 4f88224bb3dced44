"""Peaks of a score map, each far enough from the better ones."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.spatial import cKDTree

Image = NDArray[np.float32]

_MAXIMA_PER_PEAK = 30
"""So many times more maxima than peaks are looked at; most of them lie on the flanks of better ones."""


def highest_peaks(
    score_zyx: Image, allowed_zyx: NDArray[np.bool_], distance_vox: float, at_most: int
) -> NDArray[np.int64]:
    """Find local maxima, the highest first, none within `distance_vox` of a higher one: int64[P, 3].

    Parameters
    ----------
    score_zyx : float32[nz, ny, nx]
    allowed_zyx : bool[nz, ny, nx]
        Where peaks may lie. A higher neighbour outside hides a maximum inside, which is only its flank.
    distance_vox : float
    at_most : int
    """
    is_maximum = (score_zyx == maximum_filter(score_zyx, size=3, mode="nearest")) & allowed_zyx
    places = np.argwhere(is_maximum & (score_zyx > 0))
    scores = score_zyx[tuple(places.T)]
    order = np.argsort(-scores, kind="stable")[: _MAXIMA_PER_PEAK * at_most]
    kept = apart(places[order].astype(np.float64), distance_vox)
    return np.asarray(places[order][kept][:at_most], np.int64)


def apart(places: NDArray[np.float64], distance: float) -> NDArray[np.int64]:
    """Return the numbers of those places that no kept earlier one is nearer to than `distance`; best first goes in."""
    if not len(places):
        return np.empty(0, np.int64)
    free = np.ones(len(places), np.bool_)
    kept = []
    for number, near in enumerate(cKDTree(places).query_ball_point(places, distance * (1.0 - 1e-9))):
        if free[number]:
            kept.append(number)
            free[near] = False
    return np.array(kept, np.int64)


def parabola_top(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Place the top of a peak in a 3 × 3 × 3 neighbourhood from the parabola along each axis: float64[3], |.| ≤ 0.5."""
    top = np.zeros(3)
    for axis in range(3):
        before, middle, after = (float(values[tuple(np.where(np.arange(3) == axis, i, 1))]) for i in range(3))
        bend = before - 2 * middle + after
        if bend < 0:
            top[axis] = np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
    return top
