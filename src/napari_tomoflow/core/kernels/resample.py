"""Sampling images between their pixels."""

import math

import numpy as np
from numba import prange

from napari_tomoflow.core.kernels._jit import inner, kernel


@kernel
def sample_spline(out_vu, coefficients_yx, affine):
    """Sample a cubic B-spline on a grid that is turned, sheared and shifted.

    Parameters
    ----------
    out_vu : float32[nv, nu]
        Overwritten: sample (v, u) is the spline at ``affine @ (u, v, 1)``.
    coefficients_yx : float32[ny, nx]
        Weights of the B-splines centred on the pixels.
    affine : float64[2, 3]
        Gives (x, y) in pixels, 0-based.

    Notes
    -----
    Not checked: C order. Threads own whole rows. Outside the image the coefficients are zero, so
    the spline fades within two pixels. NaN spreads over four pixels.
    """
    nv, nu = out_vu.shape
    for v in prange(nv):
        for u in range(nu):
            x = affine[0, 0] * u + affine[0, 1] * v + affine[0, 2]
            y = affine[1, 0] * u + affine[1, 1] * v + affine[1, 2]
            out_vu[v, u] = _spline_at(coefficients_yx, x, y)


@kernel
def sample_moved_spline(out_vu, coefficients_yx, affine, moves_yx, spacing_px):
    """Sample a cubic B-spline on such a grid after every point of it has moved: the spline at ``p - moves(p)``.

    Parameters
    ----------
    out_vu, coefficients_yx, affine
        As in `sample_spline`.
    moves_yx : float32[gy, gx, 2]
        (y, x) in pixels at the pixels ``(j, i) · spacing_px``; linear in between, constant beyond. At least 2 × 2.
    spacing_px : int

    Notes
    -----
    As in `sample_spline`.
    """
    nv, nu = out_vu.shape
    for v in prange(nv):
        for u in range(nu):
            x = affine[0, 0] * u + affine[0, 1] * v + affine[0, 2]
            y = affine[1, 0] * u + affine[1, 1] * v + affine[1, 2]
            move_y, move_x = _move_at(moves_yx, y / spacing_px, x / spacing_px)
            out_vu[v, u] = _spline_at(coefficients_yx, x - move_x, y - move_y)


@inner
def _move_at(moves_yx, row, column):
    """Interpolate between the four nodes around a place."""
    gy, gx, _ = moves_yx.shape
    row, column = min(max(row, 0.0), gy - 1.0), min(max(column, 0.0), gx - 1.0)
    j, i = min(int(row), gy - 2), min(int(column), gx - 2)
    b, a = row - j, column - i
    y = (1 - b) * ((1 - a) * moves_yx[j, i, 0] + a * moves_yx[j, i + 1, 0])
    y += b * ((1 - a) * moves_yx[j + 1, i, 0] + a * moves_yx[j + 1, i + 1, 0])
    x = (1 - b) * ((1 - a) * moves_yx[j, i, 1] + a * moves_yx[j, i + 1, 1])
    x += b * ((1 - a) * moves_yx[j + 1, i, 1] + a * moves_yx[j + 1, i + 1, 1])
    return y, x


@inner
def _spline_at(coefficients_yx, x, y):
    """Evaluate the spline at one point."""
    ny, nx = coefficients_yx.shape
    left, low = math.floor(x), math.floor(y)
    total = np.float32(0.0)
    if left >= -2 and left <= nx and low >= -2 and low <= ny:
        a0, a1, a2, a3 = spline_weights(np.float32(x - left))
        b0, b1, b2, b3 = spline_weights(np.float32(y - low))
        for tap, b in ((low - 1, b0), (low, b1), (low + 1, b2), (low + 2, b3)):
            if tap < 0 or tap >= ny:
                continue
            if left >= 1 and left + 2 < nx:
                total += b * (
                    a0 * coefficients_yx[tap, left - 1]
                    + a1 * coefficients_yx[tap, left]
                    + a2 * coefficients_yx[tap, left + 1]
                    + a3 * coefficients_yx[tap, left + 2]
                )
            else:
                for column, a in ((left - 1, a0), (left, a1), (left + 1, a2), (left + 2, a3)):
                    if column >= 0 and column < nx:
                        total += b * a * coefficients_yx[tap, column]
    return total


@inner
def spline_weights(t):
    """Return the four cubic B-splines that reach a point `t` right of a pixel, 0 <= t < 1."""
    one, three, sixth = np.float32(1.0), np.float32(3.0), np.float32(1.0 / 6.0)
    s = one - t
    return (
        s * s * s * sixth,
        (three * t * t * (t - np.float32(2.0)) + np.float32(4.0)) * sixth,
        (three * s * s * (s - np.float32(2.0)) + np.float32(4.0)) * sixth,
        t * t * t * sixth,
    )


@kernel
def shift_rows(out_zyx, planes_zyx, starts, weights):
    """Shift each plane along y: ``out[z, y] = Σ_k weights[z, k] · planes[z, y + starts[z] + k]``.

    Parameters
    ----------
    out_zyx : float32[nz, ny, nx]
        Overwritten.
    planes_zyx : float32[nz, my, nx]
        Rows outside count as zero.
    starts : int64[nz]
    weights : float32[nz, n_taps]

    Notes
    -----
    Not checked: equal nz and nx, C order. Threads own whole rows. NaN spreads over the taps.
    """
    nz, ny, nx = out_zyx.shape
    n_rows = planes_zyx.shape[1]
    for line in prange(nz * ny):
        z, y = line // ny, line % ny
        out = out_zyx[z, y]
        out[:] = np.float32(0.0)
        for tap in range(weights.shape[1]):
            row = y + starts[z] + tap
            weight = weights[z, tap]
            if row >= 0 and row < n_rows and weight != 0:
                plane_row = planes_zyx[z, row]
                for x in range(nx):
                    out[x] += weight * plane_row[x]


@kernel
def transpose_into_blocks(blocks, lines_vu):
    """Write the lines of one tilt into the blocks that `backprojection.backproject` reads.

    Parameters
    ----------
    blocks : float32[n_blocks, n_u, rows]
        Overwritten; rows beyond the last line become zero. May be a strided view.
    lines_vu : float32[n_v, n_u]

    Notes
    -----
    Not checked: equal n_u and ``n_blocks * rows >= n_v``. Threads own whole blocks.
    """
    n_blocks, n_u, n_rows = blocks.shape
    n_v = lines_vu.shape[0]
    for block in prange(n_blocks):
        for u0 in range(0, n_u, 16):
            for row in range(n_rows):
                v = block * n_rows + row
                for u in range(u0, min(u0 + 16, n_u)):
                    blocks[block, u, row] = lines_vu[v, u] if v < n_v else np.float32(0.0)
