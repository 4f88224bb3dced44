"""A shape fitted to points, and how well it is known.

Legend: N points, Q parameters.
"""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
S = TypeVar("S")


@dataclass(frozen=True, eq=False)
class Fitted(Generic[S]):
    """A shape and its fit.

    Attributes
    ----------
    shape
    residual_ang : float64[N]
        How far each point lies from the shape, along the outward normal where it has one.
    size : dict of str to float
        What one says of such a shape, and standard errors: ``radius_ang``, ``radius_error_ang``, …; an error
        is NaN where there are no more points than parameters.
    """

    shape: S
    residual_ang: Floats
    size: dict[str, float]


def standard_errors(jacobian: Any, residual: Floats) -> Floats:
    """Return the standard error of each parameter of a least-squares fit: float64[Q].

    Parameters
    ----------
    jacobian : float64[N, Q]
        As `scipy.optimize.least_squares` leaves it.
    residual : float64[N]

    Notes
    -----
    NaN when there are no more residuals than parameters. What the data do not determine takes no part, so ask
    only for parameters that are determined.
    """
    n, q = jacobian.shape
    if n <= q:
        return np.full(q, np.nan)
    variance = residual @ residual / (n - q)
    return np.asarray(np.sqrt(variance * np.maximum(np.diag(np.linalg.pinv(jacobian.T @ jacobian)), 0.0)))
