"""Aligning the frames of one tilt, each to the sum of all the others. Legend: G groups of frames."""

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.motion.spectra import Transform, moved_back
from napari_tomoflow.core.ops.peaks import find_peak

Floats = NDArray[np.float64]

_ROUNDS = 15
_SETTLED_PX = 0.05
_COARSE_FIRST = 4.0
"""The first rounds use a B factor larger by so much: they find the way, the others the place."""

_COARSE_ROUNDS = 2
_NARROW_PX = 8


def align_frames(groups_rft: Transform, shape_yx: Sequence[int], b_factor_px2: float, window_px: float) -> Floats:
    """Find how far the specimen has moved in each group of frames.

    Parameters
    ----------
    groups_rft : complex64[G, ny, nx // 2 + 1]
        Half transforms of the groups.
    shape_yx : tuple of int
        Size of the images.
    b_factor_px2 : float
        Correlations are weighted by exp(-B k² / 4), k in cycles per pixel.
    window_px : float
        Farthest a group is looked for.

    Returns
    -------
    float64[G, 2]
        Displacement (y, x) in px; their mean is zero.

    Notes
    -----
    A group is compared with the sum of the others only, so that it cannot find itself. Zero rows and
    columns of the transform, where borders and lines of the detector are, do not count.
    """
    n = len(groups_rft)
    shift = np.zeros((n, 2))
    if n < 2:
        return shift
    fine, coarse = (_weights(shape_yx, b) for b in (b_factor_px2, _COARSE_FIRST * b_factor_px2))
    for turn in range(_ROUNDS):
        weights = coarse if turn < _COARSE_ROUNDS else fine
        reach = window_px if turn == 0 else min(window_px, _NARROW_PX)
        found = _offsets(moved_back(groups_rft, shift, shape_yx), weights, shape_yx, reach)
        # The others lie 1 / (n - 1) of the way on the other side of the mean.
        step = found * (n - 1) / n
        shift += step - step.mean(axis=0)
        if turn >= _COARSE_ROUNDS and np.abs(step).max() < _SETTLED_PX:
            break
    centred: Floats = shift - shift.mean(axis=0)
    return centred


def _weights(shape_yx: Sequence[int], b_factor_px2: float) -> NDArray[np.float32]:
    y = scipy.fft.fftfreq(shape_yx[0])[:, None]
    x = scipy.fft.rfftfreq(shape_yx[1])[None]
    weights = np.exp(-b_factor_px2 / 4 * (y**2 + x**2))
    weights[0], weights[:, 0] = 0.0, 0.0
    return np.asarray(weights, np.float32)


def _offsets(moved: Transform, weights: NDArray[np.float32], shape_yx: Sequence[int], reach_px: float) -> Floats:
    """Find how far each group still is from the sum of the others: float64[G, 2]."""
    everything = moved.sum(axis=0)
    product = np.conj(everything - moved)
    product *= moved
    product *= weights
    maps = scipy.fft.irfft2(product, s=tuple(shape_yx), workers=-1, overwrite_x=True)
    near = [np.arange(-r, r + 1) for r in (min(int(np.ceil(reach_px)), n // 2 - 1) for n in shape_yx)]
    cut = maps[:, near[0][:, None] % shape_yx[0], near[1] % shape_yx[1]]
    return np.array([find_peak(one)[:2] for one in cut])
