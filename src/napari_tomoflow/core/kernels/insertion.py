"""Insertion of central slices into a three-dimensional Fourier transform.

Frequencies are counted in cells of the cube, index 0 being frequency 0 and negative ones wrapping around. The cube
holds the half with kx ≥ 0 of the transform of a real volume.
"""

import math

import numpy as np
from numba import prange

from napari_tomoflow.core.kernels._jit import inner, kernel

_BANDS = 16
"""Ranges of kz that threads own: enough for any desktop's cores."""


@kernel
def insert_slices(cube_rft, weights, slices_rft, directions, spacing_rad, radius):
    """Add the transforms of views to the cells around each of their samples, by trilinear weights.

    Parameters
    ----------
    cube_rft : complex64[n, n, n // 2 + 1]
        Added to: sample × share × trilinear weight.
    weights : float32[n, n, n // 2 + 1]
        Added to: trilinear weight.
    slices_rft : complex64[n_tilts, n, n // 2 + 1]
        Half transforms of the views.
    directions : float64[n_tilts, 2, 3]
        Axes u and v of each view in the volume, as (x, y, z).
    spacing_rad : float64[n_tilts]
        Angle each view stands for. Where neighbouring views are further apart than a cell, the share of a
        sample is that distance, spacing · √(kx² + kz²); it is 1 elsewhere.
    radius : float
        Samples from this frequency on are left out; at most ``n // 2 - 1``.

    Notes
    -----
    What falls below kx = 0 is added to the opposite cell. In the plane kx = 0 every cell lacks what its opposite got:
    the caller adds the two. Not checked: shapes; even n. Threads own whole planes kz and take all samples in
    their order, so any number of threads gives the same sums. NaN spreads to the cells around it.
    """
    n, n_half = cube_rft.shape[0], cube_rft.shape[2]
    for band in prange(_BANDS):
        low, high = -(n // 2) + n * band // _BANDS, -(n // 2) + n * (band + 1) // _BANDS
        for t in range(len(slices_rft)):
            for row in range(n):
                v = row if row < n // 2 else row - n
                for side in (1, -1):
                    # side -1 are the opposite frequencies, which the half transform of the view leaves out.
                    first, last = _columns(directions[t], v, side, radius, low, high)
                    for column in range(max(first, 0), min(last, n_half - 1) + 1):
                        if column == 0 and v < 0:
                            continue
                        x = side * (column * directions[t, 0, 0] + v * directions[t, 1, 0])
                        if x < 0 or (x == 0 and side < 0):
                            continue
                        y = side * (column * directions[t, 0, 1] + v * directions[t, 1, 1])
                        z = side * (column * directions[t, 0, 2] + v * directions[t, 1, 2])
                        value = slices_rft[t, row, column]
                        if side < 0:
                            value = value.conjugate()
                        share = np.float32(max(1.0, spacing_rad[t] * math.sqrt(x * x + z * z)))
                        _add(cube_rft, weights, value, share, x, y, z, low, high)


@inner
def _columns(direction, v, side, radius, low, high):
    """Return the range of columns of a row whose samples lie within the radius and reach a band of kz."""
    inside = radius * radius - v * v
    if inside <= 0:
        return 0, -1
    first, last = 0.0, math.ceil(math.sqrt(inside)) - 1.0
    start, slope = side * v * direction[1, 2], side * direction[0, 2]
    if abs(slope) < 1e-9:
        return (0, int(last)) if low - 1 <= start < high else (0, -1)
    ends = ((low - 1 - start) / slope, (high - start) / slope)
    first = max(first, math.floor(min(ends[0], ends[1])))
    last = min(last, math.ceil(max(ends[0], ends[1])))
    return int(first), int(last)


@inner
def _add(cube_rft, weights, value, share, x, y, z, low, high):
    """Add one sample with x ≥ 0 to those of its eight cells whose kz lies in the band."""
    n = cube_rft.shape[0]
    x0, y0, z0 = math.floor(x), math.floor(y), math.floor(z)
    for dz in range(2):
        iz = z0 + dz
        if low <= iz < high:
            wz = np.float32(1.0 - abs(z - iz))
            cell_z = iz if iz >= 0 else iz + n
            for dy in range(2):
                iy = y0 + dy
                wy = wz * np.float32(1.0 - abs(y - iy))
                cell_y = iy if iy >= 0 else iy + n
                for dx in range(2):
                    weight = wy * np.float32(1.0 - abs(x - x0 - dx))
                    weights[cell_z, cell_y, x0 + dx] += weight
                    cube_rft[cell_z, cell_y, x0 + dx] += weight * share * value


@kernel
def divide_by_weights(cube_rft, weights, floor):
    """Divide by the weights, or by a floor where they are lower, and move the origin to the cube's centre.

    Parameters
    ----------
    cube_rft : complex64[n, n, n // 2 + 1]
        Changed in place.
    weights : float32[n, n, n // 2 + 1]
    floor : float
        Keeps cells that a slice only grazed from counting as if it had passed through them.

    Notes
    -----
    Not checked: shapes; even n. Threads own whole planes kz. NaN stays where it is.
    """
    n, _, n_half = cube_rft.shape
    for z in prange(n):
        for y in range(n):
            for x in range(n_half):
                sign = np.float32(1.0 - 2.0 * ((x + y + z) % 2))
                cube_rft[z, y, x] *= sign / max(weights[z, y, x], np.float32(floor))
