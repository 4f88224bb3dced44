"""Smooth shapes over a line, and over what is spanned by several: splines that vary as a Gaussian process does.

A sum of the shapes with independent normal coefficients of variance 1 is a random field of variance 1 that forgets
itself over a given length; shapes that such fields hardly contain are left out.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.ops.splines import through_nodes

Floats = NDArray[np.float64]

_LEAST_SHARE = 1e-3
"""Variance of a shape, in that of the strongest, below which it is left out."""


def along(places: ArrayLike, nodes: int, memory: float) -> Floats:
    """Return shapes along a line of length 1.

    Parameters
    ----------
    places : float64[...]
        From 0 to 1; shapes stay as they are beyond.
    nodes : int
        Of a cubic spline through values spread evenly from end to end, at least 2.
    memory : float
        Length over which fields forget themselves: correlation falls to exp(-1/2).

    Returns
    -------
    float64[..., nodes]
        From the strongest to the weakest.
    """
    splines = through_nodes(places, nodes)
    ends = np.linspace(0.0, 1.0, nodes)
    variance, modes = np.linalg.eigh(np.exp(-0.5 * ((ends[:, None] - ends) / memory) ** 2))
    return np.asarray((splines @ (modes * np.sqrt(np.maximum(variance, 0.0))))[..., ::-1])


def across(places: ArrayLike, nodes: int, memory: float) -> Floats:
    """Return shapes over a square of side 1, products of those along its sides: float64[..., B] for [..., 2]."""
    at = np.asarray(places, np.float64)
    first, second = (along(at[..., axis], nodes, memory) for axis in (0, 1))
    kept = _strong(nodes, memory)
    return np.asarray((first[..., :, None] * second[..., None, :]).reshape(*at.shape[:-1], -1)[..., kept])


def _strong(nodes: int, memory: float) -> NDArray[np.bool_]:
    """Mark the products of two shapes that are not left out: bool[nodes²]."""
    ends = np.linspace(0.0, 1.0, nodes)
    variance = np.maximum(np.linalg.eigvalsh(np.exp(-0.5 * ((ends[:, None] - ends) / memory) ** 2)), 0.0)[::-1]
    products = np.outer(variance, variance).ravel()
    return np.asarray(products > _LEAST_SHARE * products[0])
