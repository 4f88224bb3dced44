"""How well a map agrees with images that may lie a little elsewhere: products to be transformed, and samples of those.

Legend: S images of n × n pixels, products on grids of m × m; T tilts, P particles, w × w places of each.
"""

import math

import numpy as np
from numba import prange

from napari_tomoflow.core.kernels._jit import inner, kernel
from napari_tomoflow.core.kernels.resample import spline_weights
from napari_tomoflow.core.kernels.slices import columns_within, sample_cube


@kernel
def correlate_slices(products_rft, images_rft, cube_rft, axes, scale, radius):
    """Multiply images by the complex conjugate of the slices of a map they are to be compared with.

    Parameters
    ----------
    products_rft : complex64[S, m, m // 2 + 1]
        Written; zero at frequency 0 and from the radius on.
    images_rft : complex64[S, n, n // 2 + 1]
    cube_rft, axes, scale, radius
        As for `slices.extract_slices`.

    Notes
    -----
    Not checked: shapes; even n and m; ``radius · scale ≤ c - 1``; radius at most n / 2 and m / 2. Threads own whole
    images. NaN spreads to the samples next to it.
    """
    n, m, n_columns = images_rft.shape[1], products_rft.shape[1], products_rft.shape[2]
    step, reach = np.float32(scale), math.ceil(radius)
    for s in prange(len(images_rft)):
        products_rft[s] = 0.0
        ux, uy, uz = axes[s, 0, 0] * step, axes[s, 0, 1] * step, axes[s, 0, 2] * step
        vx, vy, vz = axes[s, 1, 0] * step, axes[s, 1, 1] * step, axes[s, 1, 2] * step
        for v in range(1 - reach, reach):
            image, product = images_rft[s, v if v >= 0 else v + n], products_rft[s, v if v >= 0 else v + m]
            at_v = np.float32(v)
            for column in range(columns_within(v, radius, n_columns)):
                u = np.float32(column)
                value = sample_cube(cube_rft, u * ux + at_v * vx, u * uy + at_v * vy, u * uz + at_v * vz)
                product[column] = image[column] * value.conjugate()
        products_rft[s, 0, 0] = 0.0


@inner
def sample_maps(values, slopes, maps, places):
    """Read one small map of cubic B-splines for each tilt and particle at a place of its own, with its slopes.

    Parameters
    ----------
    values : float64[T, P]
        Written.
    slopes : float64[T, 2, P]
        Written: along y and x, per step of the map.
    maps : float32[T, P, w, w]
        Weights of the splines.
    places : float64[T, 2, P]
        (y, x) in steps from the middle, ``w // 2``.

    Notes
    -----
    Not checked: shapes; w ≥ 5. Places beyond the map are read at its edge, with no slope across it. NaN spreads. It is
    over before threads would have come together: whoever has several fits to do shares those out.
    """
    for t in range(maps.shape[0]):
        for p in range(maps.shape[1]):
            values[t, p], slopes[t, 0, p], slopes[t, 1, p] = _sample(maps[t, p], places[t, 0, p], places[t, 1, p])


@inner
def _sample(map_yx, y, x):
    """Return the spline and its slopes at one place."""
    low, free_y = _within(y, map_yx.shape[0])
    left, free_x = _within(x, map_yx.shape[1])
    row, column = math.floor(low), math.floor(left)
    t_y, t_x = np.float32(low - row), np.float32(left - column)
    by_y, by_x = spline_weights(t_y), spline_weights(t_x)
    fall_y, fall_x = _spline_slopes(t_y), _spline_slopes(t_x)
    value = along_y = along_x = np.float32(0.0)
    for j in range(4):
        line = map_yx[row - 1 + j]
        read = by_x[0] * line[column - 1] + by_x[1] * line[column]
        read += by_x[2] * line[column + 1] + by_x[3] * line[column + 2]
        slope = fall_x[0] * line[column - 1] + fall_x[1] * line[column]
        slope += fall_x[2] * line[column + 1] + fall_x[3] * line[column + 2]
        value += by_y[j] * read
        along_y += fall_y[j] * read
        along_x += by_y[j] * slope
    return value, free_y * along_y, free_x * along_x


@inner
def _within(offset, width):
    """Return an index that has its four neighbours in the map, and 0 if it was brought there, else 1."""
    index = offset + width // 2
    if index < 1.0:
        return 1.0, np.float32(0.0)
    # A hair below the last place, so that its floor has two neighbours to the right.
    last = width - 2.0 - 1e-6
    if index > last:
        return last, np.float32(0.0)
    return index, np.float32(1.0)


@inner
def _spline_slopes(t):
    """Return the derivatives of `resample.spline_weights`."""
    half, three, four = np.float32(0.5), np.float32(3.0), np.float32(4.0)
    s = np.float32(1.0) - t
    return -s * s * half, (three * t - four) * t * half, (four - three * s) * s * half, t * t * half
