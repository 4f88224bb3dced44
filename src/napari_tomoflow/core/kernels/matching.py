"""The loops of template matching that are not transforms.

Each runs on one thread and without the GIL: threads own rotations, not rows.
"""

import math

import numpy as np

from napari_tomoflow.core.kernels._jit import inner


@inner
def turn_transform(out_rft, source_rft, filter_rft, source_from_box):
    """Read the transform of a reference on a turned grid by trilinear interpolation, and filter it.

    Parameters
    ----------
    out_rft : complex64[n, n, n // 2 + 1]
        Overwritten; 0 where the turned grid leaves that of the source.
    source_rft : complex64[m, m, m // 2 + 1]
        Half transform of the reference, its centre at voxel 0.
    filter_rft : float32[n, n, n // 2 + 1]
        Multiplies the result; it does not turn.
    source_from_box : float64[3, 3]
        Takes a frequency (x, y, z) of the box, counted in its samples, to the source, counted in that's.

    Notes
    -----
    Not checked: cubes, even n and m, C order. NaN spreads to the samples around it.
    """
    n, m = out_rft.shape[0], source_rft.shape[0]
    half = n // 2
    for row_z in range(n):
        z = row_z if row_z < half else row_z - n
        for row_y in range(n):
            y = row_y if row_y < half else row_y - n
            for x in range(half + 1):
                kx = source_from_box[0, 0] * x + source_from_box[0, 1] * y + source_from_box[0, 2] * z
                ky = source_from_box[1, 0] * x + source_from_box[1, 1] * y + source_from_box[1, 2] * z
                kz = source_from_box[2, 0] * x + source_from_box[2, 1] * y + source_from_box[2, 2] * z
                weight = filter_rft[row_z, row_y, x]
                if weight == 0 or max(abs(kx), abs(ky), abs(kz)) >= m // 2:
                    out_rft[row_z, row_y, x] = np.complex64(0.0)
                elif kx < 0:
                    real, imag = _sample(source_rft, -kx, -ky, -kz)
                    out_rft[row_z, row_y, x] = complex(weight * real, -weight * imag)
                else:
                    real, imag = _sample(source_rft, kx, ky, kz)
                    out_rft[row_z, row_y, x] = complex(weight * real, weight * imag)


@inner
def _sample(source_rft, kx, ky, kz):
    """Interpolate between the eight coefficients around a frequency with kx ≥ 0, counted in cells: real, imaginary."""
    m = source_rft.shape[0]
    x, y, z = int(kx), math.floor(ky), math.floor(kz)
    a, b, c = np.float32(kx - x), np.float32(ky - y), np.float32(kz - z)
    one = np.float32(1.0)
    # The remainder of a division costs as much as all the rest, and a real times a complex number is two complex ones.
    y0, z0 = y if y >= 0 else y + m, z if z >= 0 else z + m
    y1, z1 = 0 if y == -1 else y0 + 1, 0 if z == -1 else z0 + 1
    real, imag = np.float32(0.0), np.float32(0.0)
    for row_z, row_y, weight in (
        (z0, y0, (one - c) * (one - b)), (z0, y1, (one - c) * b), (z1, y0, c * (one - b)), (z1, y1, c * b)
    ):  # fmt: skip
        near, far = source_rft[row_z, row_y, x], source_rft[row_z, row_y, x + 1]
        real += weight * ((one - a) * near.real + a * far.real)
        imag += weight * ((one - a) * near.imag + a * far.imag)
    return real, imag


