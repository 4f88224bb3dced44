"""Reproject a uniform slab from tilt images without ever making the volume: stretching and a box filter."""

import math

import numpy as np
from numba import prange

from napari_tomoflow.core.kernels._jit import inner, kernel


@inner
def _integral_at(integral, edge):
    """Read a running integral, known at the edges 0 … n of n pixels, between them; constant outside."""
    n = len(integral) - 1
    inside = min(max(edge, 0.0), float(n))
    left = min(math.floor(inside), n - 1)
    w = inside - left
    return (1.0 - w) * integral[left] + w * integral[left + 1]


@kernel
def add_slab_views(view_yx, cover_yx, images, masks, others, stretches, widths_px, weights):
    """Add what other tilt images say of a view of a uniform slab: their pixels stretched and box-filtered.

    Parameters
    ----------
    view_yx : float32[ny, nx]
        Accumulator of ``weight · Box[image · mask]``; written in place.
    cover_yx : float32[ny, nx]
        Accumulator of ``weight · Box[mask]``; written in place.
    images, masks : float32[N, ny, nx]
        All tilt images, tilt axis along y through pixel ``nx // 2``, and how far each pixel counts.
    others : int64[M]
        Which images are added.
    stretches : float64[M]
        Cosine of each one's tilt over the cosine of the view's tilt.
    widths_px : float64[M]
        Width of the box along x, ``thickness · |sin(difference of tilts)| / cos(view's tilt)``.
    weights : float64[M]

    Notes
    -----
    A ray of the view crosses the slab in points that another image sees spread evenly over a stretch of
    one width around ``u · stretch``: back-projecting and reprojecting is exactly that mean, and
    differences of the row's running integral give it in four loads whatever the width.
    A box never gets narrower than one pixel, where it is linear interpolation. Zero outside the image.

    Not checked: equal shapes, C order, float32. Threads own whole rows. NaN spreads along its row.
    """
    ny, nx = view_yx.shape
    for y in prange(ny):
        integral = np.zeros(nx + 1)
        mask_integral = np.zeros(nx + 1)
        for m in range(len(others)):
            image, mask = images[others[m], y], masks[others[m], y]
            half = 0.5 * max(widths_px[m], 1.0)
            scale = weights[m] / (2.0 * half)
            for x in range(nx):
                integral[x + 1] = integral[x] + image[x] * mask[x]
                mask_integral[x + 1] = mask_integral[x] + mask[x]
            for x in range(nx):
                centre = (x - nx // 2) * stretches[m] + nx // 2 + 0.5
                low, high = centre - half, centre + half
                view_yx[y, x] += scale * (_integral_at(integral, high) - _integral_at(integral, low))
                cover_yx[y, x] += scale * (_integral_at(mask_integral, high) - _integral_at(mask_integral, low))
