"""Planes through a tomogram, and how picks look in them: as boxes, as spheres, as arrows. It knows no viewer.

Legend: k picks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

AXES_ZYX: dict[str, tuple[int, int, int]] = {"xy": (2, 1, 0), "xz": (2, 0, 1), "yz": (0, 1, 2)}
"""Pane → the axes of the specimen that run to its right, down it and across it."""

_CORNERS = {"box": 4, "sphere": 20}
_HEAD = 0.25
"""Length of an arrow's head over that of the arrow."""


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane of the specimen.

    Attributes
    ----------
    pane : str
        What shows it: ``xy``, ``xz``, ``yz`` or ``oblique``.
    origin_ang_zyx : float64[3]
        The place whose coordinates in the plane are zero.
    axes_zyx : float64[3, 3]
        Unit vectors to the right, down and across.
    """

    pane: str
    origin_ang_zyx: Floats
    axes_zyx: Floats

    @classmethod
    def of_pane(cls, pane: str, place_ang_zyx: ArrayLike) -> "Plane":
        """Return the plane of an orthogonal pane; its coordinates are those of the specimen."""
        axes = np.eye(3)[list(AXES_ZYX[pane])]
        across = AXES_ZYX[pane][2]
        origin = np.zeros(3)
        origin[across] = np.asarray(place_ang_zyx, np.float64)[across]
        return cls(pane, origin, axes)

    @classmethod
    def oblique(cls, place_ang_zyx: ArrayLike, frame: Floats) -> "Plane":
        """Return the plane through a place in a frame: the columns of `frame`, float64[3, 3], act on (x, y, z)."""
        return cls("oblique", np.asarray(place_ang_zyx, np.float64), frame.T[:, ::-1])

    def coordinates(self, points_ang_zyx: Floats) -> Floats:
        """Return how far points lie to the right, down and across, float64[k, 3]."""
        return np.asarray((points_ang_zyx - self.origin_ang_zyx) @ self.axes_zyx.T)

    def point(self, right_ang: float, down_ang: float) -> Floats:
        """Return the place of a point of the plane."""
        return np.asarray(self.origin_ang_zyx + right_ang * self.axes_zyx[0] + down_ang * self.axes_zyx[1])

    @property
    def turn_axis_xyz(self) -> Floats:
        """Axis (x, y, z) of the turn that takes what points to the right to what points down."""
        right, down = self.axes_zyx[:2, ::-1]
        return np.asarray(np.cross(right, down))


def seen_radius(across_ang: Floats, radius_ang: Floats, thickness_ang: float) -> Floats:
    """Return the radius of the circle that a slab cuts out of spheres; zero for those it misses."""
    beyond = np.maximum(np.abs(across_ang) - thickness_ang / 2.0, 0.0)
    return np.asarray(np.sqrt(np.maximum(radius_ang**2 - beyond**2, 0.0)))


def outlines(places_ang: Floats, radius_ang: Floats, shape: str) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Draw a closed line about each pick.

    Parameters
    ----------
    places_ang : float64[k, 2]
        To the right and down.
    radius_ang : float64[k]
        Half the edge of a box.
    shape : {"box", "sphere"}

    Returns
    -------
    right_ang, down_ang : float64
        Points of all lines.
    goes_on : bool
        Whether a point is joined to the next.
    """
    n = _CORNERS[shape]
    angle = 2.0 * np.pi * (np.arange(n + 1) + (0.5 if shape == "box" else 0.0)) / n
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (np.sqrt(2.0) if shape == "box" else 1.0)
    points = places_ang[:, None] + radius_ang[:, None, None] * unit
    return _lines(points)


def arrows(starts_ang: Floats, spans_ang: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Draw an arrow from each start, float64[k, 2], over its span, float64[k, 2]; returned like `outlines`."""
    tips = starts_ang + spans_ang
    aside = spans_ang[:, ::-1] * np.array([-1.0, 1.0])
    left, right = (tips - _HEAD * spans_ang + sign * 0.5 * _HEAD * aside for sign in (-1.0, 1.0))
    return _lines(np.stack([starts_ang, tips, left, tips, right], axis=1))


def _lines(points: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Join the points of each line, float64[k, n, 2], but not the lines."""
    goes_on = np.ones(points.shape[:2], np.bool_)
    goes_on[:, -1] = False
    return points[..., 0].ravel(), points[..., 1].ravel(), goes_on.ravel()
