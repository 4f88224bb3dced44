"""Sums of transforms whose images are moved by a fraction of a pixel."""

from numba import prange

from napari_tomoflow.core.kernels._jit import kernel


@kernel
def add_moved(total_yx, image_yx, phase_y, phase_x):
    """Add a half transform, multiplied by a phase that is the product of one per row and one per column.

    Parameters
    ----------
    total_yx : complex64[ny, nk]
        Accumulator; written in place.
    image_yx : complex64[ny, nk]
    phase_y : complex64[ny]
    phase_x : complex64[nk]

    Notes
    -----
    Not checked: equal shapes, C order. NaN spreads.
    """
    for y in prange(total_yx.shape[0]):
        for x in range(total_yx.shape[1]):
            total_yx[y, x] += image_yx[y, x] * (phase_y[y] * phase_x[x])
