"""Central slices out of the three-dimensional transform of a map, and back into one.

A *cube* holds the half with kx ≥ 0 of the transform of a real map, frequency 0 at cell ``[c, c, 0]``: it is an
array ``[2 c + 1, 2 c + 1, c + 1]`` whose cells are ``1 / scale`` of the frequency step of the images apart. No
index wraps around, so the loops have no branches but those of the sphere of frequencies in use.

Legend: S slices of n × n pixels.
"""

import math

import numpy as np
from numba import prange

from napari_tomoflow.core.kernels._jit import inner, kernel

# Indices without a sign spare each of them the test for being negative: half of the time of a sample.
_ONE = np.uintp(1)


@inner
def sample_cube(cube_rft, x, y, z):
    """Interpolate a cube trilinearly at a place (x, y, z) in cells from frequency 0: complex64.

    Notes
    -----
    Not checked: the place lies within ``c - 1`` cells of frequency 0. It takes three float32.
    """
    half = cube_rft.shape[2] - 1
    sign = np.float32(1.0)
    if x < 0:
        x, y, z = -x, -y, -z
        sign = np.float32(-1.0)
    # Adding what makes the number positive first lets truncation stand for the floor.
    y += np.float32(half)
    z += np.float32(half)
    x0, y0, z0 = np.uintp(x), np.uintp(y), np.uintp(z)
    x1, y1, z1 = x0 + _ONE, y0 + _ONE, z0 + _ONE
    wx, wy, wz = x - np.float32(x0), y - np.float32(y0), z - np.float32(z0)
    lower, near = np.float32(1.0) - wz, np.float32(1.0) - wy
    a, b, c, d = lower * near, lower * wy, wz * near, wz * wy
    left00, left01 = cube_rft[z0, y0, x0], cube_rft[z0, y1, x0]
    left10, left11 = cube_rft[z1, y0, x0], cube_rft[z1, y1, x0]
    right00, right01 = cube_rft[z0, y0, x1], cube_rft[z0, y1, x1]
    right10, right11 = cube_rft[z1, y0, x1], cube_rft[z1, y1, x1]
    left = a * left00.real + b * left01.real + c * left10.real + d * left11.real
    right = a * right00.real + b * right01.real + c * right10.real + d * right11.real
    left_i = a * left00.imag + b * left01.imag + c * left10.imag + d * left11.imag
    right_i = a * right00.imag + b * right01.imag + c * right10.imag + d * right11.imag
    return np.complex64(complex(left + wx * (right - left), sign * (left_i + wx * (right_i - left_i))))


@inner
def columns_within(row_v, radius, n_columns):
    """Return how many columns of a row of a half transform lie within a radius, the radius itself left out."""
    inside = radius * radius - row_v * row_v
    if inside <= 0:
        return 0
    return min(math.ceil(math.sqrt(inside)), n_columns)


@kernel
def extract_slices(slices_rft, cube_rft, axes, scale, radius):
    """Take central slices out of a cube, by trilinear interpolation.

    Parameters
    ----------
    slices_rft : complex64[S, n, n // 2 + 1]
        Written; zero from the radius on.
    cube_rft : complex64[2 c + 1, 2 c + 1, c + 1]
    axes : float32[S, 2, 3]
        Axes u and v of each slice in the map, as (x, y, z): the first two rows of the rotation from map to image.
    scale : float
        Cells of the cube to a frequency step of the slices.
    radius : float
        In frequency steps of the slices.

    Notes
    -----
    Not checked: shapes; even n; ``radius · scale ≤ c - 1``; ``radius ≤ n / 2``. Threads own whole slices. NaN
    spreads to the samples next to it.
    """
    n, n_columns = slices_rft.shape[1], slices_rft.shape[2]
    step = np.float32(scale)
    for s in prange(len(slices_rft)):
        ux, uy, uz = axes[s, 0, 0] * step, axes[s, 0, 1] * step, axes[s, 0, 2] * step
        vx, vy, vz = axes[s, 1, 0] * step, axes[s, 1, 1] * step, axes[s, 1, 2] * step
        for row in range(n):
            v = row if row < n // 2 else row - n
            end = columns_within(v, radius, n_columns)
            at_v = np.float32(v)
            for column in range(end):
                u = np.float32(column)
                slices_rft[s, row, column] = sample_cube(
                    cube_rft, u * ux + at_v * vx, u * uy + at_v * vy, u * uz + at_v * vz
                )
            for column in range(end, n_columns):
                slices_rft[s, row, column] = 0.0


