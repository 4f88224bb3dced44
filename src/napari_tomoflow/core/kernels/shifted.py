"""Sums of rows of a table, each read from a place of its own."""

import math

from napari_tomoflow.core.kernels._jit import inner


@inner
def sum_shifted(total_n, table_rm, start_r):
    """Add up the rows of a table, row r read from `start_r[r]` on, by linear interpolation.

    Parameters
    ----------
    total_n : complex64 or float32[n]
        Accumulator; written in place.
    table_rm : complex64 or float32[R, m]
    start_r : float64[R]
        Place in the row of the first number; rows count as constant beyond their ends.

    Notes
    -----
    Not checked: ``m`` of at least 2, C order, equal element types. One thread. NaN spreads.
    """
    last = table_rm.shape[1] - 1
    for r in range(table_rm.shape[0]):
        first = math.floor(start_r[r])
        w = table_rm.real.dtype.type(start_r[r] - first)
        for i in range(total_n.shape[0]):
            low = min(max(first + i, 0), last)
            high = min(max(first + i + 1, 0), last)
            total_n[i] += (1 - w) * table_rm[r, low] + w * table_rm[r, high]
