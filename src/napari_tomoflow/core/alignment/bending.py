"""How the beam bends the specimen, from what a rigid alignment leaves unexplained of its landmarks.

The specimen is a sheet that bends slowly: a point at (x, y) of it has moved by D3(x, y, exposure), a sum of
cosines of few periods over the field and over the root of the exposure, as most of the motion comes
early. One field of the specimen, seen by all tilts, takes far fewer numbers than one field per image;
in image i it shows as D2 = −(R_i · D3)_xy, which is what an alignment can hold.

Any field makes residuals smaller. It is believed only if it predicts landmarks it was not fitted to: each
landmark in turn is left out with all its measurements, geometry and field are fitted to the others, and
only its place is fitted to itself.

Legend: N tilts, P points, M observations, S cosines over the field, T over the exposure, Q free variables.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from napari_tomoflow.core.alignment.bundle import choose_model
from napari_tomoflow.core.alignment.bundle_model import RIGID_LADDER, BundleModel, Observations
from napari_tomoflow.core.alignment.bundle_robust import vector_spread
from napari_tomoflow.core.alignment.bundle_used import Used
from napari_tomoflow.core.alignment.tracked import Tracked, tracked
from napari_tomoflow.core.model import Alignment, Deformation, TiltSeries
from napari_tomoflow.core.report import Report, part, watched

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FEWEST = 12
"""Landmarks below which nothing can be said of how the specimen bends between them."""

_HIGHEST_ORDER = 3
"""Half-periods over the field, and over the root of the exposure."""

_NODES = 9
"""Nodes along each side of an image: enough for the highest order where a steep tilt narrows the field to half."""

_AMPLITUDES = (1.0, 4.0, 16.0, 64.0)
"""Standard deviations of the prior on the lowest cosines that are tried, in that of a measurement."""

_BEYOND_CHANCE = 2.0
"""The field is believed if landmarks gain by it this many standard errors, over the landmarks, of their gain."""

_SOFT = 4.0
"""Spreads at which an observation counts half."""

_ROUNDS = 2
"""How often geometry and field are fitted in turns; each alone hardly changes what the other finds."""


def bend(found: Tracked, start: Alignment, series: TiltSeries, report: Report) -> tuple[Tracked, str]:
    """Fit how the specimen bends and take it if it predicts landmarks it was not fitted to.

    Parameters
    ----------
    found : Tracked
        A rigid alignment by landmarks.
    start : Alignment
        Where its bundle adjustment began.
    series : TiltSeries
        When each tilt was taken, and how large the images are.
    report

    Returns
    -------
    tracked : Tracked
        With the field if it was taken, as found if not.
    said : str
        Which of the two and why, with numbers.
    """
    if found.bundle.n_points_used < _FEWEST:
        return found, f"not tried: {found.bundle.n_points_used} landmarks, it takes {_FEWEST}"
    cosines = _Cosines.of(series)
    with threadpool_limits(1, "blas"):
        jury = _Jury.of(found, cosines)
        rigid = jury.left_out(None)
        bent = [jury.left_out(amplitude) for amplitude in watched(_AMPLITUDES, part(report, 0, 2), "Bending")]
    best = int(np.argmin([np.log(one).mean() for one in bent]))
    # Ratios, so that one landmark followed wrongly does not decide for all.
    gain = np.log(rigid / bent[best])
    errors = gain.mean() / max(gain.std(ddof=1) / np.sqrt(len(gain)), 1e-12)
    numbers = (
        f"leave-out {_nm(rigid):.3f} → {_nm(bent[best]):.3f} nm, the median of {len(gain)} landmarks left out whole, "
        f"smaller by {errors:.1f} standard errors"
    )
    if errors <= _BEYOND_CHANCE:
        return found, f"not needed: {numbers}"
    for turn in range(_ROUNDS):
        with threadpool_limits(1, "blas"):
            deformation = _Jury.of(found, cosines).field(_AMPLITUDES[best])
        found = _straightened(found, start, deformation, part(report, _ROUNDS + turn, 2 * _ROUNDS))
    return found, f"accepted: {numbers}"


class _Cosines(NamedTuple):
    """What the field is made of.

    Attributes
    ----------
    orders_yx : int64[S, 2]
    growth : float64[N, T]
        Each cosine over the exposure, at each tilt.
    field_ang_yx : tuple of float
    """

    orders_yx: Ints
    growth: Floats
    field_ang_yx: tuple[float, float]

    @classmethod
    def of(cls, series: TiltSeries) -> "_Cosines":
        """Lay out the field of a series."""
        each = np.arange(_HIGHEST_ORDER + 1)
        orders = np.stack(np.meshgrid(each, each, indexing="ij"), axis=-1).reshape(-1, 2)
        # What all the field does alike is a shift of the image.
        orders = orders[(orders.any(axis=1)) & (np.hypot(*orders.T) <= _HIGHEST_ORDER)]
        half_period = np.sqrt(_exposure(series))[:, None]
        field_ang_yx = (series.shape_yx[0] * series.pixel_ang, series.shape_yx[1] * series.pixel_ang)
        # What is there from the start is where the landmarks are.
        return cls(orders, np.cos(np.pi * half_period * np.arange(1, _HIGHEST_ORDER + 1)), field_ang_yx)

    def over_field(self, alignment: Alignment, height_ang: float, tilt: Ints, seen_ang_yx: Floats) -> Floats:
        """Return the cosines float64[M, S] where the sheet at one height is seen at places of some tilts."""
        rotation = alignment.rotations[tilt]
        raised_xy = (seen_ang_yx - alignment.shift_ang_yx[tilt])[:, ::-1] - height_ang * rotation[:, :2, 2]
        place_xy = np.linalg.solve(rotation[:, :2, :2], raised_xy[..., None])[..., 0]
        half_period = np.clip(place_xy[:, ::-1] / self.field_ang_yx + 0.5, 0.0, 1.0)
        waves: Floats = np.cos(np.pi * half_period[:, None] * self.orders_yx).prod(axis=2)
        return waves

    def columns(self, alignment: Alignment, height_ang: float, tilt: Ints, seen_ang_yx: Floats) -> Floats:
        """Return how (u, v) at places of some tilts change with each coefficient, float64[M, 2, S · T · 3]."""
        waves = self.over_field(alignment, height_ang, tilt, seen_ang_yx)
        moved = np.einsum("ms,mt,mck->mcstk", waves, self.growth[tilt], alignment.rotations[tilt, :2])
        return np.asarray(moved.reshape(len(tilt), 2, -1), np.float64)

    def precisions(self) -> Floats:
        """Return the inverse squares of how large the coefficients are beside the lowest, float64[S · T · 3]."""
        over_field = np.sum(self.orders_yx**2, axis=1)[:, None, None]
        over_exposure = np.arange(1, _HIGHEST_ORDER + 1)[:, None] ** 2
        squares: Floats = np.tile(over_field * over_exposure, 3).astype(np.float64)
        return squares.reshape(-1)


def _exposure(series: TiltSeries) -> Floats:
    """Return how much of the exposure each tilt has had, float64[N] from 0 to 1; by order where no dose is known."""
    had = series.dose_before_e_ang2 + 0.5 * series.dose_of_tilt_e_ang2
    if not np.ptp(series.dose_before_e_ang2):
        had = np.argsort(np.argsort(series.order, kind="stable")).astype(np.float64)
    share: Floats = (had - had.min()) / max(float(np.ptp(had)), 1e-12)
    return share


class _Landmark(NamedTuple):
    """One landmark's measurements, its own place fitted to them: what they say of geometry and field.

    Attributes
    ----------
    design : float64[2 m, Q]
        Derivatives by all variables, weighted.
    residual : float64[2 m]
        Å, weighted.
    weight : float
        Sum over the measurements.
    """

    design: Floats
    residual: Floats
    weight: float


@dataclass(frozen=True, eq=False)
class _Jury:
    """Landmarks that are left out in turn.

    Attributes
    ----------
    found : Tracked
    cosines : _Cosines
    height_ang : float
        Of the sheet: the mean of the landmarks.
    landmarks : tuple of _Landmark
    held : float64[Q', Q']
        Prior and pins of the geometry, whose variables come first.
    noise_ang : float
    """

    found: Tracked
    cosines: _Cosines
    height_ang: float
    landmarks: tuple[_Landmark, ...]
    held: Floats
    noise_ang: float

    @classmethod
    def of(cls, found: Tracked, cosines: _Cosines) -> "_Jury":
        """Linearise geometry and field about an alignment."""
        observations, alignment = found.observations, found.bundle.alignment
        used = Used.among(observations, alignment)
        problem = used.problem(observations, alignment, BundleModel())
        weight = _belief(found.bundle.residual_ang_yx[used.observations])
        fit = problem.fit(np.zeros(problem.parameters.basis.shape[2]), weight)
        tilt, seen = observations.tilt[used.observations], problem.uv_ang - fit.residual_ang
        height_ang = float(fit.points_ang_xyz[:, 2].mean())
        by_geometry = np.einsum("mci,miq->mcq", fit.by_theta, problem.parameters.basis[problem.tilt])
        by_field = cosines.columns(alignment, height_ang, tilt, seen[:, ::-1])
        by_all = np.concatenate([by_geometry, by_field], axis=2)
        landmarks = tuple(
            _landmark(by_all[here], fit.residual_ang[here], fit.by_point[here], weight[here])
            for here in (problem.point == point for point in range(problem.n_points))
        )
        noise_ang = found.bundle.noise_ang
        return cls(found, cosines, height_ang, landmarks, problem.held(noise_ang), noise_ang)

    def left_out(self, amplitude: float | None) -> Floats:
        """Return each landmark's mean squared residual when it is left out, Å²; without a field if None."""
        normal, right = self._equations(self.landmarks, amplitude)
        n, losses = len(normal), []
        for one in self.landmarks:
            design = one.design[:, :n]
            without = np.linalg.solve(normal - design.T @ design, right - design.T @ one.residual)
            losses.append(np.sum((one.residual - design @ without) ** 2) / max(one.weight, 1e-12))
        return np.array(losses)[[one.weight >= 1.0 for one in self.landmarks]]

    def field(self, amplitude: float) -> Deformation:
        """Fit the field to all landmarks and show it in every tilt."""
        coefficients = np.linalg.solve(*self._equations(self.landmarks, amplitude))[len(self.held) :]
        alignment = self.found.alignment
        ends = [np.linspace(-0.5, 0.5, _NODES) * length for length in self.cosines.field_ang_yx]
        places = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1)
        tilt = np.repeat(np.arange(alignment.n_tilts), _NODES**2)
        seen = np.tile(places.reshape(-1, 2), (alignment.n_tilts, 1))
        moved_uv = self.cosines.columns(alignment, self.height_ang, tilt, seen) @ coefficients
        nodes = -moved_uv[:, ::-1].reshape(alignment.n_tilts, _NODES, _NODES, 2)
        return Deformation(nodes_ang_yx=nodes, field_ang_yx=self.cosines.field_ang_yx)

    def _equations(self, landmarks: Iterable[_Landmark], amplitude: float | None) -> tuple[Floats, Floats]:
        """Return the normal matrix and right side of all landmarks, prior included."""
        n = len(self.held)
        if amplitude is not None:
            n += len(self.cosines.precisions())
        normal, right = np.zeros((n, n)), np.zeros(n)
        normal[: len(self.held), : len(self.held)] = self.held
        if amplitude is not None:
            # Squares count in units of the noise, and so does the amplitude.
            np.fill_diagonal(normal[len(self.held) :, len(self.held) :], self.cosines.precisions() / amplitude**2)
        for one in landmarks:
            design = one.design[:, :n]
            normal += design.T @ design
            right += design.T @ one.residual
        return normal, right


