"""Closed surfaces seen from their centre: one radius for every direction.

Legend: P points, D directions.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ops.so3 import fibonacci
from napari_tomoflow.core.picking.frames import across, unit

Floats = NDArray[np.float64]

_COARSE = 2000
"""Directions a surface's area is first estimated from."""

_SMALL = 1e-4
"""Step, in radians, of the differences that give a surface's slope."""


@dataclass(frozen=True, eq=False)
class RadialSurface:
    """A closed surface every ray from its centre meets once.

    Attributes
    ----------
    center_ang_zyx : float64[3]
    axes_zyx : float64[3, 3]
        Rows are the axes of the body.
    radius_ang : callable
        Unit directions along the body's axes, float64[D, 3] → radii, float64[D].
    """

    center_ang_zyx: Floats
    axes_zyx: Floats
    radius_ang: Callable[[Floats], Floats]

    @property
    def edge_ang(self) -> float:
        """Length of its edge: it has none."""
        return 0.0

    def at(self, directions: Floats) -> Floats:
        """Return the points of the surface in directions along the body's axes: float64[D, 3]."""
        unit_directions = unit(directions)
        local = unit_directions * self.radius_ang(unit_directions)[:, None]
        return np.asarray(self.center_ang_zyx + local @ self.axes_zyx)

    def directions(self, points_zyx: Floats) -> Floats:
        """Return where points lie, seen from the centre: unit vectors along the body's axes."""
        return unit((points_zyx - self.center_ang_zyx) @ self.axes_zyx.T)

    def drop(self, points_zyx: Floats) -> Floats:
        """Move points along their radius onto the surface."""
        return self.at(self.directions(points_zyx))

    def normals(self, points_zyx: Floats) -> Floats:
        """Return outward unit normals, float64[P, 3]."""
        directions = self.directions(points_zyx)
        first = across(directions, np.eye(3))
        second = np.cross(directions, first)
        along, aside = (
            self.at(directions + _SMALL * way) - self.at(directions - _SMALL * way) for way in (first, second)
        )
        normals = unit(np.cross(along, aside))
        outward = np.sum(normals * (directions @ self.axes_zyx), axis=1, keepdims=True)
        return np.where(outward < 0, -normals, normals)

    def pool(self, step_ang: float) -> tuple[Floats, float]:
        """Return points about `step_ang` apart in the mean, and the area in Å²."""
        area = self._areas(fibonacci(_COARSE)).sum()
        return self.at(fibonacci(max(_COARSE, round(area / step_ang**2)))), float(area)

    def distances(self, points_zyx: Floats) -> Floats:
        """Return how far points lie outside the surface, Å, along its normal: right for points close to it."""
        directions = self.directions(points_zyx)
        radial = np.linalg.norm(points_zyx - self.center_ang_zyx, axis=1) - self.radius_ang(directions)
        slant = np.sum(self.normals(points_zyx) * (directions @ self.axes_zyx), axis=1)
        return np.asarray(radial * slant)

    def _areas(self, directions: Floats) -> Floats:
        """Return the area that each of many evenly spread directions stands for."""
        points = self.at(directions)
        outward = unit(points - self.center_ang_zyx)
        slant = np.sum(self.normals(points) * outward, axis=1)
        return np.asarray(4.0 * np.pi / len(directions) * self.radius_ang(directions) ** 2 / slant)
