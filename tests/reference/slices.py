"""Central slices by the definition: a whole cube, every sample and its opposite, all eight cells."""

import itertools
import math

import numpy as np


def places(n, radius, scale, axes):
    """Yield (row, column, (x, y, z) in cells) of every sample of a half transform within a radius."""
    for row, column in np.ndindex(n, n // 2 + 1):
        v = row if row < n // 2 else row - n
        if math.hypot(v, column) < radius:
            yield row, column, scale * (column * axes[0] + v * axes[1])


def corners(place):
    """Yield the eight cells around a place (x, y, z), as (z, y, x), with their weights."""
    for corner in itertools.product((0, 1), repeat=3):
        cell = [math.floor(k) + d for k, d in zip(place[::-1], corner, strict=True)]
        yield tuple(cell), math.prod(1 - abs(k - c) for k, c in zip(place[::-1], cell, strict=True))


def whole(cube_rft):
    """Fill in the half with kx < 0 of a cube, complex[2 c + 1, 2 c + 1, 2 c + 1], frequency 0 in the middle."""
    return np.concatenate([cube_rft[::-1, ::-1, :0:-1].conj(), cube_rft], axis=2)


def extract_slices(slices_rft, cube_rft, axes, scale, radius):
    cube_ft = whole(cube_rft)
    half = cube_rft.shape[2] - 1
    slices_rft[:] = 0
    for s, directions in enumerate(axes):
        for row, column, place in places(slices_rft.shape[1], radius, scale, directions):
            slices_rft[s, row, column] = sum(w * cube_ft[tuple(c + half for c in cell)] for cell, w in corners(place))


def insert_slices(cube_ft, weights, images_rft, power, slice_weights, axes, scale, radius):
    """Fill a whole cube, complex128 and float64[2 c + 1, 2 c + 1, 2 c + 1]: no half is left to symmetry."""
    half = len(cube_ft) // 2
    for s, directions in enumerate(axes):
        for row, column, place in places(images_rft.shape[1], radius, scale, directions):
            if column == 0:
                opposites = ((1, images_rft[s, row, column]),)
            else:
                opposites = ((1, images_rft[s, row, column]), (-1, images_rft[s, row, column].conj()))
            for side, value in opposites:
                for cell, weight in corners(side * place):
                    index = tuple(c + half for c in cell)
                    cube_ft[index] += slice_weights[s] * weight * value
                    weights[index] += slice_weights[s] * weight * power[s, row, column]


def add_rotated(total, cube, rotation, radius):
    """As the kernel, on whole cubes of one value to a cell."""
    half = len(cube) // 2
    for index in np.ndindex(total.shape):
        z, y, x = (i - half for i in index)
        if math.sqrt(x * x + y * y + z * z) <= radius:
            place = rotation @ (x, y, z)
            total[index] += sum(w * cube[tuple(c + half for c in cell)] for cell, w in corners(place))
