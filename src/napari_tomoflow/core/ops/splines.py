"""Cubic splines along a line, as weights of the values they run through."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def through_nodes(places: ArrayLike, nodes: int) -> NDArray[np.float64]:
    """Return how much each node counts at some places, of a spline through values spread evenly from end to end.

    Parameters
    ----------
    places : float64[...]
        From 0 to 1; the spline stays as it is beyond.
    nodes : int
        At least 2.

    Returns
    -------
    float64[..., nodes]
    """
    from scipy.ndimage import map_coordinates

    at = np.clip(np.asarray(places, np.float64), 0.0, 1.0) * (nodes - 1)
    # Mirrored ends keep the spline flat rather than wild, as in `Deformation`.
    return np.stack([map_coordinates(one, at[None], np.float64, 3, "mirror") for one in np.eye(nodes)], axis=-1)
