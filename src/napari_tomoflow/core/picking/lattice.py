"""Two-dimensional lattices, flat or bent: which node every clicked point is, and where the others are.

Legend: N points, K known points, P nodes.
"""

from dataclasses import dataclass
from itertools import combinations, product
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import ConvexHull, KDTree
from scipy.special import gammaln

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.ops.spacing import spaced
from napari_tomoflow.core.picking.clicked import checked_points
from napari_tomoflow.core.picking.fitted import Fitted
from napari_tomoflow.core.picking.height import clamped
from napari_tomoflow.core.picking.smoothing import Spline, fit_spline
from napari_tomoflow.core.picking.spacing import nearest

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_FEWEST = 3
_SEEDS = 5
"""Points near the middle a lattice is followed from; the one that tells all points best counts."""

_NEARLY_ALL, _MANY = 0.95, 300
"""Part of many points that a lattice explains when no other is looked for; few points are worth all starts."""

_NEAR = 3.0
"""Around the seed, points this many nearest distances away still show the lattice without its bend."""

_ALIKE = 0.4
"""Steps are the same if they differ from their mean by less than this part of the nearest distance."""

_SHIFTS = 5
"""Rounds in which steps move to the mean of those alike."""

_FEWEST_AROUND = 12
_MOST_STEPS = 12
_SHARP = 0.05
"""Misfit, in nearest distances, that no click undercuts."""

_SLANTED = 0.35
"""Least sine between the two vectors."""

_CAUGHT = 0.35
"""How far from its node, in lattice vectors, a point may be clicked."""

_GROWTH: tuple[tuple[int, Literal[2, 3]], ...] = ((1, 2), (2, 2), (1, 3))
"""How far around known nodes others are looked for, missing ones stepped over, and the order of the spline that
tells where: one that follows a bend leads astray while it is known from few."""

