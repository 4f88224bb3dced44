"""Follow beads through a tilt series: from spots in single images to points of the specimen.

An alignment right to a few pixels says where a point would be seen in every tilt, so nothing is followed
from image to image: each spot of a low tilt tries all heights, and where a bead is, spots lie at the
predicted places in many tilts at once.

Legend: N tilts, P points, K detections, H heights.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_tomoflow.core.alignment.bundle_model import Observations
from napari_tomoflow.core.alignment.gold import Detections
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.alignment import Alignment

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SEEDING_TILTS = 3
"""Tilts whose spots start points: a bead hidden or missed in the lowest is seen in the next."""

_MOST_SEEDS = 60
"""The strongest spots of a tilt that start points: more beads make an alignment no better."""

_LEAST_SHARE = 0.5
"""A bead is seen in at least this share of the tilts that show its place."""

_LEAST_TILTS = 4

_APART = 1.3
"""Beads predicted closer together than this many diameters hide each other."""


def make_beads(
    detections: Sequence[Detections], alignment: Alignment, depth_ang: float, radius_ang: float, apart_ang: float
) -> Floats:
    """Find the points of the specimen that explain the spots of many tilts.

    Parameters
    ----------
    detections : sequence of Detections
        Of every tilt.
    alignment : Alignment
    depth_ang : float
        Heights from minus to plus half of this are tried.
    radius_ang : float
        How far from its prediction a spot may lie.
    apart_ang : float
        Points closer than this are one.

    Returns
    -------
    float64[P, 3]
        Å from the specimen's centre, zyx; best seen first.
    """
    trees = _trees(detections, alignment)
    heights = np.arange(-0.5 * depth_ang, 0.5 * depth_ang + radius_ang, radius_ang)
    points, votes = [np.zeros((0, 3))], [np.zeros(0, np.int64)]
    lowest = np.argsort(np.abs(alignment.tilt_deg) + np.where(alignment.kept, 0.0, np.inf), kind="stable")
    for tilt in map(int, lowest[:_SEEDING_TILTS]):
        for seen_ang_yx in detections[tilt].position_ang_yx[:_MOST_SEEDS]:
            tried = on_ray(alignment, tilt, seen_ang_yx, heights)
            agreeing = _count_near(tried, trees, alignment, radius_ang)
            best = int(agreeing.argmax())
            points.append(tried[best : best + 1])
            votes.append(agreeing[best : best + 1])
    return _distinct(np.concatenate(points), np.concatenate(votes), apart_ang)


def observe(
    points_ang_zyx: Floats,
    detections: Sequence[Detections],
    alignment: Alignment,
    radius_ang: float,
    diameter_ang: float,
    half_field_ang_yx: Floats,
) -> tuple[Observations, Floats]:
    """Take for each point in each tilt the spot next to its prediction.

    Left out are spots beside which another point is predicted, and points seen in less than half of the
    tilts that show their place.

    Parameters
    ----------
    points_ang_zyx : float64[P, 3]
    detections : sequence of Detections
    alignment : Alignment
    radius_ang : float
        How far a spot may lie from its prediction.
    diameter_ang : float
        Of the beads.
    half_field_ang_yx : float64[2]
        Half the size of the images.

    Returns
    -------
    observations : Observations
        Of the points that are left, counted anew.
    points_ang_zyx : float64[P', 3]

    Raises
    ------
    DataError
        No point is left.
    """
    predicted, _ = alignment.project(points_ang_zyx)
    tilts, numbers, positions = [], [], []
    shown = np.zeros(len(points_ang_zyx), np.int64)
    for tilt in map(int, np.flatnonzero(alignment.kept)):
        clear = (np.abs(predicted[tilt]) < half_field_ang_yx - diameter_ang).all(axis=1)
        clear &= _alone(predicted[tilt], max(_APART * diameter_ang, radius_ang))
        shown += clear
        spots = detections[tilt].position_ang_yx
        for point, spot in _pairs(predicted[tilt], spots, clear, radius_ang):
            tilts.append(tilt)
            numbers.append(point)
            positions.append(spots[spot])
    number = np.array(numbers, np.int64)
    seen = np.bincount(number, minlength=len(points_ang_zyx))
    good = (seen >= _LEAST_SHARE * shown) & (seen >= _LEAST_TILTS)
    if not good.any():
        raise DataError("No bead is seen in enough tilts; got spots that do not agree; check the tilt angles.")
    used = good[number]
    anew = np.cumsum(good) - 1
    return (
        Observations(np.array(tilts, np.int64)[used], anew[number[used]], np.array(positions)[used]),
        points_ang_zyx[good],
    )


def _trees(detections: Sequence[Detections], alignment: Alignment) -> list[tuple[int, cKDTree]]:
    return [
        (tilt, cKDTree(detections[tilt].position_ang_yx))
        for tilt in map(int, np.flatnonzero(alignment.kept))
        if len(detections[tilt].position_ang_yx)
    ]


def on_ray(alignment: Alignment, tilt: int, seen_ang_yx: Floats, depths_ang: Floats) -> Floats:
    """Return the points float64[H, 3] zyx at given depths that are all seen at one place of one tilt."""
    u, v = (seen_ang_yx - alignment.shift_ang_yx[tilt])[::-1]
    turned = np.stack([np.full(len(depths_ang), u), np.full(len(depths_ang), v), depths_ang], axis=1)
    # The inverse of a rotation is its transpose: rows times R.
    points: Floats = (turned @ alignment.rotations[tilt])[:, ::-1]
    return points


def _count_near(
    points_ang_zyx: Floats, trees: list[tuple[int, cKDTree]], alignment: Alignment, radius_ang: float
) -> Ints:
    """Count in how many tilts a spot lies near where each point is predicted."""
    predicted, _ = alignment.project(points_ang_zyx)
    count = np.zeros(len(points_ang_zyx), np.int64)
    for tilt, tree in trees:
        distance, _ = tree.query(predicted[tilt], distance_upper_bound=radius_ang)
        count += np.isfinite(distance)
    return count


def _distinct(points: Floats, votes: Ints, apart_ang: float) -> Floats:
    """Keep the points with most votes of all that lie together."""
    kept: list[Floats] = []
    for point in points[np.argsort(-votes, kind="stable")]:
        if all(np.linalg.norm(point - other) >= apart_ang for other in kept):
            kept.append(point)
    return np.array(kept).reshape(-1, 3)


def _alone(predicted_ang_yx: Floats, apart_ang: float) -> NDArray[np.bool_]:
    """Mark the points beside which no other is predicted."""
    distance = np.asarray(cKDTree(predicted_ang_yx).query(predicted_ang_yx, k=[2])[0])
    return np.asarray(distance[:, 0] > apart_ang)


def _pairs(
    predicted_ang_yx: Floats, spots_ang_yx: Floats, clear: NDArray[np.bool_], radius_ang: float
) -> list[tuple[int, int]]:
    """Pair each clear point with the spot next to it, if it is also next to that spot."""
    if not len(spots_ang_yx) or not clear.any():
        return []
    distance, spot = map(np.asarray, cKDTree(spots_ang_yx).query(predicted_ang_yx, distance_upper_bound=radius_ang))
    point = np.asarray(cKDTree(predicted_ang_yx).query(spots_ang_yx)[1])
    near = np.flatnonzero(clear & np.isfinite(distance))
    return [(int(one), int(spot[one])) for one in near if point[spot[one]] == one]
