"""The likeliest pose of a particle in one image alone, given how far such poses stray from the known one.

An image's pose is told from the known one by a rotation B and a shift s in the frame of the map there: float64[3, 4].
With agreement and power as in `kernels.poses`, ω the axis times the angle of B, and the spreads σ of turns and τ of
shifts, what is climbed is::

    gain = agreement · |agreement| / power − ω² / 2 σ² − s² / 2 τ²

the logarithm of likelihood times prior. A single image does not tell the shift along the beam: the prior keeps it 0.

Legend: S images, K poses of each, M places.
"""

import math

import numpy as np
from numba import prange

from napari_tomoflow.core.kernels._jit import inner, kernel
from napari_tomoflow.core.kernels.poses import length, measure_pose, move_pose, solve_positive

_STEPS = 10
_CLOSE = 1e-3
"""A step is the last when it gains no more than this."""


@kernel
def polish_subtilts(poses, found, cube_rft, values, power, axes, places, spreads):
    """Climb from each pose of each image to the nearest maximum of the gain, by damped Gauss-Newton steps.

    Parameters
    ----------
    poses : float64[S, K, 3, 4]
        Changed in place. Shifts are in widths of the box whose frequency step is one cell of the cube.
    found : float64[S, K, 5]
        Written: gain, agreement, power, and the variance that remains, of turns about each axis and of shifts along
        each side of the image.
    cube_rft : complex64[2 c + 1, 2 c + 1, c + 1]
    values : complex64[S, 1, M']
    power : float32[S, 1, M']
    axes : float32[S, 1, 2, 3]
        In the map at the known pose, in cells of the cube to a frequency step.
    places : int64[M, 2]
        These four as in `kernels.poses`, with ``M' ≥ M``.
    spreads : float64[2]
        σ in radians and τ in widths, each above 0.

    Notes
    -----
    Not checked: shapes; every place lies within ``c - 1`` cells. Threads own whole poses. NaN in an image leaves its
    poses where they were.
    """
    n_poses = poses.shape[1]
    for item in prange(len(poses) * n_poses):
        image, number = item // n_poses, item % n_poses
        arguments = (cube_rft, values[image], power[image], axes[image], places)
        _climb(poses[image, number], found[image, number], arguments, spreads)


@inner
def _climb(pose, result, arguments, spreads):
    """Climb from one pose, and write what is found there."""
    now, trial = np.empty((7, 8)), np.empty((7, 8))
    changed, away = np.empty((3, 4)), np.empty(6)
    measure_pose(now, pose, *arguments)
    gain = _gain(now, pose, away, spreads)
    damping = 1e-3
    for _ in range(_STEPS):
        curvature, step = _slopes(now, away, spreads)
        for j in range(6):
            curvature[j, j] *= 1.0 + damping
        if not solve_positive(curvature, step):
            break
        move_pose(changed, pose, step)
        measure_pose(trial, changed, *arguments)
        there = _gain(trial, changed, away, spreads)
        if there > gain:
            pose[:] = changed
            now[:] = trial
            damping *= 0.2
            if there - gain < _CLOSE:
                gain = there
                break
            gain = there
        else:
            damping = max(10.0 * damping, 1e-2)
            if damping > 1e4:
                break
            _gain(now, pose, away, spreads)
    gain = _gain(now, pose, away, spreads)
    result[0], result[1], result[2] = gain, now[6, 7], now[6, 6]
    result[3], result[4] = _remaining(now, away, spreads)


@inner
def _gain(sums, pose, away, spreads):
    """Return the gain at a pose, and write how far it is away: turns about the axes of the map, shifts along them."""
    # The antisymmetric part of a rotation is sin(angle) times its axis.
    away[0] = 0.5 * (pose[2, 1] - pose[1, 2])
    away[1] = 0.5 * (pose[0, 2] - pose[2, 0])
    away[2] = 0.5 * (pose[1, 0] - pose[0, 1])
    sine = length(away[:3])
    longer = math.atan2(sine, 0.5 * (pose[0, 0] + pose[1, 1] + pose[2, 2] - 1.0)) / sine if sine > 1e-9 else 1.0
    for j in range(3):
        away[j] *= longer
        # Along the axes of the map as B turned them, as steps are.
        away[3 + j] = pose[0, j] * pose[0, 3] + pose[1, j] * pose[1, 3] + pose[2, j] * pose[2, 3]
    turn, shift = length(away[:3]) / spreads[0], length(away[3:]) / spreads[1]
    fit = sums[6, 7] * abs(sums[6, 7]) / sums[6, 6] if sums[6, 6] > 0 else 0.0
    return fit - 0.5 * (turn * turn + shift * shift)


@inner
def _slopes(sums, away, spreads):
    """Return the curvature of minus the gain, by Gauss and Newton, and its slope: float64[6, 6] and [6]."""
    curvature, slope = np.empty((6, 6)), np.empty(6)
    power, agreement = sums[6, 6], sums[6, 7]
    strength = abs(agreement) / power if power > 0 else 0.0
    part = agreement / power if power > 0 else 0.0
    for j in range(6):
        spread = spreads[0] if j < 3 else spreads[1]
        slope[j] = 2.0 * strength * (sums[j, 7] - part * sums[j, 6]) - away[j] / (spread * spread)
        for k in range(j, 6):
            flat = sums[j, 6] * sums[k, 6] / power if power > 0 else 0.0
            curvature[j, k] = 2.0 * strength * strength * (sums[j, k] - flat)
            curvature[k, j] = curvature[j, k]
        curvature[j, j] += 1.0 / (spread * spread)
    return curvature, slope


@inner
def _remaining(sums, away, spreads):
    """Return the variance that the image leaves, of turns about each axis and of shifts along each side."""
    turns = shifts = 0.0
    for j in range(6):
        curvature, unit = _slopes(sums, away, spreads)
        unit[:] = 0.0
        unit[j] = 1.0
        if not solve_positive(curvature, unit):
            return spreads[0] ** 2, spreads[1] ** 2
        if j < 3:
            turns += unit[j]
        else:
            shifts += unit[j]
    # Along the beam all of the prior remains.
    return turns / 3.0, 0.5 * (shifts - spreads[1] ** 2)
