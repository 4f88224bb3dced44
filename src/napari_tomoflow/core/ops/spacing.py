"""Points kept apart.

Legend: P points.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

Floats = NDArray[np.float64]


def spaced(points: Floats, distance: float, order: Iterable[int], kept: Sequence[int] = ()) -> NDArray[np.intp]:
    """Take points in a given order, passing over those closer than a distance to one already taken.

    Parameters
    ----------
    points : float64[P, 3]
    distance : float
    order : iterable of int
        Which to ask first; those left out of it are never taken.
    kept : sequence of int
        Taken beforehand.

    Returns
    -------
    intp[K]
        Indices in the order they were taken, `kept` first.
    """
    free = np.ones(len(points), bool)
    taken = list(kept)
    tree = KDTree(points)
    # Exactly the distance apart is far enough; a k-d tree includes its radius.
    radius = np.nextafter(distance, 0.0)
    for index in taken:
        free[tree.query_ball_point(points[index], radius)] = False
    for index in order:
        if free[index]:
            taken.append(index)
            free[tree.query_ball_point(points[index], radius)] = False
    return np.asarray(taken, np.intp)
