"""Open surfaces over a plane: membranes and planes through clicked points.

Legend: N points, P places, (a, b) coordinates along the plane.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import ConvexHull

from napari_tomoflow.core.picking.clicked import checked_points
from napari_tomoflow.core.picking.fitted import Fitted, standard_errors
from napari_tomoflow.core.picking.frames import intrinsic_axes, unit
from napari_tomoflow.core.picking.smoothing import fit_spline

Floats = NDArray[np.float64]

_FEWEST = 3
_FEWEST_BENT = 6
_SMALL = 1e-4
"""Step of the differences that give the slope, in extents of the surface."""


@dataclass(frozen=True, eq=False)
class HeightSurface:
    """A surface with one height above every place of a plane, within the hull of what it was made from.

    Attributes
    ----------
    center_ang_zyx : float64[3]
    axes_zyx : float64[3, 3]
        Rows: the two directions of the plane, and the way heights are counted.
    outline_ang : float64[H, 2]
        Corners (a, b) of the convex outline, counter-clockwise.
    height_ang : callable
        Places (a, b), float64[P, 2] in Å → heights, float64[P].
    """

    center_ang_zyx: Floats
    axes_zyx: Floats
    outline_ang: Floats
    height_ang: Callable[[Floats], Floats]

    @property
    def edge_ang(self) -> float:
        """Length of the outline."""
        return float(np.linalg.norm(np.diff(self.outline_ang, axis=0, append=self.outline_ang[:1]), axis=1).sum())

    @property
    def extent_ang(self) -> float:
        """Largest width of the outline along its axes."""
        return float(np.ptp(self.outline_ang, axis=0).max())

    def at(self, places: Floats) -> Floats:
        """Return the points above places: float64[P, 3]."""
        return self.center_ang_zyx + np.column_stack([places, self.height_ang(places)]) @ self.axes_zyx

    def places(self, points_zyx: Floats) -> Floats:
        """Return the places points lie above: float64[P, 2]."""
        return (points_zyx - self.center_ang_zyx) @ self.axes_zyx[:2].T

    def drop(self, points_zyx: Floats) -> Floats:
        """Move points along the height onto the surface, those beside the outline to its nearest edge."""
        return self.at(clamped(self.places(points_zyx), self.outline_ang))

    def normals(self, points_zyx: Floats) -> Floats:
        """Return unit normals on the side heights are counted to, float64[P, 3]."""
        slopes = self.slopes(self.places(points_zyx))
        return unit(np.column_stack([-slopes, np.ones(len(slopes))]) @ self.axes_zyx)

    def slopes(self, places: Floats) -> Floats:
        """Return the slope of the height along a and b: float64[P, 2]."""
        step = _SMALL * self.extent_ang
        moves = step * np.eye(2)
        return np.column_stack([
            (self.height_ang(places + move) - self.height_ang(places - move)) / (2.0 * step) for move in moves
        ])  # fmt: skip

    def pool(self, step_ang: float) -> tuple[Floats, float]:
        """Return points over a hexagonal net of places, and the area in Å²."""
        places = hexagonal(self.outline_ang, step_ang)
        area = np.sqrt(3.0) / 2.0 * step_ang**2 * np.sqrt(1.0 + np.sum(self.slopes(places) ** 2, axis=1)).sum()
        return self.at(places), float(area)

    def distances(self, points_zyx: Floats) -> Floats:
        """Return how far points lie above the surface, Å, along its normal: right for points close to it."""
        places = self.places(points_zyx)
        above = (points_zyx - self.center_ang_zyx) @ self.axes_zyx[2] - self.height_ang(places)
        return np.asarray(above / np.sqrt(1.0 + np.sum(self.slopes(places) ** 2, axis=1)))

    def flipped(self) -> "HeightSurface":
        """Return the same surface with its normals on the other side."""
        turned = self.axes_zyx * np.array([[1.0], [-1.0], [-1.0]])
        mirror = np.array([1.0, -1.0])
        return HeightSurface(
            self.center_ang_zyx, turned, (self.outline_ang * mirror)[::-1], partial(_flipped, self.height_ang)
        )


def fit_plane(points_ang_zyx: ArrayLike) -> Fitted[HeightSurface]:
    """Fit the plane with the least sum of squared distances to points, float64[N, 3].

    Raises
    ------
    DataError
        There are fewer than three points, or they lie on a line.
    """
    points = checked_points(points_ang_zyx, _FEWEST, "A plane", across=2)
    center, axes = points.mean(axis=0), intrinsic_axes(points)
    local = (points - center) @ axes.T
    surface = HeightSurface(center, axes, _outline(local[:, :2]), _level)
    # Of height and two slopes, as the normal turns.
    errors = standard_errors(np.column_stack([np.ones(len(local)), local[:, :2]]), local[:, 2])
    size = _extents(local) | {"normal_error_deg": float(np.rad2deg(np.linalg.norm(errors[1:])))}
    return Fitted(surface, local[:, 2], size)


def fit_membrane(points_ang_zyx: ArrayLike) -> Fitted[HeightSurface]:
    """Fit a smooth open surface to points, float64[N, 3]: a plane that bends as the points ask for.

    Raises
    ------
    DataError
        There are fewer than six points, or they lie on a line.

    Notes
    -----
    Heights over the plane of best fit are a thin plate whose stiffness is found together with the noise
    (`smoothing.fit_spline`). It ends at the convex outline of the points. A membrane that turns back over itself is
    none over a plane: its points then lie far off the fit.
    """
    points = checked_points(points_ang_zyx, _FEWEST_BENT, "A membrane", across=2)
    center, axes = points.mean(axis=0), intrinsic_axes(points)
    local = (points - center) @ axes.T
    spline = fit_spline(local[:, :2], local[:, 2:])
    surface = HeightSurface(center, axes, _outline(local[:, :2]), lambda places: spline.at(places)[:, 0])
    error = float(np.sqrt(np.mean(spline.smooth.error**2)))
    size = _extents(local) | {"surface_error_ang": error, "freedom": spline.smooth.freedom}
    return Fitted(surface, surface.distances(points), size)


def hexagonal(outline: Floats, step: float) -> Floats:
    """Return the places of a hexagonal net inside a convex outline, one of them at (0, 0): float64[P, 2]."""
    cell = step * np.array([1.0, np.sqrt(0.75)])
    low, high = np.floor(outline.min(axis=0) / cell) - 1, np.ceil(outline.max(axis=0) / cell) + 2
    column, row = (grid.ravel() for grid in np.meshgrid(*map(np.arange, low, high)))
    places = cell * np.column_stack([column + 0.5 * (row % 2), row])
    return np.asarray(places[np.all(np.abs(places - clamped(places, outline)) <= 1e-9 * step, axis=1)])


def clamped(places: Floats, outline: Floats) -> Floats:
    """Move places outside a convex counter-clockwise outline to its nearest point; others stay."""
    outside = np.zeros(len(places), bool)
    nearest, shortest = places.copy(), np.full(len(places), np.inf)
    for start, way in zip(outline, np.roll(outline, -1, axis=0) - outline, strict=True):
        from_start = places - start
        outside |= from_start[:, 0] * way[1] - from_start[:, 1] * way[0] > 0.0
        foot = start + np.clip(from_start @ way / (way @ way), 0.0, 1.0)[:, None] * way
        distance = np.sum((places - foot) ** 2, axis=1)
        closer = distance < shortest
        nearest[closer], shortest[closer] = foot[closer], distance[closer]
    return np.where(outside[:, None], nearest, places)


def _outline(places: Floats) -> Floats:
    return np.asarray(places[ConvexHull(places).vertices])


def _extents(local: Floats) -> dict[str, float]:
    width, depth = np.ptp(local[:, :2], axis=0)
    return {"length_ang": float(width), "width_ang": float(depth)}


def _level(places: Floats) -> Floats:
    return np.zeros(len(places))


def _flipped(height: Callable[[Floats], Floats], places: Floats) -> Floats:
    return -height(places * np.array([1.0, -1.0]))
