"""How well a map agrees with images at a pose, sample by sample: the obvious twin of `kernels.poses`."""

import numpy as np


def at(cube_rft, place):
    """Interpolate a half cube trilinearly at (x, y, z), cell by cell."""
    half = cube_rft.shape[2] - 1
    mirrored = place[0] < 0
    place = -place if mirrored else place
    corner = np.floor(place).astype(int)
    value = 0.0
    for offset in np.ndindex(2, 2, 2):
        cell = corner + offset
        share = np.prod(1 - np.abs(place - cell))
        value += share * complex(cube_rft[cell[2] + half, cell[1] + half, cell[0]])
    return np.conj(value) if mirrored else value


def measured(pose, cube_rft, values, power, axes, places):
    """Return agreement and power of one particle at one pose (A | s)."""
    agreement = total = 0.0
    for tilt, (axis_u, axis_v) in enumerate(axes.astype(np.float64)):
        for number, (u, v) in enumerate(places):
            x = u * axis_u + v * axis_v
            seen = at(cube_rft, pose[:, :3].T @ x) * np.exp(-2j * np.pi * x @ pose[:, 3])
            agreement += (np.conj(values[tilt, number]) * seen).real
            total += power[tilt, number] * abs(seen) ** 2
    return agreement, total
