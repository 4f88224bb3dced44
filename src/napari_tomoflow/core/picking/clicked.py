"""What clicked points must be before a shape is fitted to them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.errors import DataError

Floats = NDArray[np.float64]

_FLAT = 1e-6
"""Width over length of a cloud of points below which it counts as flat."""


def checked_points(points_ang_zyx: ArrayLike, fewest: int, shape: str, *, across: int = 1) -> Floats:
    """Return points as float64[N, 3], or say why no shape can be fitted to them.

    Parameters
    ----------
    points_ang_zyx : array[N, 3]
    fewest : int
        Different points the shape needs.
    shape : str
        What it is called in the message, article included.
    across : int
        Dimensions the points must extend in: 1 along a line, 2 over a plane, 3 in space.

    Raises
    ------
    DataError
        There are too few, one is not a number, or they lie on a line or a plane.
    """
    points = np.asarray(points_ang_zyx, np.float64).reshape(-1, 3)
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        z, y, x = points[bad[0]]
        raise DataError(f"Point {bad[0] + 1} is not a number: (z, y, x) = ({z:g}, {y:g}, {x:g}) Å; remove it.")
    distinct = len(np.unique(points, axis=0))
    if distinct < fewest:
        raise DataError(f"{shape} needs at least {fewest} different points; got {distinct}; click more.")
    widths = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    reached = int(np.count_nonzero(widths > _FLAT * widths[0]))
    if reached < across:
        where = ("at one place", "on a line", "on a plane")[reached]
        raise DataError(
            f"{shape} cannot be fitted to {len(points)} points that lie {where}; click some beside it, "
            "in other sections too."
        )
    return points
