"""Insertion of slices into a Fourier cube, right by inspection: every sample and its opposite, all eight cells."""

import itertools
import math

import numpy as np


def insert_slices(cube_ft, weights, slices_rft, directions, spacing_rad, radius):
    """Fill a whole cube, float64/complex128[n, n, n], both halves alike."""
    n = len(cube_ft)
    for t, slice_rft in enumerate(slices_rft):
        for row, column in np.ndindex(slice_rft.shape):
            v = row if row < n // 2 else row - n
            if math.hypot(v, column) >= radius or (column == 0 and v < 0):
                continue
            for side, value in ((1, slice_rft[row, column]), (-1, np.conj(slice_rft[row, column]))):
                x, y, z = side * (column * directions[t, 0] + v * directions[t, 1])
                share = max(1.0, spacing_rad[t] * math.hypot(x, z))
                for corner in itertools.product((0, 1), repeat=3):
                    cell = [math.floor(k) + d for k, d in zip((z, y, x), corner, strict=True)]
                    weight = math.prod(1 - abs(k - c) for k, c in zip((z, y, x), cell, strict=True))
                    weights[tuple(c % n for c in cell)] += weight
                    cube_ft[tuple(c % n for c in cell)] += weight * share * value
