"""Find the peak of a correlation map and say how far it stands out of the noise."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SD_PER_MAD = 1.4826
"""Standard deviation of normal noise over its median absolute deviation."""


class Peak(NamedTuple):
    """A maximum of a map.

    Attributes
    ----------
    y_px, x_px : float
        Displacement from pixel ``n // 2``, to a fraction of a pixel.
    height : float
        Value of the map there.
    """

    y_px: float
    x_px: float
    height: float


def noise_sd(values: NDArray[np.floating]) -> float:
    """Return the standard deviation of the bulk of the values, deaf to a few large ones."""
    return float(SD_PER_MAD * np.median(np.abs(values - np.median(values))))


def find_peak(map_yx: NDArray[np.floating]) -> Peak:
    """Find the largest value, refined by a parabola along each axis.

    Parameters
    ----------
    map_yx : array[ny, nx]
        Zero displacement at pixel ``n // 2``; at least 1 px on each side. A maximum on the border is not refined.
    """
    ny, nx = map_yx.shape
    y, x = divmod(int(np.argmax(map_yx)), nx)
    dy = vertex(map_yx[y - 1 : y + 2, x]) if 0 < y < ny - 1 else 0.0
    dx = vertex(map_yx[y, x - 1 : x + 2]) if 0 < x < nx - 1 else 0.0
    return Peak(y - ny // 2 + dy, x - nx // 2 + dx, float(map_yx[y, x]))


def vertex(three: NDArray[np.floating]) -> float:
    """Place the top of the parabola through three values, the middle one largest, within half a pixel."""
    before, top, after = (float(value) for value in three)
    bend = before - 2.0 * top + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0
