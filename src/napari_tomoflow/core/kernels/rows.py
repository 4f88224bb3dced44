"""Back-project and reproject row by row, in a frame where the tilt axis lies along y: no volume is ever made."""

import math

import numpy as np
from numba import prange

from napari_tomoflow.core.kernels._jit import inner, kernel


@inner
def _inside(start, c, nx):
    """Return the range of x whose two taps at ``start + x · c`` both lie in a row of nx pixels."""
    first, last = 0.0, float(nx)
    if abs(c) < 1e-9:
        return (0, nx) if 0.0 <= start < nx - 1.001 else (0, 0)
    # A thousandth of a pixel is given away, so that rounding cannot put a tap outside.
    ends = ((0.0005 - start) / c, (nx - 1.0005 - start) / c)
    first = max(first, math.ceil(min(ends[0], ends[1])))
    last = min(last, math.floor(max(ends[0], ends[1])) + 1.0)
    return int(first), int(max(last, first))


@inner
def _backproject_row(slice_zx, rows, y, cosines, sines, chosen):
    """Add row y of the chosen images into an empty slice across the axis, by linear interpolation."""
    nz, nx = slice_zx.shape
    slice_zx[:] = 0.0
    for i in range(len(rows)):
        if chosen[i]:
            row = rows[i, y]
            c = np.float32(cosines[i])
            for z in range(nz):
                start = np.float32((z - nz // 2) * sines[i] - (nx // 2) * cosines[i] + nx // 2)
                first, last = _inside(start, c, nx)
                for x in range(first, last):
                    u = start + np.float32(x) * c
                    left = np.int32(u)
                    w = u - np.float32(left)
                    slice_zx[z, x] += row[left] + w * (row[left + 1] - row[left])


@inner
def _project_row(view_x, slice_zx, c, s):
    """Add the projection of a slice into one image row; zeros of the slice cost nothing."""
    nz, nx = slice_zx.shape
    for z in range(nz):
        start = (z - nz // 2) * s - (nx // 2) * c + nx // 2
        first, last = _inside(start, c, nx)
        for x in range(first, last):
            value = slice_zx[z, x]
            if value != 0.0:
                u = start + x * c
                left = int(u)
                w = np.float32(u - left)
                view_x[left] += (np.float32(1.0) - w) * value
                view_x[left + 1] += w * value


@kernel
def reproject_rows(views, rows, cosines, sines, chosen, n_depths, threshold):
    """Show the images that are not chosen what the chosen ones know of the strong features.

    Parameters
    ----------
    views : float32[N, ny, nx]
        Zero where ``chosen`` is false; the reprojection is added there.
    rows : float32[N, ny, nx]
        Images, tilt axis along y through pixel ``nx // 2``, weighted for back-projection.
    cosines, sines : float64[N]
        Of the tilts.
    chosen : bool[N]
        Which images are back-projected.
    n_depths : int
        Thickness of the slab, px.
    threshold : float
        Voxels are drawn towards zero by this much, so that only what stands out is reprojected.

    Notes
    -----
    Not checked: shapes, C order, float32. Threads own whole rows; each keeps one slice. NaN spreads along its row.
    """
    n, ny, nx = rows.shape
    for y in prange(ny):
        slice_zx = np.empty((n_depths, nx), np.float32)
        _backproject_row(slice_zx, rows, y, cosines, sines, chosen)
        for z in range(n_depths):
            for x in range(nx):
                value = slice_zx[z, x]
                slice_zx[z, x] = math.copysign(max(abs(value) - threshold, 0.0), value)
        for i in range(n):
            if not chosen[i]:
                _project_row(views[i, y], slice_zx, cosines[i], sines[i])


@kernel
def multiply_halves(products, rows, cosines, sines, first_half):
    """Back-project two halves of the images and multiply the results voxel by voxel.

    Parameters
    ----------
    products : float32[ny, nz, nx]
        Written in place.
    rows, cosines, sines
        As in `reproject_rows`.
    first_half : bool[N]
        Which images make the first factor; the others make the second.

    Notes
    -----
    Noise of the halves is independent, so the products of empty voxels have mean zero.

    Not checked: shapes, C order, float32. Threads own whole rows. NaN spreads along its row.
    """
    ny, nz, nx = products.shape
    for y in prange(ny):
        second = np.empty((nz, nx), np.float32)
        _backproject_row(second, rows, y, cosines, sines, ~first_half)
        _backproject_row(products[y], rows, y, cosines, sines, first_half)
        for z in range(nz):
            for x in range(nx):
                products[y, z, x] *= second[z, x]
