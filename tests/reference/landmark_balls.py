"""Slow, obvious twin of the landmark kernels: a ball as a list of voxels, every sum written out."""

import numpy as np
from scipy.ndimage import map_coordinates


def ball_voxels(radius):
    """All whole (x, y, z) within the radius, float64[V, 3]."""
    along = np.arange(-radius, radius + 1)
    xyz = np.stack(np.meshgrid(along, along, along, indexing="ij"), axis=-1).reshape(-1, 3)
    return xyz[(xyz**2).sum(axis=1) <= radius**2].astype(float)


def predicted_patch(patches, shown, matrices, radius, tilt):
    """Project into one view a ball that all other views were back-projected into."""
    middle = patches.shape[-1] // 2
    xyz = ball_voxels(radius)
    ball = np.zeros(len(xyz))
    for other in np.flatnonzero(shown):
        if other != tilt:
            ball += map_coordinates(patches[other], (xyz @ matrices[other].T + middle).T, np.float64, order=1)
    ball *= 1 - (xyz**2).sum(axis=1) / (radius + 1) ** 2
    predicted = np.zeros(patches.shape[1:])
    for value, (v, u) in zip(ball, xyz @ matrices[tilt].T + middle, strict=True):
        for row in (int(v), int(v) + 1):
            for column in (int(u), int(u) + 1):
                predicted[row, column] += value * (1 - abs(v - row)) * (1 - abs(u - column))
    return predicted
