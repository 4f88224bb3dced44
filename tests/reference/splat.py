"""Gaussian spots, the obvious way: every spot over every voxel."""

import numpy as np


def spot(grid, centre, sigma, reach):
    """Sample a normalised Gaussian on a 1-D grid, cut off beyond `reach` standard deviations."""
    distance = (grid - np.float64(centre)) / np.float64(sigma)
    value = np.exp(-0.5 * distance**2) / (np.sqrt(2 * np.pi) * np.float64(sigma))
    return np.where(np.abs(distance) <= reach, value, 0.0)


def splat_planes(planes, points, weights, sigmas, reach=4.5):
    n_planes, ny, nx = planes.shape
    for (plane, y, x), weight, sigma in zip(points, weights, sigmas, strict=True):
        along_planes = np.maximum(0.0, 1.0 - np.abs(np.arange(n_planes) - np.float64(plane)))
        rows, columns = spot(np.arange(ny), y, sigma, reach), spot(np.arange(nx), x, sigma, reach)
        planes += np.float64(weight) * np.einsum("p,y,x->pyx", along_planes, rows, columns)


def splat_volume(volume_zyx, points, weights, sigmas, reach=4.5):
    nz, ny, nx = volume_zyx.shape
    for (z, y, x), weight, sigma in zip(points, weights, sigmas, strict=True):
        parts = [spot(np.arange(n), c, sigma, reach) for n, c in zip((nz, ny, nx), (z, y, x), strict=True)]
        volume_zyx += np.float64(weight) * np.einsum("z,y,x->zyx", *parts)
