"""Follow beads through a tilt series: from spots in single images to points of the specimen.

An alignment right to a few pixels says where a point would be seen in every tilt, so nothing is followed
from image to image: each spot of a low tilt tries all heights, and where a bead is, spots lie at the
predicted places in many tilts at once.

Legend: N tilts, P points, K detections, S spots, H heights.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_tomoflow.core.alignment.bundle_model import Observations
from napari_tomoflow.core.alignment.gold import Detections
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.report import Report, silent, watched

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SEEDING_TILTS = 3
"""Tilts whose spots start points: a bead hidden or missed in the lowest is seen in the next."""

_MOST_SEEDS = 60
"""The strongest spots of a tilt that start points: more beads make an alignment no better."""

_TRIANGULATIONS = 3

_STAY = 0.1
"""Weight of where a point was, in tilts, against where spots put it."""

_LEAST_SHARE = 0.5
"""A bead is seen in at least this share of the tilts that show its place."""

_LEAST_TILTS = 4

_APART = 1.3
"""Beads predicted closer together than this many diameters hide each other."""


def make_beads(
    detections: Sequence[Detections],
    alignment: Alignment,
    depth_ang: float,
    radius_ang: float,
    apart_ang: float,
    report: Report = silent,
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
    report

    Returns
    -------
    float64[P, 3]
        Å from the specimen's centre, zyx; best seen first.
    """
    trees = _trees(detections, alignment)
    heights = np.arange(-0.5 * depth_ang, 0.5 * depth_ang + radius_ang, 0.5 * radius_ang)
    found = [np.zeros((0, 3))]
    lowest = np.argsort(np.abs(alignment.tilt_deg) + np.where(alignment.kept, 0.0, np.inf), kind="stable")
    for tilt in watched(list(map(int, lowest[:_SEEDING_TILTS])), report, "Searching for beads"):
        seen_ang_yx = detections[tilt].position_ang_yx[:_MOST_SEEDS]
        tried = on_ray(alignment, tilt, seen_ang_yx, heights)
        agreeing = _agreement(tried.reshape(-1, 3), trees, alignment, radius_ang).reshape(
            len(seen_ang_yx), len(heights)
        )
        found.append(tried[np.arange(len(tried)), agreeing.argmax(axis=1)])
    points = np.concatenate(found)
    for _ in range(_TRIANGULATIONS):
        points = _triangulated(points, trees, alignment, radius_ang)
    return _distinct(points, _agreement(points, trees, alignment, radius_ang), apart_ang)


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
    """Return the points zyx at given depths that are seen at one place of one tilt.

    Many places float64[..., 2] give float64[..., H, 3].
    """
    places_xy = (seen_ang_yx - alignment.shift_ang_yx[tilt])[..., None, ::-1]
    turned = np.empty((*np.shape(seen_ang_yx)[:-1], len(depths_ang), 3))
    turned[..., :2] = places_xy
    turned[..., 2] = depths_ang
    # The inverse of a rotation is its transpose: rows times R.
    points: Floats = (turned @ alignment.rotations[tilt])[..., ::-1]
    return points


def _agreement(
    points_ang_zyx: Floats, trees: list[tuple[int, cKDTree]], alignment: Alignment, radius_ang: float
) -> Floats:
    """Sum over the tilts how near a spot lies to where each point is predicted, from 0 beyond the radius to 1."""
    predicted, _ = alignment.project(points_ang_zyx)
    near = np.zeros(len(points_ang_zyx))
    for tilt, tree in trees:
        distance = np.asarray(tree.query(predicted[tilt], distance_upper_bound=radius_ang)[0])
        near += 1.0 - np.minimum(distance / radius_ang, 1.0) ** 2
    return near


def _triangulated(
    points_ang_zyx: Floats, trees: list[tuple[int, cKDTree]], alignment: Alignment, radius_ang: float
) -> Floats:
    """Move each point to where the spots next to its predictions put it, by least squares."""
    predicted, _ = alignment.project(points_ang_zyx)
    # A little of where it was: a point of which few tilts show spots stays.
    matrix = np.tile(_STAY * np.eye(3), (len(points_ang_zyx), 1, 1))
    pull = np.zeros((len(points_ang_zyx), 3))
    for tilt, tree in trees:
        distance, nearest = map(np.asarray, tree.query(predicted[tilt], distance_upper_bound=radius_ang))
        near = np.flatnonzero(np.isfinite(distance))
        weight = (1.0 - (distance[near] / radius_ang) ** 2) ** 2
        by_xyz = alignment.rotations[tilt, :2]
        off_xy = (tree.data[nearest[near]] - predicted[tilt, near])[:, ::-1]
        matrix[near] += weight[:, None, None] * (by_xyz.T @ by_xyz)
        pull[near] += weight[:, None] * (off_xy @ by_xyz)
    moved_xyz = np.linalg.solve(matrix, pull[..., None])[..., 0]
    return np.asarray(points_ang_zyx + moved_xyz[:, ::-1])


def _distinct(points: Floats, agreement: Floats, apart_ang: float) -> Floats:
    """Keep the points that agree with most tilts of all that lie together."""
    kept: list[Floats] = []
    for point in points[np.argsort(-agreement, kind="stable")]:
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
