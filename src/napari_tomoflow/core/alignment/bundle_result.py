"""What a bundle adjustment gives back: geometry, residuals, errors, and what was not believed.

Legend: N tilts, P points, M observations, Q free variables.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.bundle_model import (
    AXIS,
    LOG_MAGNIFICATION,
    SHIFT,
    SKEW,
    STRETCH,
    TILT,
    XTILT,
    Observations,
    theta_of,
)
from napari_tomoflow.core.alignment.bundle_robust import REJECTED, Normal, Problem, Solution, vector_spread
from napari_tomoflow.core.alignment.bundle_used import Used
from napari_tomoflow.core.model import Alignment

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Rejected(NamedTuple):
    """What the fit does not believe or cannot use: which kind, its number among its kind (from 0), and why."""

    kind: Literal["tilt", "point", "observation"]
    number: int
    reason: str


@dataclass(frozen=True, eq=False)
class StandardErrors:
    """One standard deviation of every result, the pins of the gauge held and the noise as estimated.

    NaN where there is no result.

    Attributes
    ----------
    mean_axis_deg : float
        Of the axis averaged over the series.
    axis_deg, tilt_deg, xtilt_deg, magnification, stretch, skew : float64[N]
    shift_ang_yx : float64[N, 2]
    points_ang_zyx : float64[P, 3]
    """

    mean_axis_deg: float
    axis_deg: Floats
    tilt_deg: Floats
    xtilt_deg: Floats
    magnification: Floats
    stretch: Floats
    skew: Floats
    shift_ang_yx: Floats
    points_ang_zyx: Floats


@dataclass(frozen=True, eq=False)
class Bundle:
    """A solved bundle adjustment.

    Attributes
    ----------
    alignment : Alignment
        The geometry; a tilt in which nothing was seen keeps its start. Not kept: that, and a tilt whose
        observations were all rejected.
    magnification, stretch, skew : float64[N]
        What `Alignment` has no place for: 1, 0 and 0 where the model holds them fixed.
    points_ang_zyx : float64[P, 3]
        NaN for points that were dropped.
    residual_ang_yx, leave_out_ang_yx : float64[M, 2]
        Observed minus predicted, by the fit and by a fit without that observation. NaN for observations
        of dropped points and tilts; the second also where nothing else says where the point is.
    weight : float64[M]
        Belief in each observation, 0 to 1; below 1e-5 it is rejected.
    rms_ang, leave_out_rms_ang : float
        Root mean square length of the residual vectors that were not rejected.
    expected_error_ang : float
        Root mean square standard error of the predicted positions: how wrong the geometry is expected to
        be where the points are, if the model is right. The leave-out residual also shows if it is not.
    noise_ang : float
        Standard deviation of one measured coordinate.
    n_parameters : int
        Free variables and three per point, less the pins of the gauge.
    counts : dict of str to int
        The same by kind: shift, axis, …, points, gauge.
    rejected : tuple of Rejected
    errors : StandardErrors
    spreads : float64[N, 8, Q]
        Changes of θ, each one standard deviation and independent of the others; NaN for tilts not used.
    converged : bool
        Whether weights and noise settled; if not the result is where they were left.
    """

    alignment: Alignment
    magnification: Floats
    stretch: Floats
    skew: Floats
    points_ang_zyx: Floats
    residual_ang_yx: Floats
    leave_out_ang_yx: Floats
    weight: Floats
    rms_ang: float
    leave_out_rms_ang: float
    expected_error_ang: float
    noise_ang: float
    n_parameters: int
    counts: dict[str, int]
    rejected: tuple[Rejected, ...]
    errors: StandardErrors
    spreads: Floats
    converged: bool

    @property
    def n_points_used(self) -> int:
        """Number of points that were not dropped."""
        return int(np.isfinite(self.points_ang_zyx).all(axis=1).sum())


@dataclass(frozen=True, eq=False)
class Outcome:
    """A solution, to be told in the numbering and units of the caller."""

    observations: Observations
    start: Alignment
    used: Used
    problem: Problem
    solution: Solution
    normal: Normal

    def bundle(self) -> Bundle:
        """Put the result together."""
        weight = np.zeros(len(self.used.observations))
        weight[self.used.observations] = self.solution.weight
        residual = self._spread_out(self.solution.fit.residual_ang[:, ::-1], self.used.observations)
        hat = self.problem.hat(self.solution.fit, self.normal)
        leave_out = self._spread_out(self._leave_out(hat)[:, ::-1], self.used.observations)
        believed = weight > 10 * REJECTED
        theta = self._theta()
        counts = self.problem.parameters.counts | {
            "points": 3 * self.problem.n_points,
            "gauge": -len(self.problem.parameters.pins),
        }
        return Bundle(
            alignment=self._alignment(theta, residual, believed),
            magnification=np.exp(theta[:, LOG_MAGNIFICATION]),
            stretch=theta[:, STRETCH],
            skew=theta[:, SKEW],
            points_ang_zyx=self._spread_out(self.solution.fit.points_ang_xyz[:, ::-1], self.used.points),
            residual_ang_yx=residual,
            leave_out_ang_yx=leave_out,
            weight=weight,
            rms_ang=_rms(residual[believed]),
            leave_out_rms_ang=_rms(leave_out[believed]),
            expected_error_ang=self._expected_error(hat),
            noise_ang=self.solution.noise_ang,
            n_parameters=sum(counts.values()),
            counts=counts,
            rejected=self._rejected(residual, believed),
            errors=self._errors(),
            spreads=self._spread_out(self.problem.spreads(self.normal, self.solution.noise_ang), self.used.tilts),
            converged=self.solution.converged,
        )

    @staticmethod
    def _spread_out(values: Floats, where: Flags) -> Floats:
        """Place rows where they belong among all, NaN elsewhere."""
        everything = np.full((len(where), *values.shape[1:]), np.nan)
        everything[where] = values
        return everything

    def _expected_error(self, hat: Floats) -> float:
        believed = self.solution.weight > 10 * REJECTED
        return self.solution.noise_ang * float(np.sqrt(np.trace(hat[believed], axis1=1, axis2=2).mean()))

    def _leave_out(self, hat: Floats) -> Floats:
        """Return the residual of each observation from a fit without it, float64[m, 2].

        With hat matrix block h at weight w it is (1 − w h)⁻¹ r: exact for a linear problem, and the
        geometry is linear over the small steps that one observation makes.
        """
        rest = np.eye(2) - self.solution.weight[:, None, None] * hat
        alone = np.linalg.det(rest) < 1e-9  # a point seen in two tilts is nowhere without one of them
        rest[alone] = np.eye(2)
        leave_out = np.linalg.solve(rest, self.solution.fit.residual_ang[..., None])[..., 0]
        leave_out[alone] = np.nan
        return np.asarray(leave_out, np.float64)

    def _theta(self) -> Floats:
        """Return θ of all tilts; those not used start where they did, about the new mean axis."""
        parameters = self.problem.parameters
        solved = parameters.theta(self.solution.fit.q)
        theta = theta_of(self.start)
        theta[:, AXIS] += (solved - parameters.start)[:, AXIS].mean()
        theta[self.used.tilts] = solved
        return theta

    def _alignment(self, theta: Floats, residual: Floats, believed: Flags) -> Alignment:
        squares = np.where(believed, np.sum(residual**2, axis=1), 0.0)
        tilt, n_tilts = self.observations.tilt, self.start.n_tilts
        count = np.bincount(tilt[believed], minlength=n_tilts).astype(np.float64)
        count[count == 0] = np.nan
        return self.start.replace(
            axis_deg=np.rad2deg(theta[:, AXIS]),
            tilt_deg=np.rad2deg(theta[:, TILT]),
            xtilt_deg=np.rad2deg(theta[:, XTILT]),
            shift_ang_yx=theta[:, SHIFT][:, ::-1],
            kept=count > 0,
            residual_ang=np.sqrt(np.bincount(tilt, squares, n_tilts) / count),
        )

    def _rejected(self, residual: Floats, believed: Flags) -> tuple[Rejected, ...]:
        """List what was left out, each with the reason in words."""
        empty = np.flatnonzero(self.start.kept & ~self.used.tilts)
        rejected = [Rejected("tilt", int(one), "no point that can be used was seen in it") for one in empty]
        alone = np.bincount(self.observations.tilt[believed], minlength=self.start.n_tilts) == 0
        for one in np.flatnonzero(self.used.tilts & alone):
            rejected.append(Rejected("tilt", int(one), "the points seen in it contradict each other"))
        seen = np.bincount(self.observations.point, minlength=len(self.used.points))
        for one in np.flatnonzero(~self.used.points & (seen > 0)):
            rejected.append(Rejected("point", int(one), "it was seen from one direction only"))
        alone = np.bincount(self.observations.point[believed], minlength=len(self.used.points)) < 2
        for one in np.flatnonzero(self.used.points & alone):
            rejected.append(Rejected("point", int(one), "its observations contradict each other"))
        spread = vector_spread(np.hypot(*residual[believed].T))
        for one in np.flatnonzero(self.used.observations & ~believed):
            off_ang = float(np.hypot(*residual[one]))
            reason = f"it lies {off_ang:.3g} Å from its prediction, {off_ang / spread:.1f} times the usual residual"
            rejected.append(Rejected("observation", int(one), reason))
        return tuple(rejected)

    def _errors(self) -> StandardErrors:
        """Propagate the noise through the inverse of the normal matrix."""
        noise = self.solution.noise_ang
        theta, mean_axis, points = self.problem.standard_errors(self.normal, noise)
        by_tilt = self._spread_out(theta, self.used.tilts)
        return StandardErrors(
            mean_axis_deg=float(np.rad2deg(mean_axis)),
            axis_deg=np.rad2deg(by_tilt[:, AXIS]),
            tilt_deg=np.rad2deg(by_tilt[:, TILT]),
            xtilt_deg=np.rad2deg(by_tilt[:, XTILT]),
            magnification=by_tilt[:, LOG_MAGNIFICATION],
            stretch=by_tilt[:, STRETCH],
            skew=by_tilt[:, SKEW],
            shift_ang_yx=by_tilt[:, SHIFT][:, ::-1],
            points_ang_zyx=self._spread_out(points[:, ::-1], self.used.points),
        )


def _rms(residual: Floats) -> float:
    """Return the root mean square length of the vectors that are known; NaN where none is."""
    squares = np.sum(residual[np.isfinite(residual).all(axis=1)] ** 2, axis=1)
    return float(np.sqrt(squares.mean())) if len(squares) else float("nan")
