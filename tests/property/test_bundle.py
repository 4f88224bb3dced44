"""Laws of the bundle adjustment: derivatives are derivatives, the gauge is flat, the leave-out residual is a refit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tomoflow.core.alignment.bundle import solve_bundle
from napari_tomoflow.core.alignment.bundle_model import (
    N_COLUMNS,
    SHIFT,
    BundleModel,
    Freedom,
    Observations,
    Parameters,
    Views,
    derivatives_by_theta,
)
from napari_tomoflow.core.alignment.bundle_robust import Problem
from napari_tomoflow.core.model import Alignment
from reference.bead_series import PIXEL_ANG, bead_series

PER_TILT = Freedom("per tilt")
EVERYTHING = BundleModel(
    axis=Freedom("per tilt", prior=0.5),
    tilt=Freedom("per tilt", prior=0.5),
    xtilt=Freedom("grouped", 4, prior=0.5),
    magnification=Freedom("grouped", 5),
    stretch=Freedom("grouped", 7, prior=0.01),
    skew=Freedom("grouped", 7),
    robust=False,
)


def _predict(theta, tilt, points_xyz):
    views = Views.at(theta)
    moved = np.einsum("mij,mjk,mk->mi", views.rotation[tilt], views.deformation[tilt], points_xyz)
    return moved[:, :2] + theta[tilt, SHIFT]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_derivatives_equal_finite_differences(seed):
    rng = np.random.default_rng(seed)
    scale = np.array([100, 100, np.pi, 1.2, 0.5, 0.1, 0.1, 0.1])  # of each column of theta, Å and rad
    theta, tilt = rng.uniform(-1, 1, (4, N_COLUMNS)) * scale, np.repeat(np.arange(4), 3)
    points_xyz = rng.uniform(-2000, 2000, (12, 3))
    exact = derivatives_by_theta(theta, Views.at(theta), tilt, points_xyz)
    for column in range(N_COLUMNS):
        step = 1e-5 * np.eye(N_COLUMNS)[column]
        numeric = (_predict(theta + step, tilt, points_xyz) - _predict(theta - step, tilt, points_xyz)) / 2e-5
        # The third derivative of some 3000 Å times step² is 3e-7 Å; rounding adds 1e-12 · 3000 / 1e-5.
        np.testing.assert_allclose(exact[:, :, column], numeric, atol=2e-6, rtol=1e-7)


def _problem(series, model):
    seen = series.observations
    return Problem(Parameters.of(model, series.start, 1000.0), seen.tilt, seen.point, seen.position_ang_yx[:, ::-1])


def test_gradient_with_points_eliminated_equals_finite_differences():
    problem = _problem(bead_series(1, n_beads=5, n_tilts=9), EVERYTHING)
    rng = np.random.default_rng(2)
    n_free = problem.parameters.basis.shape[2]
    scale = np.where(problem.parameters.basis[:, SHIFT].any(axis=(0, 1)), 10.0, 1e-3)
    q, weight = rng.normal(0, 1, n_free) * scale, rng.uniform(0.1, 1, len(problem.tilt))
    gradient = problem.normal(problem.fit(q, weight), weight, 1.5).gradient
    for one in range(n_free):
        step = 1e-3 * scale * np.eye(n_free)[one]
        above, below = (problem.squares(problem.fit(q + s * step, weight), weight, 1.5) for s in (1, -1))
        numeric = (above - below) / (4e-3 * scale[one])  # half the gradient
        np.testing.assert_allclose(gradient[one] * scale[one], numeric * scale[one], rtol=1e-4, atol=0.5)


def test_pins_remove_exactly_what_the_data_cannot_settle():
    """Without pins the normal matrix has as many zero eigenvalues as there are pins; with them none."""
    model = BundleModel(axis=PER_TILT, tilt=PER_TILT, magnification=PER_TILT)
    series = bead_series(3, n_beads=12, n_tilts=15, missing=0.0, outliers=0.0)
    problem = _problem(series, model)
    unpinned = replace(problem, parameters=replace(problem.parameters, pins=problem.parameters.pins[:0]))
    smallest = {}
    for name, one in (("pinned", problem), ("free", unpinned)):
        weight = np.ones(len(one.tilt))
        matrix = one.normal(one.fit(np.zeros(one.parameters.basis.shape[2]), weight), weight, 0.0).matrix
        scale = 1 / np.sqrt(np.diag(matrix))
        smallest[name] = np.linalg.eigvalsh(matrix * scale[:, None] * scale)
    n_pins = len(problem.parameters.pins)
    assert n_pins == 5
    assert np.all(np.abs(smallest["free"][:n_pins]) < 1e-10)
    assert smallest["free"][n_pins] > 1e-6
    assert smallest["pinned"][0] > 1e-6


@pytest.mark.parametrize("model", [BundleModel(robust=False), EVERYTHING], ids=["default", "everything"])
def test_leave_out_residual_equals_a_refit_without_the_observation(model):
    series = bead_series(4, n_beads=8, n_tilts=11, outliers=0.0)
    seen = series.observations
    bundle = solve_bundle(seen, series.start, model)
    checked = np.random.default_rng(5).choice(len(seen.tilt), 10, replace=False)
    for one in checked:
        without = solve_bundle(seen.subset(np.arange(len(seen.tilt)) != one), series.start, model)
        shape = _shape_matrices(without)
        predicted = shape[seen.tilt[one]] @ np.append(without.points_ang_zyx[seen.point[one], ::-1], 1.0)
        refitted = seen.position_ang_yx[one] - predicted[::-1]
        # The refit estimates its noise anew, which changes the weight of the prior by a few per cent.
        np.testing.assert_allclose(bundle.leave_out_ang_yx[one], refitted, atol=0.06 * PIXEL_ANG, rtol=0.05)


def _shape_matrices(bundle):
    """Return image-from-sample matrices with the deformation that `Alignment` has no place for."""
    matrices = bundle.alignment.image_from_sample()[:, :2].copy()
    deformation = np.tile(np.eye(3), (len(matrices), 1, 1))
    deformation[:, 0, 0] += bundle.stretch
    deformation[:, 1, 0] = bundle.skew
    matrices[:, :, :3] = matrices[:, :, :3] @ deformation * bundle.magnification[:, None, None]
    return matrices


def test_residuals_belong_to_the_geometry_and_points_returned():
    series = bead_series(6, n_beads=10)
    bundle = solve_bundle(series.observations, series.start, replace(EVERYTHING, robust=True))
    seen = series.observations
    homogeneous = np.column_stack([bundle.points_ang_zyx[seen.point, ::-1], np.ones(len(seen.tilt))])
    predicted_xy = np.einsum("mij,mj->mi", _shape_matrices(bundle)[seen.tilt], homogeneous)
    residual = seen.position_ang_yx - predicted_xy[:, ::-1]
    np.testing.assert_allclose(bundle.residual_ang_yx, residual, atol=1e-6)


@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_tilts_points_and_observations_does_not_matter(seed):
    series = bead_series(7, n_beads=8, n_tilts=13)
    rng = np.random.default_rng(seed)
    seen, start = series.observations, series.start
    shuffle, tilts, points = rng.permutation(len(seen.tilt)), rng.permutation(13), rng.permutation(8)
    place = np.argsort(tilts)
    mixed = Observations(place[seen.tilt[shuffle]], points[seen.point[shuffle]], seen.position_ang_yx[shuffle])
    mixed_start = Alignment(
        tilt_deg=start.tilt_deg[tilts], axis_deg=start.axis_deg[tilts], shift_ang_yx=start.shift_ang_yx[tilts]
    )
    one, other = solve_bundle(seen, start), solve_bundle(mixed, mixed_start)
    np.testing.assert_allclose(other.alignment.tilt_deg, one.alignment.tilt_deg[tilts], atol=1e-6)
    np.testing.assert_allclose(other.leave_out_ang_yx, one.leave_out_ang_yx[shuffle], atol=1e-4)


def test_moving_the_specimen_of_the_start_moves_the_result_and_no_residual():
    """The gauge: a start with another origin gives the same fit about that origin."""
    series = bead_series(8)
    moved_start = series.start.levelled((0.0, 0.0), (40.0, -300.0, 500.0))
    one = solve_bundle(series.observations, series.start)
    other = solve_bundle(series.observations, moved_start)
    np.testing.assert_allclose(other.residual_ang_yx, one.residual_ang_yx, atol=0.01 * PIXEL_ANG)
    np.testing.assert_allclose(other.alignment.axis_deg, one.alignment.axis_deg, atol=2e-3)
    moved = np.nanmean(one.points_ang_zyx - other.points_ang_zyx, axis=0)
    # The axis turns by 1° from the start, which carries a point 500 Å away along by 9 Å.
    np.testing.assert_allclose(moved, [40.0, -300.0, 500.0], atol=10.0)
