"""Closed surfaces of any bulging shape through clicked points: organelles, deflated vesicles.

Legend: N points, D directions.
"""

from functools import partial

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.ops.so3 import fibonacci
from napari_tomoflow.core.picking.clicked import checked_points
from napari_tomoflow.core.picking.fitted import Fitted
from napari_tomoflow.core.picking.frames import intrinsic_axes, unit
from napari_tomoflow.core.picking.radial import RadialSurface
from napari_tomoflow.core.picking.smoothing import Smooth, fit_smooth, in_blocks
from napari_tomoflow.core.picking.sphere import rough_sphere

Floats = NDArray[np.float64]

_FEWEST = 8
_ROUNDS = 3
_NARROWEST = 0.1
"""Smallest radius over the mean one: a surface that comes closer to its centre folds over there."""

_DEGREES = np.arange(2, 25)
_KERNEL = np.zeros(_DEGREES[-1] + 1)
_KERNEL[2:] = (2 * _DEGREES + 1) / (_DEGREES * (_DEGREES + 1.0)) ** 3
"""Legendre coefficients of the covariance of radii: harmonics of degree l cost (l (l + 1))³. Degrees 0 and 1
are size and place and cost nothing. With the square, 40 clicks on an ellipsoid are followed one by one."""


def fit_closed(points_ang_zyx: ArrayLike) -> Fitted[RadialSurface]:
    """Fit a smooth closed surface to points, float64[N, 3].

    Raises
    ------
    DataError
        There are fewer than eight points, they lie on a plane, or the surface folds over.

    Notes
    -----
    The radius, seen from a centre that follows the fit, is a sum of spherical harmonics up to degree 24
    whose size is found together with the noise (`smoothing`). A ray from the centre meets the surface once.
    """
    points = checked_points(points_ang_zyx, _FEWEST, "A closed surface", across=3)
    middle, scale = points.mean(axis=0), float(points.std())
    center = middle + scale * rough_sphere((points - middle) / scale)[:3]
    axes = intrinsic_axes(points)
    for _ in range(_ROUNDS):
        local = (points - center) @ axes.T / scale
        directions = unit(local)
        radii = np.linalg.norm(local, axis=1, keepdims=True)
        smooth = fit_smooth(radii, _trend(directions), _kernel(directions, directions))
        surface = RadialSurface(center, axes, partial(_radius, smooth, directions, scale))
        center = center + scale * smooth.trend_weights[1:, 0] @ axes
    radius_ang = float(scale * smooth.trend_weights[0, 0])
    if surface.radius_ang(fibonacci(len(_KERNEL) ** 2)).min() < _NARROWEST * radius_ang:
        raise DataError(
            f"A closed surface through {len(points)} points folds over its own centre; click more, or divide it into "
            "membranes of their own."
        )
    error_ang = float(scale * np.sqrt(np.mean(smooth.error**2)))
    size = {"mean_radius_ang": radius_ang, "surface_error_ang": error_ang, "freedom": smooth.freedom}
    return Fitted(surface, surface.distances(points), size)


def _radius(smooth: Smooth, known: Floats, scale: float, directions: Floats) -> Floats:
    return scale * in_blocks(lambda part: smooth.at(_trend(part), _kernel(part, known)), directions)[:, 0]


def _trend(directions: Floats) -> Floats:
    return np.column_stack([np.ones(len(directions)), directions])


def _kernel(directions: Floats, known: Floats) -> Floats:
    return np.asarray(legendre.legval(np.clip(directions @ known.T, -1.0, 1.0), _KERNEL))
