"""Points spread evenly over a surface.

Legend: P points.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from napari_tomoflow.core.errors import ParamError
from napari_tomoflow.core.ops.spacing import spaced
from napari_tomoflow.core.report import Report, silent

Floats = NDArray[np.float64]

_PER_CELL = 0.962
"""Points per square of one spacing that settle at that spacing in the mean; a perfect hexagonal net has 1.155."""

_REACH = 1.31
"""Distance, in spacings, up to which points push each other: only to their nearest neighbours."""

_PUSH = 0.2
_ROUNDS = 100
_ROUNDS_PER_REPORT = 10

_SHRINKING = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5, 0.4, 0.3)
"""Distances, in spacings, at which a start is filled up: the gaps first, then wherever most room is left."""

_POOL_STEPS = 4.0
"""Candidates per spacing, along a line."""


class Surface(Protocol):
    """A surface in space, of whatever kind."""

    @property
    def edge_ang(self) -> float:
        """Length of its edge, Å; 0 for a closed surface."""

    def drop(self, points_zyx: Floats) -> Floats:
        """Move points close to the surface onto it, by whatever way is short to compute."""

    def normals(self, points_zyx: Floats) -> Floats:
        """Return outward unit normals at points on the surface."""

    def pool(self, step_ang: float) -> tuple[Floats, float]:
        """Return points all over the surface, about `step_ang` apart, and the surface's area in Å²."""


def even_points(
    surface: Surface,
    spacing_ang: float,
    rng: np.random.Generator,
    start_zyx: Floats | None = None,
    report: Report = silent,
) -> Floats:
    """Spread points over a surface so that nearest neighbours are one spacing apart in the mean.

    Parameters
    ----------
    surface : Surface
    spacing_ang : float
    rng
        Chooses where to start; the pattern that comes out depends on it.
    start_zyx : float64[P, 3], optional
        A good start where there is one; its number of points is kept.
    report

    Returns
    -------
    float64[P, 3]

    Raises
    ------
    ParamError
        The surface is smaller than the spacing.

    Notes
    -----
    Candidates are taken at shrinking distances until there are as many as the area asks for; then points
    that are nearest neighbours push each other apart and are put back on the surface, a hundred times.
    """
    points = _start(surface, spacing_ang, rng) if start_zyx is None else start_zyx
    for turn in range(_ROUNDS):
        if turn % _ROUNDS_PER_REPORT == 0:
            report(turn, _ROUNDS, "Spreading points evenly")
        points = settled(surface, points + _pushes(points, spacing_ang))
    report(_ROUNDS, _ROUNDS, "Spreading points evenly")
    return points


def settled(surface: Surface, points_zyx: Floats) -> Floats:
    """Move points close to a surface to about their nearest places on it.

    Dropped at once, points on a long body would creep towards its ends, pushed there a little by every round.
    """
    feet = surface.drop(points_zyx)
    normals = surface.normals(feet)
    height = np.sum((points_zyx - feet) * normals, axis=1, keepdims=True)
    return surface.drop(points_zyx - height * normals)


def count_on(area_ang2: float, spacing_ang: float, edge_ang: float = 0.0) -> int:
    """Return how many points at a spacing an area holds; those along an edge need half their room.

    Raises
    ------
    ParamError
        It holds not even two, or a closed one four.
    """
    count = round(_PER_CELL * (area_ang2 + 0.5 * edge_ang * spacing_ang) / spacing_ang**2)
    if count < (2 if edge_ang else 4):
        raise ParamError(
            f"A spacing of {spacing_ang / 10:g} nm is larger than the shape, whose area is {area_ang2 / 100:.0f} nm²; "
            "give a smaller spacing_nm."
        )
    return count


def nearest(points: Floats, queries: Floats, count: int = 1) -> tuple[Floats, NDArray[np.intp]]:
    """Find the points nearest to each query: their distances and indices, each [Q, count], the nearest first."""
    distance, index = KDTree(points).query(queries, np.arange(1, count + 1))
    return np.asarray(distance), np.asarray(index)


def neighbour_distances(points_zyx: Floats) -> Floats:
    """Return the distance of every point to its nearest neighbour, Å; empty for a single point."""
    return nearest(points_zyx, points_zyx, 2)[0][:, 1] if len(points_zyx) > 1 else np.zeros(0)


def _start(surface: Surface, spacing_ang: float, rng: np.random.Generator) -> Floats:
    pool, area = surface.pool(spacing_ang / _POOL_STEPS)
    count = count_on(area, spacing_ang, surface.edge_ang)
    order = rng.permutation(len(pool))
    taken: NDArray[np.intp] = np.zeros(0, np.intp)
    for factor in _SHRINKING:
        taken = spaced(pool, factor * spacing_ang, order, taken.tolist())
        if len(taken) >= count:
            break
    return pool[taken[:count]]


def _pushes(points_zyx: Floats, spacing_ang: float) -> Floats:
    """Return how far each point gives way to its neighbours in one round."""
    reach = _REACH * spacing_ang
    first, second = KDTree(points_zyx).query_pairs(reach, output_type="ndarray").T
    apart = points_zyx[first] - points_zyx[second]
    length = np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-9 * reach)
    push = _PUSH * reach * (1.0 - length / reach) * apart / length
    moves = np.zeros_like(points_zyx)
    for axis in range(3):
        moves[:, axis] = np.bincount(first, push[:, axis], len(moves)) - np.bincount(second, push[:, axis], len(moves))
    return moves
