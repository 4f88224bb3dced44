"""How a specimen lies, told by its gold: beads usually lie on one of its surfaces or on both.

Legend: P points.
"""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.level import MOST_SLOPE_ERROR, Slab
from napari_tomoflow.core.ops.peaks import SD_PER_MAD

Floats = NDArray[np.float64]

_SLOPES = np.tan(np.deg2rad(np.arange(-20.0, 21.0, 5.0)))
"""Slopes from which sheets are looked for, along and across the axis."""

_LEAST_FREE = 4
"""Points more than a fit has unknowns: fewer would lie on some two sheets by chance."""

_TWO_FOR_ONE = 0.25
"""Two sheets are believed if points scatter about them by less than this fraction of what they do about one."""

_OUTLYING = 4.0
_MOST_OUTLYING = 0.2
"""Points this many robust standard deviations off their sheet lie inside; where more than this share do, all count."""

_ROUNDS = 4


@dataclass(frozen=True)
class Sheets:
    """Parallel planes z = height + slope_x · x + slope_y · y on which points lie.

    Attributes
    ----------
    slope_x, slope_y : float
    slope_error : float
        Standard error, the larger of the two.
    heights_ang : tuple of float
        Of one sheet or of two, the lower first.
    """

    slope_x: float
    slope_y: float
    slope_error: float
    heights_ang: tuple[float, ...]


def told_by_points(slab: Slab, points_ang_zyx: Floats) -> Slab:
    """Take from points on the surfaces what they tell better than the slab itself.

    That is the slope; between two sheets also height and thickness.

    Parameters
    ----------
    slab : Slab
    points_ang_zyx : float64[P, 3]
        In the same frame; NaN for points that were dropped.
    """
    points = points_ang_zyx[np.isfinite(points_ang_zyx).all(axis=1)]
    sheets = find_sheets(points)
    if sheets is None or sheets.slope_error > min(slab.slope_error, MOST_SLOPE_ERROR):
        return slab
    low, high = sheets.heights_ang[0], sheets.heights_ang[-1]
    told = replace(slab, slope_x=sheets.slope_x, slope_y=sheets.slope_y, slope_error=sheets.slope_error)
    if high > low:
        return replace(told, seen=True, height_ang=0.5 * (low + high), thickness_ang=high - low)
    return told


def find_sheets(points_ang_zyx: Floats) -> Sheets | None:
    """Find the one or two parallel planes points lie on; None where there are too few points to tell.

    Whether they really do is told by the error of the slope: for points all through a specimen it is large.
    """
    one, two = (_best_fit(points_ang_zyx, n_sheets) for n_sheets in (1, 2))
    if one is None or two is None:
        return one[0] if one else None
    return two[0] if two[1] < _TWO_FOR_ONE * one[1] else one[0]


def _best_fit(points_zyx: Floats, n_sheets: int) -> tuple[Sheets, float] | None:
    """Return the sheets about which points scatter least, and by how much; outlying points are left out once."""
    best = _least_scatter(points_zyx, n_sheets)
    if best is None:
        return None
    off = np.abs(best[2])
    inside = off <= _OUTLYING * max(SD_PER_MAD * float(np.median(off)), 1.0)
    if not inside.all() and (~inside).mean() <= _MOST_OUTLYING:
        best = _least_scatter(points_zyx[inside], n_sheets) or best
    return best[:2]


def _least_scatter(points_zyx: Floats, n_sheets: int) -> tuple[Sheets, float, Floats] | None:
    if len(points_zyx) < 2 + n_sheets + _LEAST_FREE:
        return None
    fits = [_fit(points_zyx, np.array(slope_xy), n_sheets) for slope_xy in product(_SLOPES, _SLOPES)]
    return min(fits, key=lambda fit: fit[1])


def _fit(points_zyx: Floats, slope_xy: Floats, n_sheets: int) -> tuple[Sheets, float, Floats]:
    """Divide points among sheets of a slope and fit the slope to them, in turns: (sheets, scatter, residual[P])."""
    z, xy = points_zyx[:, 0], points_zyx[:, :0:-1]
    for _ in range(_ROUNDS):
        upper = _upper(z - xy @ slope_xy) if n_sheets == 2 else np.ones(len(z), np.bool_)
        belongs = np.stack([~upper, upper], axis=1)[:, -n_sheets:].astype(np.float64)
        design = np.concatenate([xy, belongs], axis=1)
        solution = np.linalg.lstsq(design, z, rcond=None)[0]
        slope_xy = solution[:2]
    residual = z - design @ solution
    scatter = float(np.sqrt(residual @ residual / (len(z) - 2 - n_sheets)))
    error = scatter * float(np.sqrt(np.diag(np.linalg.pinv(design.T @ design))[:2].max()))
    heights = tuple(float(height) for height in solution[2:])
    return Sheets(float(slope_xy[0]), float(slope_xy[1]), error, heights), scatter, residual


def _upper(heights: Floats) -> NDArray[np.bool_]:
    """Mark the upper of the two groups into which heights fall, bool[P]; each has two at least."""
    order = np.sort(heights)
    splits = range(2, len(order) - 1)
    squares = [order[:k].var() * k + order[k:].var() * (len(order) - k) for k in splits]
    return np.asarray(heights >= order[splits[int(np.argmin(squares))]])
