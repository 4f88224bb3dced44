"""Peaks of a score map, each far enough from the better ones."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from napari_tomoflow.core.ops.peaks import vertex
from napari_tomoflow.core.ops.spacing import spaced

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
    kept = spaced(places.astype(np.float64), distance_vox, order)
    return np.asarray(places[kept][:at_most], np.int64)


def parabola_top(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Place the top of a peak in a 3 × 3 × 3 neighbourhood from the parabola along each axis: float64[3], |.| ≤ 0.5."""
    return np.array([vertex(line) for line in (values[:, 1, 1], values[1, :, 1], values[1, 1, :])])
