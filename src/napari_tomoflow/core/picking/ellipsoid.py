"""Ellipsoids of any axes and orientation through clicked points.

Legend: N points.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.picking.clicked import checked_points
from napari_tomoflow.core.picking.fitted import Fitted, standard_errors
from napari_tomoflow.core.picking.frames import oriented
from napari_tomoflow.core.picking.radial import RadialSurface

Floats = NDArray[np.float64]

_FEWEST = 10
_VAGUE = 0.3
"""Relative error of a semi-axis beyond which points do not tell an ellipsoid."""

_LONGEST = 7.0
"""Logarithm of the longest semi-axis, in widths of the cloud of points."""

_NEWTON_STEPS = 40
_ROUNDING = 1e-13
_STEPS = 100
"""Steps of the search: an ellipsoid the points tell is found within a dozen."""


def fit_ellipsoid(points_ang_zyx: ArrayLike) -> Fitted[RadialSurface]:
    """Fit the ellipsoid with the least sum of squared distances to points, float64[N, 3].

    Raises
    ------
    DataError
        There are fewer than ten points, or they do not determine an ellipsoid.

    Notes
    -----
    Started from the quadric that fits best where that is an ellipsoid, and from the moments of the points;
    the better end counts. Distances are those to the nearest point of the surface.
    """
    points = checked_points(points_ang_zyx, _FEWEST, "An ellipsoid", across=3)
    middle, scale = points.mean(axis=0), points.std()
    local = (points - middle) / scale
    ends = [_refined(local, *start) for start in (_by_moments(local), _by_quadric(local)) if start is not None]
    center, semi_axes, axes, residual, errors = min(ends, key=lambda end: float(end[3] @ end[3]))
    if not errors[3:6].max() <= _VAGUE:
        raise DataError(
            f"{len(points)} points tell a semi-axis of an ellipsoid only to {errors[3:6].max():.0%}; "
            "click more, in sections above and below too, or choose a sphere."
        )
    by_length = np.argsort(-semi_axes)
    semi_axes_ang = semi_axes[by_length] * scale
    surface = RadialSurface(
        center_ang_zyx=middle + scale * center,
        axes_zyx=oriented(axes[by_length], local - center),
        radius_ang=lambda directions: 1.0 / np.linalg.norm(directions / semi_axes_ang, axis=1),
    )
    names = ("long", "middle", "short")
    size = {f"{name}_semi_axis_ang": float(value) for name, value in zip(names, semi_axes_ang, strict=True)}
    relative = errors[3:6][by_length]
    size |= {
        f"{name}_semi_axis_error_ang": float(value) for name, value in zip(names, relative * semi_axes_ang, strict=True)
    }
    size["center_error_ang"] = float(np.linalg.norm(errors[:3]) * scale)
    return Fitted(surface, residual * scale, size)


def ellipsoid_distances(points: Floats, semi_axes: Floats) -> Floats:
    """Return how far points, float64[N, 3] in the frame of the axes, lie outside an ellipsoid about 0.

    Notes
    -----
    The foot of a point y is a² y / (a² + t) for the largest root t of Σ (a y / (a² + t))² = 1. Started
    where one term alone is 1, left of the root, Newton's steps on this falling convex sum never overshoot.
    """
    squares = semi_axes**2
    magnitude = np.maximum(np.abs(points), 1e-12 * semi_axes.max())
    root = np.max(semi_axes * magnitude - squares, axis=1, keepdims=True)
    for _ in range(_NEWTON_STEPS):
        terms = (semi_axes * magnitude / (squares + root)) ** 2
        excess = terms.sum(axis=1, keepdims=True) - 1.0
        if excess.max() < _ROUNDING:
            break
        root += 0.5 * excess / np.sum(terms / (squares + root), axis=1, keepdims=True)
    foot = squares * magnitude / (squares + root)
    return np.asarray(np.sign(root[:, 0]) * np.linalg.norm(magnitude - foot, axis=1))


def _refined(
    points: Floats, center: Floats, semi_axes: Floats, axes: Floats
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Fit from a start: centre, semi-axes, axes (rows), residual, and errors of centre, log semi-axes, turn."""

    def axes_of(turn: Floats) -> Floats:
        return axes @ Rotation.from_rotvec(turn).as_matrix()

    def distances(values: Floats) -> Floats:
        local = (points - values[:3]) @ axes_of(values[6:]).T
        return ellipsoid_distances(local, np.exp(np.clip(values[3:6], -_LONGEST, _LONGEST)))

    start = np.concatenate([center, np.log(semi_axes), np.zeros(3)])
    found = least_squares(distances, start, method="lm", xtol=1e-11, ftol=1e-11, gtol=1e-11, max_nfev=_STEPS)
    semi_axes = np.exp(np.clip(found.x[3:6], -_LONGEST, _LONGEST))
    return found.x[:3], semi_axes, axes_of(found.x[6:]), found.fun, standard_errors(found.jac, found.fun)


def _by_moments(points: Floats) -> tuple[Floats, Floats, Floats]:
    """Start from the spread of the points: that of a shell is its semi-axis over √3."""
    center = points.mean(axis=0)
    widths, axes = np.linalg.svd(points - center, full_matrices=False)[1:]
    return center, np.maximum(np.sqrt(3.0 / len(points)) * widths, 1e-3), axes


def _by_quadric(points: Floats) -> tuple[Floats, Floats, Floats] | None:
    """Start from the quadric whose matrix has trace 3, by linear least squares; None if it is no ellipsoid."""
    a, b, c = points.T
    terms = [a * a + b * b - 2 * c * c, a * a + c * c - 2 * b * b, 2 * a * b, 2 * a * c, 2 * b * c]
    design = np.column_stack([*terms, 2.0 * points, np.ones(len(points))])
    k = np.linalg.lstsq(design, np.sum(points**2, axis=1))[0]
    matrix = np.eye(3) - np.array([
        [k[0] + k[1], k[2], k[3]],
        [k[2], k[0] - 2 * k[1], k[4]],
        [k[3], k[4], k[1] - 2 * k[0]],
    ])  # fmt: skip
    bends, axes = np.linalg.eigh(matrix)
    if bends.min() <= 0.0:
        return None
    center = np.linalg.solve(matrix, k[5:8])
    squares = (center @ matrix @ center + k[8]) / bends
    return (center, np.sqrt(squares), axes.T) if squares.min() > 0.0 else None