@kernel
def insert_slices(cube, images_rft, power, slice_weights, axes, scale, radius, n_bands):
    """Add slices and their weights to the cells around each of their samples: the transpose of `extract_slices`.

    Parameters
    ----------
    cube : float32[2 c + 1, 2 c + 1, c + 1, 4]
        Added to: real and imaginary part, weight; the last entry of each cell pads it to 16 bytes and stays.
    images_rft : complex64[S, n, n // 2 + 1]
    power : float32[S, n, n // 2 + 1]
        Weight of each sample.
    slice_weights : float32[S]
        How often each slice counts.
    axes, scale, radius
        As for `extract_slices`.
    n_bands : int
        Ranges of kz the threads share out; the number of threads serves best. It does not change the result.

    Notes
    -----
    A slice in a half transform stands for its opposite too, which lands in the half the cube does not hold, but for
    the plane kx = 0: there every cell lacks what its opposite got, and the caller adds the two. The sample at
    frequency 0, its own opposite, counts half. Not checked: as for `extract_slices`. Threads own whole planes kz and
    take all samples in their order, so any number of threads gives the same sums. Cells are summed in float32: insert
    some thousand slices at a time and add up the cubes. NaN spreads to the cells around it.
    """
    planes = cube.shape[0]
    for band in prange(n_bands):
        low, high = planes * band // n_bands, planes * (band + 1) // n_bands
        for s in range(len(images_rft)):
            if slice_weights[s] != 0:
                _insert_slice(cube, images_rft[s], power[s], slice_weights[s], axes[s], scale, radius, low, high)


@inner
def _insert_slice(cube, image_rft, power, slice_weight, axes, scale, radius, low, high):
    """Add one slice to the planes kz from `low` up to `high`."""
    n, n_columns = image_rft.shape
    half = cube.shape[2] - 1
    step = np.float32(scale)
    ux, uy, uz = axes[0, 0] * step, axes[0, 1] * step, axes[0, 2] * step
    vx, vy, vz = axes[1, 0] * step, axes[1, 1] * step, axes[1, 2] * step
    for row in range(n):
        v = row if row < n // 2 else row - n
        at_v = np.float32(v)
        # The mirror of column 0 is in the slice already.
        for column in range(1 if v < 0 else 0, columns_within(v, radius, n_columns)):
            u = np.float32(column)
            # Frequency 0 is its own opposite.
            times = slice_weight * np.float32(0.5 if column == 0 and v == 0 else 1.0)
            value = image_rft[row, column]
            real, imaginary, weight = times * value.real, times * value.imag, times * power[row, column]
            x, y, z = u * ux + at_v * vx, u * uy + at_v * vy, u * uz + at_v * vz
            if x < 0:
                x, y, z, imaginary = -x, -y, -z, -imaginary
            y += np.float32(half)
            z += np.float32(half)
            z0 = int(z)
            wz = z - np.float32(z0)
            if low <= z0 < high:
                _add_to_plane(cube, np.uintp(z0), np.float32(1.0) - wz, x, y, real, imaginary, weight)
            if low <= z0 + 1 < high:
                _add_to_plane(cube, np.uintp(z0 + 1), wz, x, y, real, imaginary, weight)


@inner
def _add_to_plane(cube, plane, share, x, y, real, imaginary, weight):
    """Add a share of one sample to the four cells of a plane around it."""
    x0, y0 = np.uintp(x), np.uintp(y)
    wx, wy = x - np.float32(x0), y - np.float32(y0)
    for dy in range(2):
        along_y = share * (wy if dy else np.float32(1.0) - wy)
        right = along_y * wx
        left = along_y - right
        near, far = cube[plane, y0 + np.uintp(dy), x0], cube[plane, y0 + np.uintp(dy), x0 + _ONE]
        near[0] += left * real
        near[1] += left * imaginary
        near[2] += left * weight
        far[0] += right * real
        far[1] += right * imaginary
        far[2] += right * weight


