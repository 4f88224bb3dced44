"""Slow, obvious twins of the kernels and of the correlation of template matching."""

import numpy as np
from scipy.ndimage import map_coordinates


def local_correlation(volume_zyx, stencil_zyx, mask_zyx):
    """Correlation coefficient under the mask at every voxel, straight from its definition; 0 beyond the borders."""
    n = len(stencil_zyx)
    half = n // 2
    padded = np.pad(volume_zyx.astype(np.float64), [(half, n - half)] * 3)
    weights = mask_zyx / mask_zyx.sum()
    mean = (weights * stencil_zyx).sum()
    spread = np.sqrt((weights * (stencil_zyx - mean) ** 2).sum())
    result = np.zeros(volume_zyx.shape)
    for z, y, x in np.ndindex(*volume_zyx.shape):
        window = padded[z : z + n, y : y + n, x : x + n]
        average = (weights * window).sum()
        deviation = np.sqrt(max((weights * (window - average) ** 2).sum(), 0.0))
        result[z, y, x] = (weights * (stencil_zyx - mean) * (window - average)).sum() / max(spread * deviation, 1e-30)
    return result


def turned(volume_zyx, rotation):
    """Turn a volume about voxel n // 2: the new value at x is the old one at rotationᵀ x."""
    n = len(volume_zyx)
    grid_xyz = np.stack(np.meshgrid(*[np.arange(n) - n // 2] * 3, indexing="ij"))[::-1].reshape(3, -1)
    source = (rotation.T @ grid_xyz)[::-1] + n // 2
    return map_coordinates(volume_zyx, source, order=3).reshape(volume_zyx.shape)


def sums_near(box_zyx, window_zyx):
    """Sum of the products of box and window at every place where the box fits in."""
    n = len(box_zyx)
    sums = np.zeros((len(window_zyx) - n + 1,) * 3)
    for z, y, x in np.ndindex(*sums.shape):
        sums[z, y, x] = (box_zyx.astype(np.float64) * window_zyx[z : z + n, y : y + n, x : x + n]).sum()
    return sums
