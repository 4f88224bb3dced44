"""Add Gaussian spots to planes and volumes.

Each spot is a normalised Gaussian sampled at the pixels within `_REACH` standard deviations. Threads
own whole planes and take the points of a plane in their order, so any number of threads gives the
same sums. NaN coordinates put a spot nowhere.
"""

import math

import numpy as np
from numba import prange

from napari_tomoflow.core.kernels._jit import inner, kernel

_REACH = 4.5
"""Where a spot is cut off, in standard deviations: it has fallen to 4e-5 of its peak."""


@inner
def _add_spot(plane_yx, taps, y, x, amplitude, sigma):
    """Add ``amplitude · exp(−r² / 2 sigma²)`` around (y, x), px; what lies outside the plane is lost."""
    ny, nx = plane_yx.shape
    reach = _REACH * sigma
    if not (-reach <= y <= ny - 1 + reach and -reach <= x <= nx - 1 + reach):
        return
    top, bottom = max(0, math.ceil(y - reach)), min(ny - 1, math.floor(y + reach))
    left, right = max(0, math.ceil(x - reach)), min(nx - 1, math.floor(x + reach))
    sharpness = 0.5 / (sigma * sigma)
    for column in range(left, right + 1):
        taps[column - left] = math.exp(-sharpness * (column - x) ** 2)
    for row in range(top, bottom + 1):
        value = np.float32(amplitude * math.exp(-sharpness * (row - y) ** 2))
        for column in range(left, right + 1):
            plane_yx[row, column] += value * taps[column - left]


@kernel
def splat_planes(planes, points, weights, sigmas, starts):
    """Add spots to a stack of planes, each shared linearly between the two planes next to it.

    Parameters
    ----------
    planes : float32[P, ny, nx]
        Added to.
    points : float32[n, 3]
        (plane, y, x) in px, sorted by the whole part of the first.
    weights, sigmas : float32[n]
        Sum over a spot, and its standard deviation in px.
    starts : int64[P + 2]
        Points ``starts[j]`` to ``starts[j + 1]`` lie between planes ``j − 1`` and ``j``.

    Notes
    -----
    Not checked: the order of the points and that `starts` fits it; sigmas > 0. Threads own planes.
    """
    for p in prange(planes.shape[0]):
        taps = np.empty(planes.shape[2], np.float32)
        for i in range(starts[p], starts[p + 2]):
            share = 1.0 - abs(points[i, 0] - p)
            amplitude = share * weights[i] / (2.0 * math.pi * sigmas[i] ** 2)
            _add_spot(planes[p], taps, points[i, 1], points[i, 2], amplitude, sigmas[i])


@kernel
def splat_volume(volume_zyx, points, weights, sigmas, starts, reach_px):
    """Add round spots to a volume.

    Parameters
    ----------
    volume_zyx : float32[nz, ny, nx]
        Added to.
    points : float32[n, 3]
        (z, y, x) in px, sorted by the whole part of z.
    weights, sigmas : float32[n]
        Sum over a spot, and its standard deviation in px.
    starts : int64[nz + 2 · reach_px + 2]
        Points ``starts[j]`` to ``starts[j + 1]`` have ``floor(z) = j − reach_px − 1``.
    reach_px : int
        At least ``_REACH`` times the largest sigma.

    Notes
    -----
    Not checked: the order of the points and that `starts` fits it; sigmas > 0. Threads own z planes.
    """
    for z in prange(volume_zyx.shape[0]):
        taps = np.empty(volume_zyx.shape[2], np.float32)
        for i in range(starts[z], starts[z + 2 * reach_px + 2]):
            distance = (points[i, 0] - z) / sigmas[i]
            if abs(distance) <= _REACH:
                peak = weights[i] / (2.0 * math.pi * sigmas[i] ** 2) ** 1.5
                _add_spot(
                    volume_zyx[z], taps, points[i, 1], points[i, 2], peak * math.exp(-0.5 * distance**2), sigmas[i]
                )