_FEWEST_FOR_BEND = {2: 8, 3: 20}
"""Known nodes from which on splines of an order tell where the next ones are."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """A lattice laid smoothly into space.

    Attributes
    ----------
    plane_from_index : float64[2, 2]
        Rows are the vectors a and b, Å, in the plane the lattice is unrolled to.
    sheet : Spline
        Places of that plane → points, (z, y, x) in Å.
    nodes : int64[P, 2]
        Indices (i, j) of all nodes within the outline of the known ones.
    """

    plane_from_index: Floats
    sheet: Spline
    nodes: Indices

    def at(self, nodes: NDArray[np.float64] | Indices) -> Floats:
        """Return the points of nodes, whole or not: float64[P, 3]."""
        return self.sheet.at(nodes @ self.plane_from_index)

    def ways(self, nodes: Indices) -> tuple[Floats, Floats]:
        """Return the local vectors a and b at nodes, Å: two float64[P, 3]."""
        half = 0.5 * np.eye(2)
        first, second = (self.at(nodes + move) - self.at(nodes - move) for move in half)
        return first, second


def fit_lattice(points_ang_zyx: ArrayLike) -> Fitted[Lattice]:
    """Find the lattice that points, float64[N, 3], are nodes of; some nodes may be missing.

    Returns
    -------
    Fitted
        Residuals are the distances of points from their nodes, NaN for points that belong to none.

    Raises
    ------
    DataError
        There are fewer than three points, they lie on a line, or they show no lattice.

    Notes
    -----
    1. Around a point near the middle, of all two steps that several pairs of points share those are taken
    that tell the points in least words: which nodes were clicked, how far off, and which clicks are strays.
    2. From there nodes are predicted one or two steps ahead and points near them take their indices, ring by
    ring, the fit following. 3. The lattice is a smoothing spline from its unrolled plane into space, so it bends
    as the points ask for; a flat one costs nothing. Of up to five starts the one that tells all points best is
    taken.
    """
    points = checked_points(points_ang_zyx, _FEWEST, "A lattice", across=2)
    by_middle = np.argsort(np.sum((points - points.mean(axis=0)) ** 2, axis=1), kind="stable")
    grown: list[tuple[float, Fitted[Lattice]]] = []
    for seed in by_middle[:_SEEDS]:
        one = _grown(points, int(seed))
        if one is not None:
            grown.append(one)
            if len(points) >= _MANY and np.isfinite(one[1].residual_ang).mean() >= _NEARLY_ALL:
                break
    if not grown:
        raise DataError(f"{len(points)} points show no lattice; click neighbouring nodes, in two directions.")
    return min(grown, key=lambda one: one[0])[1]


def _grown(points: Floats, seed: int) -> tuple[float, Fitted[Lattice]] | None:
    """Find the lattice around a point and follow it as far as it goes; None where there is none.

    Returns
    -------
    float
        How well it tells all points: see `_telling`.
    Fitted
    """
    vectors = _vectors_around(points, seed)
    if vectors is None:
        return None
    plane = _unrolled(vectors)
    known = {seed: (0, 0)}
    while added := next(filter(None, (_ring(points, known, vectors, plane, *how) for how in _GROWTH)), None):
        known |= added
    chosen = np.array(list(known))
    index = np.array(list(known.values()))
    if len(chosen) < _FEWEST or np.linalg.matrix_rank(index - index[0]) < 2:
        return None
    sheet = fit_spline(index @ plane, points[chosen])
    lattice = Lattice(plane, sheet, _within(index))
    residual = np.full(len(points), np.nan)
    residual[chosen] = np.linalg.norm(sheet.smooth.residual, axis=1)
    near = float(np.median(nearest(points, points, 2)[0][:, 1]))
    telling = _telling(index, residual[chosen], len(points), _area(points @ _flattening(points).T), near)
    return telling, Fitted(lattice, residual, _size(lattice, index))


def _vectors_around(points: Floats, seed: int) -> Floats | None:
    """Return the two vectors of the lattice around a point, 90° apart or more: float64[2, 3]; None if none fit."""
    from_seed = np.linalg.norm(points - points[seed], axis=1)
    order = np.argsort(from_seed, kind="stable")
    near = float(np.median(nearest(points, points[order[:7]], 2)[0][:, 1]))
    around = points[order[: max(_FEWEST_AROUND, np.count_nonzero(from_seed < _NEAR * near))]]
    plane = _flattening(around)
    local = (around - points[seed]) @ plane.T
    pairs = combinations(_frequent_steps(local, near), 2)
    trials = [_tried(local, np.stack(pair), near) for pair in pairs]
    telling, vectors = min(trials, key=lambda trial: trial[0], default=(np.inf, np.eye(2)))
    if not np.isfinite(telling):
        return None
    a, b = _reduced(vectors) @ plane
    # Which of two opposite vectors comes out is chance; the farthest point makes it the shape's own.
    along = (points - points[seed]) @ a
    a = a * np.sign(along[np.abs(along).argmax()])
    return np.stack([a, -b if a @ b > 0 else b])


def _flattening(points: Floats) -> Floats:
    """Return the two directions in which points extend most: float64[2, 3]."""
    return np.asarray(np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2][:2])


def _frequent_steps(local: Floats, near: float) -> Floats:
    """Return steps between pairs of points, those first that most pairs share: float64[S, 2]."""
    steps = np.array([second - first for first, second in combinations(local, 2)])
    both = KDTree(np.concatenate([steps, -steps]))
    for _ in range(_SHIFTS):
        steps = np.array([both.data[alike].mean(axis=0) for alike in both.query_ball_point(steps, _ALIKE * near)])
    shared = both.query_ball_point(steps, _ALIKE * near, return_length=True)
    steps = steps[spaced(steps, _ALIKE * near, np.lexsort([np.linalg.norm(steps, axis=1), -shared]))]
    lengths = np.linalg.norm(steps, axis=1)
    return np.asarray(steps[lengths > _ALIKE * near][:_MOST_STEPS])


def _tried(local: Floats, vectors: Floats, near: float) -> tuple[float, Floats]:
    """Fit two vectors to the points close to their nodes, and say how well they tell all points: see `_telling`."""
    origin = np.zeros(2)
    for _ in range(_SHIFTS):
        lengths = np.linalg.norm(vectors, axis=1)
        if abs(np.linalg.det(vectors)) <= _SLANTED * np.prod(lengths):
            return np.inf, vectors
        index = np.rint((local - origin) @ np.linalg.inv(vectors))
        caught = np.linalg.norm(local - origin - index @ vectors, axis=1) < _CAUGHT * lengths.min()
        terms = np.column_stack([np.ones(len(index)), index])[caught]
        if len(terms) < _FEWEST or np.linalg.matrix_rank(terms) < 3:
            return np.inf, vectors
        fit = np.linalg.lstsq(terms, local[caught])[0]
        origin, vectors = fit[0], fit[1:]
    off = np.linalg.norm(local[caught] - terms @ fit, axis=1)
    return _telling(index[caught], off, len(local), _area(local), near), vectors


def _telling(index: Floats | Indices, off_ang: Floats, n_points: int, area_ang2: float, near_ang: float) -> float:
    """Return how much it takes to tell where points are, nats: as nodes of a lattice, the rest one by one.

    Parameters
    ----------
    index : [K, 2]
        Nodes of the points that have one.
    off_ang : float64[K]
        How far these lie off.
    n_points, area_ang2
        All points, and the area they lie in.
    near_ang
        Usual distance of neighbours.

    Notes
    -----
    A cell half the size has a node for a stray click, too, but must say of twice as many nodes which were clicked;
    one twice the size leaves half of the points to be told one by one. The right cell takes least.
    """
    caught, nodes = len(index), max(_nodes_within(index), len(index))
    spread = max(float(np.mean(off_ang**2)) / 2.0, (_SHARP * near_ang) ** 2)
    places = caught * np.log(2.0 * np.pi * spread) + np.sum(off_ang**2) / (2.0 * spread)
    # Origin and vectors, as sharply as the nodes have them: else three points would always make a lattice.
    places += 3.0 * np.log(caught * area_ang2 / spread)
    which_nodes = _choices(nodes, caught) + gammaln(caught + 1)
    strays = _choices(n_points, caught) + (n_points - caught) * np.log(area_ang2)
    return float(places + which_nodes + strays)


def _choices(n: int, k: int) -> float:
    """Return the logarithm of the number of ways to choose k of n."""
    return float(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))


def _nodes_within(index: Floats | Indices) -> int:
    """Count the nodes within the convex outline of some, by Pick's theorem."""
    hull = ConvexHull(index)
    outline = np.rint(index[hull.vertices]).astype(np.int64)
    along = np.abs(np.roll(outline, 1, axis=0) - outline)
    return round(float(hull.volume + np.gcd(along[:, 0], along[:, 1]).sum() / 2.0 + 1.0))


