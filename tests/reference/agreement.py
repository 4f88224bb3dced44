"""Slow, obvious twins of the kernels of agreement."""

import numpy as np
from scipy.interpolate import BSpline

from reference.slices import extract_slices

CUBIC = BSpline.basis_element(np.arange(-2.0, 3.0), extrapolate=False)


def correlate_slices(products_rft, images_rft, cube_rft, axes, scale, radius):
    n, m = images_rft.shape[1], products_rft.shape[1]
    slices = np.zeros(images_rft.shape, np.complex128)
    extract_slices(slices, cube_rft, axes, scale, radius)
    for s in range(len(images_rft)):
        products_rft[s] = 0
        for v in range(-(m // 2) + 1, m // 2):
            for u in range(m // 2):
                if 0 < np.hypot(u, v) < radius:
                    products_rft[s, v % m, u] = images_rft[s, v % n, u] * np.conj(slices[s, v % n, u])


def sample_map(map_yx, y, x):
    """Sum all splines of one map at a place (y, x) from its middle."""
    n = len(map_yx)
    at = [np.nan_to_num(CUBIC(np.clip(one + n // 2, 1, n - 2) - np.arange(n))) for one in (y, x)]
    return at[0] @ map_yx @ at[1]
