"""Robust least squares over free variables and points, the points eliminated.

For given q the points are linear and are solved exactly; q then takes Levenberg-Marquardt steps with
the Schur complement of the points. Between the steps observations are weighed by their residuals.

Legend: N tilts, P points, M observations, Q free variables.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.bundle_model import (
    AXIS,
    N_COLUMNS,
    SHIFT,
    TILT,
    Parameters,
    Views,
    derivatives_by_theta,
)
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.report import Report, silent, watched

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REJECTED = 1e-6
"""Weight of an observation that is not believed.

Not quite zero, so that a tilt or point left with nothing else still has a place, with an honestly huge
standard error; small enough that an outlier of a thousand times the noise pulls no more than one good
observation.
"""

_BISQUARE = 4.685  # 95 % efficient for Gaussian noise (Holland and Welsch, 1977)
_MEDIAN_LENGTH = 1.17741  # √(2 ln 2): median length of a vector of two standard normal components
_LEAST_SHARE = 0.3  # a group whose few residuals are nearly fitted away is not held to their spread
_MOST_ADDED = 100.0  # variance of a prediction, in that of the noise, for which an observation may be excused
_MAX_ROUNDS = 50
_ROUNDS_OF_SCALE = 5
_MAX_STEPS = 20
_LEAST_DAMPING = 1e-12
_SETTLED = 1e-3  # mean change of the weights, and relative change of the noise, that no longer matters
_THIN = 0.01  # width of a row of points, as a share of its length, that counts as none
_ALONE = 1e-12  # determinant of 1 − w h below which the fit goes through an observation, whatever it is
_SINGULAR = 1e-10  # eigenvalue of the scaled normal matrix that counts as zero
_FLAT = 1e-6  # relative fall of the sum of squares that ends the steps; the next round goes on from there


class Normal(NamedTuple):
    """The normal equations at one q, points eliminated.

    Attributes
    ----------
    matrix : float64[Q, Q]
        Half the Hessian of the sum of squares, prior and pins included.
    gradient : float64[Q]
        Half the gradient.
    root : float64[P, 3, 3]
        Inverse Cholesky factor G of each point's own matrix H: H⁻¹ = Gᵀ G.
    coupling : float64[P, 3, Q]
        G times the mixed block of point and q.
    """

    matrix: Floats
    gradient: Floats
    root: Floats
    coupling: Floats


class Fit(NamedTuple):
    """The best points for one q.

    Attributes
    ----------
    q : float64[Q]
    points_ang_xyz : float64[P, 3]
    residual_ang : float64[M, 2]
        Observed minus predicted (u, v).
    by_theta : float64[M, 2, 8]
        Derivatives of the prediction by θ of its tilt.
    by_point : float64[M, 2, 3]
        And by its point.
    """

    q: Floats
    points_ang_xyz: Floats
    residual_ang: Floats
    by_theta: Floats
    by_point: Floats


class Solution(NamedTuple):
    """Where the iterations ended.

    Attributes
    ----------
    fit : Fit
    weight : float64[M]
    noise_ang : float
        Standard deviation of one measured coordinate.
    converged : bool
        Whether weights and noise had settled.
    """

    fit: Fit
    weight: Floats
    noise_ang: float
    converged: bool


@dataclass(frozen=True, eq=False)
class Problem:
    """Observations and free variables; every tilt and every point has observations.

    Attributes
    ----------
    parameters : Parameters
    tilt, point : int64[M]
    uv_ang : float64[M, 2]
        Where the point was seen, (u, v).
    """

    parameters: Parameters
    tilt: Ints
    point: Ints
    uv_ang: Floats

    @property
    def n_points(self) -> int:
        """Number of points."""
        return int(self.point.max()) + 1

    def fit(self, q: Floats, weight: Floats) -> Fit:
        """Solve the points for given q and weights float64[M]."""
        theta = self.parameters.theta(q)
        views = Views.at(theta)
        by_point = (views.rotation @ views.deformation)[self.tilt, :2]
        wanted = self.uv_ang - theta[self.tilt, SHIFT]
        right = self._sum_over_points(np.einsum("m,mck,mc->mk", weight, by_point, wanted))
        points_xyz = np.asarray(
            np.linalg.solve(self._point_normals(by_point, weight), right[..., None])[..., 0], np.float64
        )
        seen_xyz = points_xyz[self.point]
        residual = wanted - np.einsum("mck,mk->mc", by_point, seen_xyz)
        return Fit(q, points_xyz, residual, derivatives_by_theta(theta, views, self.tilt, seen_xyz), by_point)

    def squares(self, fit: Fit, weight: Floats, noise_ang: float) -> float:
        """Return what is minimised, in Å²."""
        data = float(weight @ np.sum(fit.residual_ang**2, axis=1))
        return data + float(fit.q @ self.held(noise_ang) @ fit.q)

    def normal(self, fit: Fit, weight: Floats, noise_ang: float) -> Normal:
        """Set up the normal equations in q at a fit."""
        basis = self.parameters.basis
        n_tilts, _, n_free = basis.shape
        weighted = weight[:, None, None] * fit.by_theta
        own = np.zeros((n_tilts, N_COLUMNS, N_COLUMNS))
        np.add.at(own, self.tilt, np.einsum("mci,mcj->mij", weighted, fit.by_theta))
        pull = np.zeros((n_tilts, N_COLUMNS))
        np.add.at(pull, self.tilt, np.einsum("mci,mc->mi", weighted, fit.residual_ang))

        root = np.linalg.inv(np.linalg.cholesky(self._point_normals(fit.by_point, weight)))
        mixed = np.zeros((self.n_points, 3, n_tilts, N_COLUMNS))
        # A point is seen once per tilt, so every entry is written once.
        mixed[self.point, :, self.tilt] = np.einsum("mkd,mcd,mci->mki", root[self.point], fit.by_point, weighted)

        flat = basis.reshape(-1, n_free)
        coupling = mixed.reshape(-1, len(flat)) @ flat
        held = self.held(noise_ang)
        matrix = flat.T @ (own @ basis).reshape(-1, n_free) - coupling.T @ coupling + held
        return Normal(matrix, held @ fit.q - flat.T @ pull.ravel(), root, coupling.reshape(-1, 3, n_free))

    def hat(self, fit: Fit, normal: Normal) -> Floats:
        """Return how each prediction follows its own observation at weight 1: float64[M, 2, 2].

        It is F C Fᵀ with F the derivatives of the prediction by q and points, C the inverse of the whole
        normal matrix; times the noise squared it is the covariance of the prediction.
        """
        basis = self.parameters.basis
        factor = _inverse_root(normal.matrix)
        by_tilt, by_point = basis @ factor, normal.coupling @ factor  # (N, 8, Q), (P, 3, Q)
        own = np.einsum("mcd,mkd->mck", fit.by_point, normal.root[self.point])
        # With q moving by F and the points following by minus the coupling, the square has three terms.
        tilts = (by_tilt @ by_tilt.transpose(0, 2, 1))[self.tilt]
        points = (np.eye(3) + by_point @ by_point.transpose(0, 2, 1))[self.point]
        both = np.tensordot(by_tilt, by_point, (2, 2)).transpose(0, 2, 1, 3)[self.tilt, self.point]
        mixed = fit.by_theta @ both @ own.transpose(0, 2, 1)
        hat = fit.by_theta @ tilts @ fit.by_theta.transpose(0, 2, 1) + own @ points @ own.transpose(0, 2, 1)
        return np.asarray(hat - mixed - mixed.transpose(0, 2, 1))

    def spreads(self, normal: Normal, noise_ang: float) -> Floats:
        """Return changes of θ, float64[N, 8, Q], one standard deviation each and independent of each other."""
        # With S⁻¹ = F Fᵀ the variance of a·q is |Fᵀ a|².
        return np.asarray(noise_ang * (self.parameters.basis @ _inverse_root(normal.matrix)))

    def standard_errors(self, normal: Normal, noise_ang: float) -> tuple[Floats, float, Floats]:
        """Propagate the noise into θ, float64[N, 8], the mean axis in radians, and the points, float64[P, 3]."""
        spreads = self.spreads(normal, noise_ang)
        # To the variance of a point |G|² is added, as it follows q.
        followed = noise_ang * np.einsum("pkd,pkq->pdq", normal.root, normal.coupling) @ _inverse_root(normal.matrix)
        points = np.sqrt(noise_ang**2 * np.sum(normal.root**2, axis=1) + np.sum(followed**2, axis=2))
        return np.linalg.norm(spreads, axis=2), float(np.linalg.norm(spreads[:, AXIS].mean(0))), points

    def held(self, noise_ang: float) -> Floats:
        """Return prior and pins as a matrix in the unit of the squares, float64[Q, Q]."""
        pins = self.parameters.pins
        held: Floats = noise_ang**2 * self.parameters.prior + len(self.tilt) * pins.T @ pins
        return held

    def _point_normals(self, by_point: Floats, weight: Floats) -> Floats:
        return self._sum_over_points(np.einsum("m,mci,mcj->mij", weight, by_point, by_point))

    def _sum_over_points(self, terms: Floats) -> Floats:
        sums = np.zeros((self.n_points, *terms.shape[1:]))
        np.add.at(sums, self.point, terms)
        return sums


def solve(
    problem: Problem,
    robust_tilts: int | None,
    weight: Floats | None = None,
    rounds: int = _MAX_ROUNDS,
    report: Report = silent,
) -> Solution:
    """Minimise the squares; with `robust_tilts`, weigh observations by that many neighbouring tilts.

    Reweighting finds the minimum nearest to its start, the given weights or equal ones. The noise, which
    says how much the prior counts, and the spreads are estimated for some rounds and then held, and what is
    rejected then stays so: else the few observations of a tilt may take turns for ever.
    """
    weight = np.ones(len(problem.tilt)) if weight is None else weight
    tilt_deg = np.rad2deg(problem.parameters.start[:, TILT])
    fit = problem.fit(np.zeros(problem.parameters.basis.shape[2]), weight)
    noise = vector_spread(np.hypot(*fit.residual_ang.T))
    spread = np.full(len(weight), noise)
    for turn in watched(range(rounds), report, "Solving"):
        fit, normal = _descend(problem, fit, weight, noise)
        length = surprise(fit.residual_ang, problem.hat(fit, normal), weight)
        before, noise_before = weight, noise
        if turn < _ROUNDS_OF_SCALE:
            noise = vector_spread(length)
            spread = spread_by_tilt(length, problem.tilt, tilt_deg, robust_tilts or 1)[problem.tilt]
        if robust_tilts is not None:
            weight = bisquare_weights(length, spread)
            if turn >= _ROUNDS_OF_SCALE:
                weight[before <= REJECTED] = REJECTED
        if np.abs(weight - before).mean() <= _SETTLED and abs(noise - noise_before) <= _SETTLED * noise_before:
            return Solution(fit, weight, noise, True)
    return Solution(fit, weight, noise, False)


def _inverse_root(matrix: Floats) -> Floats:
    """Return F with F Fᵀ the inverse of a positive definite matrix; nearly so, it is taken for definite."""
    definite = matrix + _LEAST_DAMPING * np.diag(np.diag(matrix))
    return np.asarray(np.linalg.inv(np.linalg.cholesky(definite)).T, np.float64)


def _descend(problem: Problem, fit: Fit, weight: Floats, noise_ang: float) -> tuple[Fit, Normal]:
    """Take Levenberg-Marquardt steps at fixed weights until the squares no longer fall."""
    fit = problem.fit(fit.q, weight)
    squares = problem.squares(fit, weight, noise_ang)
    normal = problem.normal(fit, weight, noise_ang)
    damping = 1e-6
    for _ in range(_MAX_STEPS):
        damped = normal.matrix + damping * np.diag(np.diag(normal.matrix))
        trial = problem.fit(fit.q - np.linalg.solve(damped, normal.gradient), weight)
        fall = squares - (trial_squares := problem.squares(trial, weight, noise_ang))
        if fall >= 0:
            fit, squares, damping = trial, trial_squares, max(damping / 10, _LEAST_DAMPING)
            normal = problem.normal(fit, weight, noise_ang)
        else:
            damping *= 10
        if abs(fall) <= _FLAT * squares:
            break
    return fit, normal


def require_width(solution: Solution) -> None:
    """Check that the points do not lie on one line, about which the specimen could turn."""
    points_xyz = solution.fit.points_ang_xyz
    length, width, _ = np.linalg.svd(points_xyz - points_xyz.mean(0), compute_uv=False) / np.sqrt(len(points_xyz))
    if width <= max(_THIN * length, solution.noise_ang):
        raise DataError(
            f"The points lie on one line: {length:.4g} Å long (RMS), but {width:.3g} Å wide; "
            "track some points beside it."
        )


def require_determined(problem: Problem, normal: Normal, tilts: Ints) -> None:
    """Check that the data settle every variable; name the one they settle least, its tilt by `tilts` int64[N]."""
    scale = 1.0 / np.sqrt(np.diag(normal.matrix))
    values, vectors = np.linalg.eigh(normal.matrix * scale[:, None] * scale)
    if values[0] > _SINGULAR:
        return
    driven = np.abs(problem.parameters.basis[:, :, np.abs(vectors[:, 0]).argmax()])
    tilt, column = np.unravel_index(driven.argmax(), driven.shape)
    kind = ("shift", "shift", "axis", "tilt angle", "x-tilt", "magnification", "stretch", "skew")[column]
    raise DataError(
        f"The points do not settle the {kind} of tilt {tilts[tilt]}, "
        f"with {np.sum(problem.tilt == tilt)} points seen in it; track more through it and its neighbours, "
        "or group the tilts or give a prior."
    )


def surprise(residual_ang: Floats, hat: Floats, weight: Floats) -> Floats:
    """Return how far off each observation is, as the length of a vector of pure measurement noise.

    Parameters
    ----------
    residual_ang : float64[M, 2]
    hat : float64[M, 2, 2]
    weight : float64[M]

    Returns
    -------
    float64[M]
        Å. A fit of many parameters follows its observations and shortens their residuals unequally.
        Here the leave-out residual (1 − w h)⁻¹ r is divided by what its own prediction adds to the
        noise, so that neither weight nor leverage of an observation counts in its favour. That addition
        is bounded: where all is rejected the prediction is worth nothing, and forgave everything.
    """
    one = np.eye(2)
    w = weight[:, None, None]
    added = (1 - w) * hat / np.maximum(np.trace(hat, axis1=1, axis2=2) / _MOST_ADDED, 1.0)[:, None, None]
    leave_out = one - w * hat
    # An observation that nothing else predicts has no residual either: the fit goes through it.
    leave_out[np.abs(np.linalg.det(leave_out)) < _ALONE] = one
    standard = np.linalg.solve((one + added) @ leave_out, residual_ang[..., None])[..., 0]
    return np.asarray(np.sqrt(np.maximum(np.sum(standard * residual_ang, axis=1), 0.0)))


def vector_spread(length: Floats) -> float:
    """Return the standard deviation of one component that explains the median length of 2-D vectors.

    It is the normalised median absolute deviation from 0, for vectors.
    """
    return float(np.median(length)) / _MEDIAN_LENGTH


def spread_by_tilt(length: Floats, tilt: Ints, tilt_deg: Floats, n_neighbours: int) -> Floats:
    """Return the spread of residual vectors in each tilt and its neighbours in angle.

    Parameters
    ----------
    length : float64[M]
    tilt : int64[M]
    tilt_deg : float64[N]
    n_neighbours : int
        Number of tilts taken together, the tilt itself among them.

    Returns
    -------
    float64[N]
        In the unit of `length`; never 0.
    """
    rank = np.argsort(np.argsort(tilt_deg, kind="stable"))
    n_tilts = len(tilt_deg)
    spread = np.empty(n_tilts)
    for one in range(n_tilts):
        # At the ends of the series the window slides inwards rather than shrink.
        first = min(max(rank[one] - n_neighbours // 2, 0), max(n_tilts - n_neighbours, 0))
        together = (rank[tilt] >= first) & (rank[tilt] < first + n_neighbours)
        spread[one] = vector_spread(length[together])
    return np.maximum(spread, max(_LEAST_SHARE * vector_spread(length), np.finfo(np.float64).tiny))


def bisquare_weights(length: Floats, spread: Floats) -> Floats:
    """Return Tukey's weights ``(1 − (r/K)²)²``, K = 4.685 spreads, for residual vectors of length r.

    Parameters
    ----------
    length : float64[M]
    spread : float64[M]
        Usual size of one component.

    Returns
    -------
    float64[M]
        In [`REJECTED`, 1].
    """
    ratio = length / (_BISQUARE * spread)
    return np.maximum(np.where(ratio < 1, (1 - ratio**2) ** 2, 0.0), REJECTED)
