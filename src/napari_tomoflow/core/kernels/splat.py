"""Add Gaussian spots to planes and volumes.

Each spot is a normalised Gaussian sampled at the pixels within `_REACH` standard deviations; what falls
outside is lost. Threads own bands of rows and take all points in their order, so any number of threads
gives the same sums. A point with NaN coordinates leaves no spot.
"""

import math

import numpy as np
from numba import prange

from napari_tomoflow.core.kernels._jit import inner, kernel

_REACH = 4.5
"""Where a spot is cut off, in standard deviations: it has fallen to 4e-5 of its peak."""

_BANDS = 16
"""Enough for any desktop's cores; each costs one more look at every point. That look is written out in
both kernels: behind a shared function they ran at less than half the speed."""


@inner
def _first_and_last(centre, sigma, low, high):
    """Return the pixels from `low` to before `high` that a spot reaches; last < first when there are none."""
    reach = np.float32(_REACH) * sigma
    if not low - reach <= centre <= high - 1 + reach:
        return 0, -1
    return max(low, math.ceil(centre - reach)), min(high - 1, math.floor(centre + reach))


@inner
def _fill_taps(taps, axis, centre, sigma, first, last):
    """Set ``taps[axis, i]`` to the normalised Gaussian at pixel ``first + i``."""
    sharpness = np.float32(0.5) / (sigma * sigma)
    height = np.float32(1.0 / math.sqrt(2.0 * math.pi)) / sigma
    for i in range(last - first + 1):
        distance = np.float32(first + i) - centre
        taps[axis, i] = height * math.exp(-sharpness * distance * distance)


@inner
def _add_product(planes, plane, taps, first, last, weight):
    """Add ``weight · taps_y · taps_x`` to the pixels from `first` to `last`, both (y, x), of one plane."""
    for row in range(first[0], last[0] + 1):
        value = weight * taps[0, row - first[0]]
        for column in range(first[1], last[1] + 1):
            # Indexed whole: a view of the plane would cost a reference count at every spot.
            planes[plane, row, column] += value * taps[1, column - first[1]]


@kernel
def splat_planes(planes, points, weights, sigmas):
    """Add spots to a stack of planes, each shared linearly between the two planes next to it.

    Parameters
    ----------
    planes : float32[P, ny, nx]
        Added to.
    points : float32[n, 3]
        (plane, y, x) in px.
    weights, sigmas : float32[n]
        Sum over a spot, and its standard deviation in px.

    Notes
    -----
    Not checked: equal lengths; sigmas > 0.
    """
    n_planes, ny, nx = planes.shape
    for band in prange(_BANDS):
        taps = np.empty((2, max(ny, nx)), np.float32)
        for i in range(len(weights)):
            top, bottom = _first_and_last(points[i, 1], sigmas[i], ny * band // _BANDS, ny * (band + 1) // _BANDS)
            if bottom < top:
                continue
            left, right = _first_and_last(points[i, 2], sigmas[i], 0, nx)
            if right < left or not -1.0 < points[i, 0] < n_planes:
                continue
            _fill_taps(taps, 0, points[i, 1], sigmas[i], top, bottom)
            _fill_taps(taps, 1, points[i, 2], sigmas[i], left, right)
            below = math.floor(points[i, 0])
            above = points[i, 0] - np.float32(below)
            if below >= 0:
                _add_product(planes, below, taps, (top, left), (bottom, right), weights[i] * (np.float32(1) - above))
            if below + 1 < n_planes:
                _add_product(planes, below + 1, taps, (top, left), (bottom, right), weights[i] * above)


@kernel
def splat_volume(volume_zyx, points, weights, sigmas):
    """Add round spots to a volume.

    Parameters
    ----------
    volume_zyx : float32[nz, ny, nx]
        Added to.
    points : float32[n, 3]
        (z, y, x) in px.
    weights, sigmas : float32[n]
        Sum over a spot, and its standard deviation in px.

    Notes
    -----
    Not checked: equal lengths; sigmas > 0.
    """
    nz, ny, nx = volume_zyx.shape
    for band in prange(_BANDS):
        taps = np.empty((3, max(nz, ny, nx)), np.float32)
        for i in range(len(weights)):
            top, bottom = _first_and_last(points[i, 1], sigmas[i], ny * band // _BANDS, ny * (band + 1) // _BANDS)
            if bottom < top:
                continue
            low, high = _first_and_last(points[i, 0], sigmas[i], 0, nz)
            left, right = _first_and_last(points[i, 2], sigmas[i], 0, nx)
            if high < low or right < left:
                continue
            _fill_taps(taps, 0, points[i, 1], sigmas[i], top, bottom)
            _fill_taps(taps, 1, points[i, 2], sigmas[i], left, right)
            _fill_taps(taps, 2, points[i, 0], sigmas[i], low, high)
            for z in range(low, high + 1):
                _add_product(volume_zyx, z, taps, (top, left), (bottom, right), weights[i] * taps[2, z - low])
