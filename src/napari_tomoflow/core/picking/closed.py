"""Closed surfaces of any bulging shape through clicked points: organelles, deflated vesicles.

Legend: N points, D directions.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.ops.so3 import fibonacci
from napari_tomoflow.core.picking.clicked import checked_points
from napari_tomoflow.core.picking.ellipsoid import fit_ellipsoid
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

_ELLIPSOID_TERMS = 5.0
"""What an ellipsoid has more than a ball: two ratios of axes and three angles."""

_ROUNDING = 1e-9

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
    whose size is found together with the noise (`smoothing`). It is told of a ball, or of the ellipsoid that fits
    best, stretched to a ball: whichever predicts points left out better. A ray from the centre meets the surface
    once.

    References
    ----------
    .. [1] Wahba, G. Spline Models for Observational Data (SIAM, 1990), §4.3.
    """
    points = checked_points(points_ang_zyx, _FEWEST, "A closed surface", across=3)
    frames = [_ball_frame(points)]
    with suppress(DataError):  # too few, or of no ellipsoid
        frames.append(_ellipsoid_frame(points))
    surface, smooth, frame = min((_bulging(points, frame) for frame in frames), key=lambda one: _doubt(points, *one))
    radius_ang = float(frame.scale_ang * smooth.trend_weights[0, 0])
    if surface.radius_ang(fibonacci(len(_KERNEL) ** 2)).min() < _NARROWEST * radius_ang:
        raise DataError(
            f"A closed surface through {len(points)} points folds over its own centre; click more, or divide it into "
            "membranes of their own."
        )
    error_ang = float(frame.scale_ang * np.sqrt(np.mean(smooth.error**2)))
    freedom = smooth.freedom + frame.freedom
    size = {"mean_radius_ang": radius_ang, "surface_error_ang": error_ang, "freedom": freedom}
    return Fitted(surface, surface.distances(points), size)


@dataclass(frozen=True, eq=False)
class _Frame:
    """The body that radii are told of.

    Attributes
    ----------
    center_ang_zyx : float64[3]
    axes_zyx : float64[3, 3]
        Rows are the axes of the body.
    semi_axes_ang : float64[3]
    freedom : float
        Terms its shape has taken from the points.
    """

    center_ang_zyx: Floats
    axes_zyx: Floats
    semi_axes_ang: Floats
    freedom: float

    @property
    def scale_ang(self) -> float:
        """Radius of the ball of the same volume."""
        return float(np.prod(self.semi_axes_ang) ** (1.0 / 3.0))


def _ball_frame(points: Floats) -> _Frame:
    middle, scale = points.mean(axis=0), float(points.std())
    center = middle + scale * rough_sphere((points - middle) / scale)[:3]
    return _Frame(center, intrinsic_axes(points), np.full(3, scale), 0.0)


def _ellipsoid_frame(points: Floats) -> _Frame:
    fitted = fit_ellipsoid(points)
    semi_axes_ang = fitted.shape.radius_ang(np.eye(3))
    return _Frame(fitted.shape.center_ang_zyx, fitted.shape.axes_zyx, semi_axes_ang, _ELLIPSOID_TERMS)


def _bulging(points: Floats, frame: _Frame) -> tuple[RadialSurface, Smooth, _Frame]:
    """Fit radii of the body, stretched to a ball, from a centre that follows the fit."""
    for _ in range(_ROUNDS):
        local = (points - frame.center_ang_zyx) @ frame.axes_zyx.T / frame.semi_axes_ang
        directions = unit(local)
        radii = np.linalg.norm(local, axis=1, keepdims=True)
        smooth = fit_smooth(radii, _trend(directions), _kernel(directions, directions))
        radius = partial(_radius, smooth, directions, frame.semi_axes_ang)
        surface = RadialSurface(frame.center_ang_zyx, frame.axes_zyx, radius)
        shift = frame.semi_axes_ang * smooth.trend_weights[1:, 0]
        frame = replace(frame, center_ang_zyx=frame.center_ang_zyx + shift @ frame.axes_zyx)
    return surface, smooth, frame


def _doubt(points: Floats, surface: RadialSurface, smooth: Smooth, frame: _Frame) -> float:
    """Return how far points would lie off a surface fitted without them, squared: generalised cross-validation [1]."""
    left = max(1.0 - (smooth.freedom + frame.freedom) / len(points), _ROUNDING)
    return float(np.mean(surface.distances(points) ** 2)) / left**2


def _radius(smooth: Smooth, known: Floats, semi_axes_ang: Floats, directions: Floats) -> Floats:
    stretched = directions / semi_axes_ang
    length = np.linalg.norm(stretched, axis=1)
    ball = stretched / length[:, None]
    radii = in_blocks(lambda part: smooth.at(_trend(part), _kernel(part, known)), ball)[:, 0]
    return np.asarray(radii / length)


def _trend(directions: Floats) -> Floats:
    return np.column_stack([np.ones(len(directions)), directions])


def _kernel(directions: Floats, known: Floats) -> Floats:
    return np.asarray(legendre.legval(np.clip(directions @ known.T, -1.0, 1.0), _KERNEL))