@inner
def normalise_under_mask(box_zyx, mask_zyx):
    """Give a box mean 0 and standard deviation 1 under a mask, and multiply it with the mask over its sum.

    Parameters
    ----------
    box_zyx : float32[n, n, n]
        Changed in place; 0 when it has no spread under the mask.
    mask_zyx : float32[n, n, n]
        From 0 to 1.

    Notes
    -----
    The sum over voxels of the result times a volume is then the correlation coefficient of the two under the mask,
    times the volume's standard deviation under it. Not checked: equal shapes, C order. NaN spreads over the box.
    """
    box, mask = box_zyx.ravel(), mask_zyx.ravel()
    total, first, second = 0.0, 0.0, 0.0
    for i in range(box.size):
        total += mask[i]
        first += mask[i] * box[i]
        second += mask[i] * box[i] * box[i]
    mean = first / total
    variance = second / total - mean * mean
    scale = 1.0 / (total * math.sqrt(variance)) if variance > 1e-6 * (second / total) else 0.0
    if variance != variance:
        scale = variance
    for i in range(box.size):
        box[i] = np.float32((box[i] - mean) * scale) * mask[i]


@inner
def multiply_conjugate(stencil_ft, volume_ft):
    """Replace a transform by its conjugate times another: what a correlation is in Fourier space.

    Parameters
    ----------
    stencil_ft : complex64[nz, ny, nk]
        Changed in place.
    volume_ft : complex64[nz, ny, nk]

    Notes
    -----
    Not checked: equal shapes. Both may be strided views. NaN spreads.
    """
    nz, ny, nk = stencil_ft.shape
    for z in range(nz):
        for y in range(ny):
            for k in range(nk):
                stencil_ft[z, y, k] = volume_ft[z, y, k] * stencil_ft[z, y, k].conjugate()


@inner
def raise_maximum(best_zyx, number_zyx, values_zyx, number):
    """Keep the larger of two values at each voxel, and the number of the rotation it is from.

    Parameters
    ----------
    best_zyx : float32[nz, ny, nx]
        Raised in place. May be a strided view.
    number_zyx : int32[nz, ny, nx]
        Set where `best_zyx` rises. Of equal values that of the smaller number stays, so the order of calls does not
        matter.
    values_zyx : float32[≥ nz, ≥ ny, ≥ nx]
        What exceeds the first shape is left out.
    number : int

    Notes
    -----
    Not checked: shapes. NaN is passed over.
    """
    nz, ny, nx = best_zyx.shape
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                value = values_zyx[z, y, x]
                best = best_zyx[z, y, x]
                if value > best or (value == best and number < number_zyx[z, y, x]):
                    best_zyx[z, y, x] = value
                    number_zyx[z, y, x] = number


@inner
def raise_maxima(best, number, values, first):
    """Keep the largest of many values for each voxel, and the number of the rotation it is from.

    Parameters
    ----------
    best : float32[V]
        Raised in place.
    number : int32[V]
        Set where `best` rises. Of equal values that of the earlier rotation stays.
    values : float32[R, V]
    first : int
        Number of the first of these rotations.

    Notes
    -----
    Not checked: shapes. NaN is passed over.
    """
    n_rotations, n_voxels = values.shape
    for rotation in range(n_rotations):
        for voxel in range(n_voxels):
            higher = values[rotation, voxel] > best[voxel]
            best[voxel] = values[rotation, voxel] if higher else best[voxel]
            number[voxel] = np.int32(first + rotation) if higher else number[voxel]


@inner
def correlate_near(out, box_zyx, window_zyx):
    """Sum the products of a box and a window around it, at all places where the box fits in.

    Parameters
    ----------
    out : float32[w, w, w]
        Overwritten.
    box_zyx : float32[n, n, n]
    window_zyx : float32[n + w - 1, n + w - 1, n + w - 1]

    Notes
    -----
    For w up to 3 or so; beyond, a transform is cheaper. Not checked: shapes, C order. NaN spreads.
    """
    width, n = out.shape[0], box_zyx.shape[0]
    for dz in range(width):
        for dy in range(width):
            for dx in range(width):
                total = np.float64(0.0)
                for z in range(n):
                    for y in range(n):
                        row = np.float32(0.0)
                        for x in range(n):
                            row += box_zyx[z, y, x] * window_zyx[z + dz, y + dy, x + dx]
                        total += row
                out[dz, dy, dx] = total