@kernel
def insert_lattices(cube, values, power, rotations, points, n_bands):
    """Add what lattices hold, turned back, to the cells around each of their points.

    Parameters
    ----------
    cube : float32[2 c + 1, 2 c + 1, c + 1, 4]
        Added to, as by `insert_slices`.
    values : float32[O, 2, G]
        Real and imaginary part.
    power : float32[O, G]
        Their weights.
    rotations : float32[O, 3, 3]
        A, times the cells of the cube to a step of the lattice: a point x is put at Aᵀ x.
    points : float32[G, 3]
        x, y, z; of each and its opposite one.
    n_bands : int
        As for `insert_slices`.

    Notes
    -----
    Not checked: shapes; every point lies within ``c - 1`` cells. Otherwise as `insert_slices`.
    """
    planes, half = cube.shape[0], cube.shape[2] - 1
    for band in prange(n_bands):
        low, high = planes * band // n_bands, planes * (band + 1) // n_bands
        for o in range(len(rotations)):
            a = rotations[o]
            for g in range(len(points)):
                px, py, pz = points[g, 0], points[g, 1], points[g, 2]
                x = a[0, 0] * px + a[1, 0] * py + a[2, 0] * pz
                y = a[0, 1] * px + a[1, 1] * py + a[2, 1] * pz
                z = a[0, 2] * px + a[1, 2] * py + a[2, 2] * pz
                imaginary = values[o, 1, g]
                if x < 0:
                    x, y, z, imaginary = -x, -y, -z, -imaginary
                y += np.float32(half)
                z += np.float32(half)
                z0 = int(z)
                wz = z - np.float32(z0)
                real, weight = values[o, 0, g], power[o, g]
                if low <= z0 < high:
                    _add_to_plane(cube, np.uintp(z0), np.float32(1.0) - wz, x, y, real, imaginary, weight)
                if low <= z0 + 1 < high:
                    _add_to_plane(cube, np.uintp(z0 + 1), wz, x, y, real, imaginary, weight)


@kernel
def add_rotated(total, cube, rotation, radius):
    """Add what a cube of sums holds at rotated places, by trilinear interpolation.

    Parameters
    ----------
    total, cube : float32[2 c + 1, 2 c + 1, c + 1, 4]
        Of `insert_slices`, with the plane kx = 0 completed.
    rotation : float32[3, 3]
        From the frequencies of `total` to those of `cube`, acting on (x, y, z).
    radius : float
        In cells; cells further from frequency 0 are left as they are.

    Notes
    -----
    Not checked: shapes; ``radius ≤ c - 1``. Threads own whole planes kz of `total`. NaN spreads.
    """
    half = cube.shape[2] - 1
    limit = np.float32(radius * radius)
    for plane in prange(cube.shape[0]):
        z = np.float32(plane - half)
        for row in range(cube.shape[1]):
            y = np.float32(row - half)
            for column in range(half):
                x = np.float32(column)
                if x * x + y * y + z * z > limit:
                    continue
                to_x = rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z
                to_y = rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z
                to_z = rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z
                _add_sampled(total[plane, row, column], cube, to_x, to_y, to_z, half)


@inner
def _add_sampled(cell, cube, x, y, z, half):
    """Add to one cell what a cube holds at (x, y, z)."""
    sign = np.float32(1.0)
    if x < 0:
        x, y, z = -x, -y, -z
        sign = np.float32(-1.0)
    y += np.float32(half)
    z += np.float32(half)
    x0, y0, z0 = int(x), int(y), int(z)
    wx, wy, wz = x - np.float32(x0), y - np.float32(y0), z - np.float32(z0)
    one = np.float32(1.0)
    for dz in range(2):
        along_z = wz if dz else one - wz
        for dy in range(2):
            along_y = along_z * (wy if dy else one - wy)
            for dx in range(2):
                part = along_y * (wx if dx else one - wx)
                near = cube[z0 + dz, y0 + dy, x0 + dx]
                cell[0] += part * near[0]
                cell[1] += sign * part * near[1]
                cell[2] += part * near[2]
