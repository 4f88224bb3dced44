"""How many neighbours particles have at a distance, measured by how many chance would give them."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_DIRECTIONS = 2000


def radial_distribution(first_ang_zyx: Floats, second_ang_zyx: Floats, edges_ang: Floats, *, same: bool) -> Floats:
    """Count pairs by distance, over those expected of as many points strewn evenly over the same box.

    Parameters
    ----------
    first_ang_zyx, second_ang_zyx : float64[P, 3]
        Centres of either species; the same array twice when they are one.
    edges_ang : float64[B + 1]
    same : bool
        Whether they are one species: nothing is then a pair with itself.

    Returns
    -------
    float64[B]
        1 where chance would have as many; NaN where the box holds no such distance.

    Notes
    -----
    The box, along z, y and x, is the one over which evenly strewn points spread as much as these, so neither the
    borders nor the thin slab of a tomogram count as emptiness, and a few strays hardly matter. In a box the share
    of pairs that are a vector r apart is the product of its sides less those of r, over the volume squared.
    """
    from scipy.spatial.distance import cdist, pdist

    apart_ang = pdist(first_ang_zyx) if same else cdist(first_ang_zyx, second_ang_zyx).ravel()
    found, _ = np.histogram(apart_ang, edges_ang)
    sides_ang = _sides(np.concatenate([first_ang_zyx] if same else [first_ang_zyx, second_ang_zyx]))
    expected = len(apart_ang) * _share_apart(sides_ang, edges_ang)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, found / expected, np.nan)


def _sides(points_ang_zyx: Floats) -> Floats:
    """Return the sides of the box over which evenly strewn points spread as much as these."""
    return np.asarray(np.sqrt(12.0) * points_ang_zyx.std(axis=0))


def _share_apart(sides_ang: Floats, edges_ang: Floats) -> Floats:
    """Return the share of all pairs in a box that are as far apart as each bin says."""
    step = np.arange(_DIRECTIONS) + 0.5
    height, turn = 1 - 2 * step / _DIRECTIONS, np.pi * (1 + 5**0.5) * step
    across = np.sqrt(1 - height**2)
    ways = np.abs(np.stack([height, across * np.sin(turn), across * np.cos(turn)], axis=1))
    middle_ang = (edges_ang[1:] + edges_ang[:-1]) / 2
    left_ang = sides_ang - middle_ang[:, None, None] * ways
    density = np.prod(np.maximum(left_ang, 0.0) / np.maximum(sides_ang, 1.0) ** 2, axis=2).mean(axis=1)
    return np.asarray(4 / 3 * np.pi * np.diff(edges_ang**3) * density)