def _area(local: Floats) -> float:
    """Return the area within the convex outline of points."""
    return float(ConvexHull(local).volume)


def _reduced(vectors: Floats) -> Floats:
    """Return the two shortest vectors of the lattice that two others make, the shortest first (Gauss)."""
    for _ in range(_SHIFTS):
        short, long = vectors[np.argsort(np.sum(vectors**2, axis=1), kind="stable")]
        vectors = np.stack([short, long - np.rint(short @ long / (short @ short)) * short])
    return vectors[np.argsort(np.sum(vectors**2, axis=1), kind="stable")]


def _unrolled(vectors: Floats) -> Floats:
    """Lay two vectors into a plane, the first along its first axis: float64[2, 2]."""
    return np.asarray(np.linalg.cholesky(vectors @ vectors.T))


def _ring(
    points: Floats, known: dict[int, tuple[int, int]], vectors: Floats, plane: Floats, reach: int, order: Literal[2, 3]
) -> dict[int, tuple[int, int]]:
    """Predict the nodes around the known ones, and give points close to them their indices."""
    chosen, index = np.array(list(known)), np.array(list(known.values()))
    taken = set(known.values())
    moves = list(product(range(-reach, reach + 1), repeat=2))
    nodes = np.array(sorted({(int(i + di), int(j + dj)) for i, j in index for di, dj in moves} - taken))
    free = np.setdiff1d(np.arange(len(points)), chosen)
    if not len(free):
        return {}
    away, node_of = nearest(_predicted(points[chosen], index, nodes, vectors, plane, order), points[free])
    caught = _CAUGHT * np.linalg.norm(vectors, axis=1).min()
    added: dict[int, tuple[int, int]] = {}
    for turn in np.argsort(away[:, 0]):
        i, j = map(int, nodes[node_of[turn, 0]])
        if away[turn, 0] < caught and (i, j) not in added.values():
            added[int(free[turn])] = i, j
    return added


def _predicted(
    points: Floats, index: Indices, nodes: Indices, vectors: Floats, plane: Floats, order: Literal[2, 3]
) -> Floats:
    """Return where nodes should be, given the points of some: float64[P, 3]."""
    if np.linalg.matrix_rank(index - index[0]) < 2 or len(index) < _FEWEST_FOR_BEND[order]:
        return np.asarray((points - index @ vectors).mean(axis=0) + nodes @ vectors)
    return fit_spline(index @ plane, points, order).at(nodes @ plane)


def _within(index: Indices) -> Indices:
    """Return all nodes within the convex outline of some: int64[P, 2]."""
    outline = index[ConvexHull(index).vertices].astype(np.float64)
    low, high = index.min(axis=0), index.max(axis=0) + 1
    nodes = np.array(list(product(range(low[0], high[0]), range(low[1], high[1]))))
    return np.asarray(nodes[np.abs(nodes - clamped(nodes.astype(np.float64), outline)).max(axis=1) < 1e-9])


def _size(lattice: Lattice, index: Indices) -> dict[str, float]:
    """Sum up the vectors, in the mean over the known nodes."""
    first, second = lattice.ways(index)
    a, b = (np.linalg.norm(way, axis=1) for way in (first, second))
    turn = np.degrees(np.arccos(np.sum(first * second, axis=1) / (a * b)))
    terms = np.column_stack([np.ones(len(index)), index])
    errors = lattice.sheet.smooth.noise_sd * np.sqrt(np.diag(np.linalg.inv(terms.T @ terms)))
    return {
        "a_ang": float(a.mean()),
        "a_error_ang": float(errors[1]),
        "b_ang": float(b.mean()),
        "b_error_ang": float(errors[2]),
        "gamma_deg": float(turn.mean()),
    }
