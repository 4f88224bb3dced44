"""Turn and shift images in their plane, and sum them across a line, by linear interpolation."""

import math

import numpy as np
from numba import prange

from napari_tomoflow.core.kernels._jit import inner, kernel


@inner
def _sample(image_yx, v, u):
    """Interpolate linearly; zero outside, each tap tested alone, so the result is continuous everywhere."""
    ny, nx = image_yx.shape
    y, x = math.floor(v), math.floor(u)
    wy, wx = v - y, u - x
    value = 0.0
    if 0 <= y < ny:
        if 0 <= x < nx:
            value += (1.0 - wy) * (1.0 - wx) * image_yx[y, x]
        if 0 <= x + 1 < nx:
            value += (1.0 - wy) * wx * image_yx[y, x + 1]
    if 0 <= y + 1 < ny:
        if 0 <= x < nx:
            value += wy * (1.0 - wx) * image_yx[y + 1, x]
        if 0 <= x + 1 < nx:
            value += wy * wx * image_yx[y + 1, x + 1]
    return value


@kernel
def turn_images(out, images, angles_rad, shifts_px_yx):
    """Resample images so that the line at each one's angle from its y axis lies along y.

    Parameters
    ----------
    out : float32[N, my, mx]
        ``out(p) = image(Rz(angle) · p + shift)`` with p from pixel ``n // 2`` of each; written in place.
    images : float32[N, ny, nx]
    angles_rad : float64[N]
        Counter-clockwise from +y, y up.
    shifts_px_yx : float64[N, 2]
        Where the centre of `out` lies in each image, from its pixel ``n // 2``.

    Notes
    -----
    Not checked: float32, C order. Threads own whole rows. Zero outside the image; NaN spreads to neighbours.
    """
    n, my, mx = out.shape
    _, ny, nx = images.shape
    for job in prange(n * my):
        # prange counts in unsigned numbers, which must not meet signed ones.
        i = np.int64(job) // my
        row = np.int64(job) - i * my
        c, s = math.cos(angles_rad[i]), math.sin(angles_rad[i])
        y = row - my // 2
        for column in range(mx):
            x = column - mx // 2
            u = c * x - s * y + shifts_px_yx[i, 1] + nx // 2
            v = s * x + c * y + shifts_px_yx[i, 0] + ny // 2
            out[i, row, column] = np.float32(_sample(images[i], v, u))


@kernel
def sum_onto_lines(lines, images, angles_rad, shifts_px_yx, half_widths_px):
    """Sum every image across each of several candidate tilt axes: its profile along that axis.

    Parameters
    ----------
    lines : float64[A, N, m]
        ``lines[a, i]`` is image i summed across axis a within its half width; written in place.
    images : float32[N, ny, nx]
    angles_rad : float64[A]
        Candidate axes, counter-clockwise from +y.
    shifts_px_yx : float64[N, 2]
        Where the specimen's centre lies in each image, from pixel ``n // 2``.
    half_widths_px : float64[N]
        How far from the axis each image counts; the last pixel fades linearly.

    Notes
    -----
    Not checked: shapes, C order, float32 images. Threads own whole angles. NaN spreads to its line.
    """
    n_angles, n_images, m = lines.shape
    _, ny, nx = images.shape
    for a in prange(n_angles):
        c, s = math.cos(angles_rad[a]), math.sin(angles_rad[a])
        for i in range(n_images):
            half = half_widths_px[i]
            reach = math.ceil(half)
            for along in range(m):
                y = along - m // 2
                total = 0.0
                for x in range(-reach, reach + 1):
                    u = c * x - s * y + shifts_px_yx[i, 1] + nx // 2
                    v = s * x + c * y + shifts_px_yx[i, 0] + ny // 2
                    fade = min(2.0 * (1.0 - abs(x) / half), 1.0) if abs(x) < half else 0.0
                    total += fade * _sample(images[i], v, u)
                lines[a, i, along] = total