def _belief(residual_ang_yx: Floats) -> Floats:
    """Weigh observations down by how far off they are, softly: what bends most must not be rejected for it."""
    length = np.hypot(*np.nan_to_num(residual_ang_yx).T)
    weight: Floats = 1.0 / (1.0 + (length / (_SOFT * max(vector_spread(length), 1e-6))) ** 2)
    return weight


def _landmark(by_all: Floats, residual: Floats, by_point: Floats, weight: Floats) -> _Landmark:
    """Take out of one landmark's equations what its own place can explain."""
    root = np.sqrt(weight)[:, None, None]
    place = np.linalg.qr((root * by_point).reshape(-1, 3))[0]
    design = (root * by_all).reshape(len(place), -1)
    left = (root[..., 0] * residual).reshape(-1)
    return _Landmark(design - place @ (place.T @ design), left - place @ (place.T @ left), float(weight.sum()))


def _straightened(found: Tracked, start: Alignment, deformation: Deformation, report: Report) -> Tracked:
    """Solve the geometry anew from where the landmarks would be seen if the specimen were not bent."""
    seen = found.observations
    straight = Observations(seen.tilt, seen.point, deformation.straightened(seen.tilt, seen.position_ang_yx))
    _, bundle = choose_model(straight, start, RIGID_LADDER, report)
    alignment = tracked(found.kind, seen, bundle, start, found.size_ang).alignment
    return replace(found, alignment=alignment.replace(deformation=deformation), bundle=bundle)


def _nm(squares_ang2: Floats) -> float:
    return float(np.sqrt(np.median(squares_ang2))) / 10.0
