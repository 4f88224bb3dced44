"""Filaments: smooth curves through points clicked in order, and particles along them.

Legend: N points, P particles, S steps of a finely divided curve.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.errors import ParamError
from napari_tomoflow.core.picking.clicked import checked_points
from napari_tomoflow.core.picking.fitted import Fitted
from napari_tomoflow.core.picking.frames import across, intrinsic_axes, unit
from napari_tomoflow.core.picking.smoothing import Spline, fit_spline

Floats = NDArray[np.float64]

_FEWEST = 2
_ROUNDS = 3
_ROUNDING = 1e-6
"""Part of a rise a filament may be short of and still hold it."""

_STEPS = 2000
"""Steps a curve is divided into to measure its length."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve in space by its length.

    Attributes
    ----------
    points_ang_zyx : float64[S, 3]
        Close together, in order.
    along_ang : float64[S]
        Length of the curve up to each.
    guide_zyx : float64[3]
        The direction across the curve at its start that counts as 0°.
    """

    points_ang_zyx: Floats
    along_ang: Floats
    guide_zyx: Floats

    @property
    def length_ang(self) -> float:
        """Length from end to end."""
        return float(self.along_ang[-1])

    def at(self, along_ang: Floats) -> tuple[Floats, Floats, Floats]:
        """Return points, unit tangents and unit directions across, each float64[P, 3], at lengths in order.

        The direction across turns as little as it can from one point to the next.
        """
        tangents = np.gradient(self.points_ang_zyx, self.along_ang, axis=0)
        points, ways = (
            np.column_stack([np.interp(along_ang, self.along_ang, column) for column in table.T])
            for table in (self.points_ang_zyx, tangents)
        )
        ways = unit(ways)
        return points, ways, _carried(points, ways, across(ways[:1], self.guide_zyx[None])[0])


def fit_filament(points_ang_zyx: ArrayLike) -> Fitted[Curve]:
    """Fit a smooth curve to points in order, float64[N, 3].

    Raises
    ------
    DataError
        There are fewer than two points, or all are at one place.

    Notes
    -----
    A smoothing spline over the length of the curve, which is measured anew in every round; its stiffness is
    found together with the noise (`smoothing.fit_spline`).
    """
    points = checked_points(points_ang_zyx, _FEWEST, "A filament")
    knots = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    for _ in range(_ROUNDS):
        knots = knots / knots[-1]
        spline = fit_spline(knots[:, None], points)
        curve = _curve(spline, points)
        knots = np.interp(knots, np.linspace(0.0, 1.0, _STEPS + 1), curve.along_ang)
    ways = curve.at(knots)[1]
    beside = spline.smooth.residual - np.sum(spline.smooth.residual * ways, axis=1, keepdims=True) * ways
    error = float(np.sqrt(np.mean(spline.smooth.error**2)))
    size = {"length_ang": curve.length_ang, "curve_error_ang": error, "freedom": spline.smooth.freedom}
    return Fitted(curve, np.linalg.norm(beside, axis=1), size)


def helix_phases(curve: Curve, rise_ang: float) -> Floats:
    """Return the lengths at which particles sit, one rise apart, what is left over shared by both ends.

    Raises
    ------
    ParamError
        The filament is shorter than one rise.
    """
    count = int(curve.length_ang / rise_ang + _ROUNDING)
    if count < 1:
        raise ParamError(
            f"A spacing of {rise_ang / 10:g} nm is longer than a filament of {curve.length_ang / 10:.3g} nm; "
            "give a smaller spacing_nm."
        )
    steps = np.arange(count + 1)
    return np.asarray(0.5 * (curve.length_ang - steps[-1] * rise_ang) + steps * rise_ang)


def _curve(spline: Spline, points: Floats) -> Curve:
    """Evaluate a spline finely, and measure its length."""
    fine = np.linspace(0.0, 1.0, _STEPS + 1)
    course = spline.at(fine[:, None])
    along = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(course, axis=0), axis=1)))
    return Curve(course, along, intrinsic_axes(points)[1])


def _carried(points: Floats, ways: Floats, first: Floats) -> Floats:
    """Carry a direction along a curve without turning it about the curve, by two reflections per step.

    References
    ----------
    .. [1] Wang, W. et al. ACM Trans. Graph. 27 (2008) 2, §4 (double reflection), doi:10.1145/1330511.1330513.
    """
    carried = [first]
    for step, way, next_way in zip(np.diff(points, axis=0), ways, ways[1:], strict=False):
        turned, turned_way = _reflected(np.stack([carried[-1], way]), step)
        carried.append(_reflected(turned[None], next_way - turned_way)[0])
    return np.stack(carried)


def _reflected(vectors: Floats, mirror: Floats) -> Floats:
    """Reflect vectors in the plane across `mirror`; a mirror of no length leaves them."""
    square = mirror @ mirror
    return vectors - np.outer(vectors @ mirror, 2.0 / square * mirror) if square > 0.0 else vectors
