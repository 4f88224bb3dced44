"""Back-project and reproject row by row, in a frame where the tilt axis lies along y: no volume is ever made."""

import math

import numpy as np
from numba import prange

from napari_tomoflow.core.kernels._jit import inner, kernel


@inner
def _inside(start, c, nx):
    """Return the range of x whose two taps at ``start + x · c`` lie in a row with a zero pixel at each end."""
    if abs(c) < 1e-9:
        return (0, nx) if 0.0 < start < nx + 1.0 else (0, 0)
    # A thousandth of a pixel next to the zeros is given away, so that rounding cannot put a tap outside.
    ends = ((0.001 - start) / c, (nx + 0.999 - start) / c)
    first = max(0.0, math.ceil(min(ends[0], ends[1])))
    last = min(float(nx), math.floor(max(ends[0], ends[1])) + 1.0)
    return int(first), int(max(last, first))


@inner
def _first_tap(z, nz, nx, c, s):
    """Return where the ray of the slice's first pixel meets a row with a zero pixel at each end."""
    return (z - nz // 2) * s - (nx // 2) * c + nx // 2 + 1


@inner
def _backproject_row(slice_zx, rows, y, cosines, sines, chosen):
    """Fill a slice across the axis with row y of the chosen images, by linear interpolation, zero outside."""
    nz, nx = slice_zx.shape
    padded = np.zeros(nx + 2, np.float32)
    slice_zx[:] = 0.0
    for i in range(len(rows)):
        if chosen[i]:
            padded[1 : nx + 1] = rows[i, y]
            c = np.float32(cosines[i])
            for z in range(nz):
                start = np.float32(_first_tap(z, nz, nx, cosines[i], sines[i]))
                first, last = _inside(start, c, nx)
                for x in range(first, last):
                    u = start + np.float32(x) * c
                    left = np.int32(u)
                    w = u - np.float32(left)
                    slice_zx[z, x] += padded[left] + w * (padded[left + 1] - padded[left])


@inner
def _project_row(view_x, slice_zx, c, s):
    """Add the projection of a slice into one image row; zeros of the slice cost nothing."""
    nz, nx = slice_zx.shape
    padded = np.zeros(nx + 2, np.float32)
    for z in range(nz):
        start = _first_tap(z, nz, nx, c, s)
        first, last = _inside(start, c, nx)
        for x in range(first, last):
            value = slice_zx[z, x]
            if value != 0.0:
                u = start + x * c
                left = int(u)
                w = np.float32(u - left)
                padded[left] += (np.float32(1.0) - w) * value
                padded[left + 1] += w * value
    view_x += padded[1 : nx + 1]


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
