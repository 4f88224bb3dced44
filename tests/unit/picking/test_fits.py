"""Fits to exact points are exact, and points that determine no shape are refused in words."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.ops.so3 import fibonacci
from napari_tomoflow.core.picking.closed import fit_closed
from napari_tomoflow.core.picking.ellipsoid import ellipsoid_distances, fit_ellipsoid
from napari_tomoflow.core.picking.filament import fit_filament
from napari_tomoflow.core.picking.height import fit_membrane, fit_plane
from napari_tomoflow.core.picking.lattice import fit_lattice
from napari_tomoflow.core.picking.smoothing import fit_spline
from napari_tomoflow.core.picking.sphere import fit_sphere

CENTER = np.array([50.0, -200.0, 1000.0])
EVERY_FIT = (fit_sphere, fit_ellipsoid, fit_closed, fit_plane, fit_membrane, fit_filament, fit_lattice)


def test_a_sphere_through_its_own_points_is_exact():
    fitted = fit_sphere(CENTER + 321.0 * fibonacci(12))
    np.testing.assert_allclose(fitted.shape.center_ang_zyx, CENTER, atol=1e-6)
    assert fitted.size["radius_ang"] == pytest.approx(321.0, abs=1e-6)
    assert np.abs(fitted.residual_ang).max() < 1e-6


def test_a_cap_is_enough_for_a_sphere():
    cap = fibonacci(60)[:12]
    fitted = fit_sphere(CENTER + 500.0 * cap)
    assert fitted.size["radius_ang"] == pytest.approx(500.0, abs=1e-3)


def test_an_ellipsoid_through_its_own_points_is_exact():
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    points = CENTER + (fibonacci(30) * [600.0, 400.0, 250.0]) @ turn
    fitted = fit_ellipsoid(points)
    sizes = [fitted.size[f"{name}_semi_axis_ang"] for name in ("long", "middle", "short")]
    np.testing.assert_allclose(sizes, [600.0, 400.0, 250.0], atol=1e-3)
    np.testing.assert_allclose(np.abs(fitted.shape.axes_zyx @ turn.T), np.eye(3), atol=1e-5)
    np.testing.assert_allclose(fitted.shape.drop(points), points, atol=1e-3)


def test_distances_to_an_ellipsoid_are_those_to_its_nearest_point():
    semi_axes = np.array([5.0, 3.0, 2.0])
    surface = fibonacci(400_000) * semi_axes
    points = np.random.default_rng(2).uniform(-6, 6, (30, 3))
    nearest = np.array([np.linalg.norm(surface - point, axis=1).min() for point in points])
    outside = np.sum((points / semi_axes) ** 2, axis=1) > 1
    np.testing.assert_allclose(ellipsoid_distances(points, semi_axes), np.where(outside, nearest, -nearest), atol=1e-3)


def test_a_closed_surface_through_an_egg_follows_it():
    ways = fibonacci(100)
    fitted = fit_closed(CENTER + ways * (300.0 + 50.0 * ways[:, :1] ** 3))
    assert np.abs(fitted.residual_ang).max() < 1.0
    assert fitted.size["mean_radius_ang"] == pytest.approx(300.0, abs=5.0)


def test_a_plane_through_its_own_points_is_exact_and_its_error_is_told():
    rng = np.random.default_rng(3)
    flat = np.column_stack([rng.uniform(-500, 500, (40, 2)), np.zeros(40)])
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    fitted = fit_plane(CENTER + flat @ turn)
    assert np.abs(fitted.residual_ang).max() < 1e-9
    assert abs(fitted.shape.axes_zyx[2] @ turn[2]) == pytest.approx(1.0)
    noisy = [fit_plane(CENTER + flat @ turn + rng.normal(0, 10, (40, 3))) for _ in range(50)]
    off_deg = [np.rad2deg(np.arccos(abs(one.shape.axes_zyx[2] @ turn[2]))) for one in noisy]
    told_deg = np.mean([one.size["normal_error_deg"] for one in noisy])
    assert np.sqrt(np.mean(np.square(off_deg))) == pytest.approx(told_deg, rel=0.3)


def test_a_membrane_through_a_bowl_has_its_height_and_slope():
    rng = np.random.default_rng(4)
    a, b = rng.uniform(-500, 500, (2, 60))
    fitted = fit_membrane(CENTER + np.column_stack([4e-4 * (a**2 + b**2), a, b]))
    a, b = rng.uniform(-300, 300, (2, 50))
    truth = CENTER + np.column_stack([4e-4 * (a**2 + b**2), a, b])
    np.testing.assert_allclose(fitted.shape.distances(truth), 0.0, atol=0.5)
    slope = np.column_stack([np.ones(50), -8e-4 * a, -8e-4 * b])
    cosine = np.abs(np.sum(fitted.shape.normals(truth) * slope, axis=1)) / np.linalg.norm(slope, axis=1)
    assert np.rad2deg(np.arccos(np.clip(cosine, 0, 1))).max() < 0.5


def test_a_filament_through_an_arc_has_its_length_and_direction():
    angle = np.linspace(0, np.pi / 2, 15)
    fitted = fit_filament(CENTER + 1000.0 * np.column_stack([np.zeros(15), np.sin(angle), np.cos(angle)]))
    assert fitted.size["length_ang"] == pytest.approx(500.0 * np.pi, rel=1e-3)
    points, ways, aside = fitted.shape.at(np.linspace(100.0, 1400.0, 9))
    np.testing.assert_allclose(np.linalg.norm(points - CENTER, axis=1), 1000.0, atol=1.0)
    np.testing.assert_allclose(np.sum(ways * (points - CENTER), axis=1) / 1000.0, 0.0, atol=0.01)
    np.testing.assert_allclose(np.sum(ways * aside, axis=1), 0.0, atol=1e-9)


def test_two_points_make_a_straight_filament():
    fitted = fit_filament([[0, 0, 0], [0, 300, 400]])
    assert fitted.size["length_ang"] == pytest.approx(500.0)
    np.testing.assert_allclose(fitted.shape.at(np.array([250.0]))[0], [[0, 150, 200]], atol=1e-9)


def test_the_direction_across_a_filament_does_not_turn_about_it_needlessly():
    # Carried once round a closed circle, a direction that does not turn comes back to itself.
    angle = np.linspace(0, 2 * np.pi, 40)
    fitted = fit_filament(500.0 * np.column_stack([np.zeros(40), np.sin(angle), np.cos(angle)]))
    _, _, aside = fitted.shape.at(np.linspace(0, fitted.size["length_ang"], 60))
    assert aside[0] @ aside[-1] > 0.999


def test_smoothing_finds_noise_and_function_together():
    rng = np.random.default_rng(5)
    places = np.sort(rng.uniform(0, 10, 80))[:, None]
    truth = np.column_stack([np.sin(places[:, 0]), 0.1 * places[:, 0] ** 2])
    spline = fit_spline(places, truth + rng.normal(0, 0.1, truth.shape))
    assert spline.smooth.noise_sd == pytest.approx(0.1, rel=0.2)
    error = np.sqrt(np.mean((spline.at(places) - truth) ** 2))
    assert error < 0.05
    assert np.sqrt(np.mean(spline.smooth.error**2)) == pytest.approx(error, rel=0.5)


def test_three_points_of_a_lattice_are_enough():
    fitted = fit_lattice([[0, 0, 0], [0, 80, 0], [0, -40, 70]])
    assert len(fitted.shape.nodes) == 3
    assert fitted.size["gamma_deg"] == pytest.approx(119.7, abs=0.1)


def test_a_stray_point_away_from_the_middle_belongs_to_no_node():
    # One among the few nodes a lattice is started from may halve its cell.
    i, j = np.divmod(np.arange(49), 7)
    points = np.column_stack([0.0 * i, 80.0 * i, 80.0 * j]) + np.random.default_rng(7).normal(0, 4, (49, 3))
    fitted = fit_lattice(np.vstack([points, [0.0, 435.0, 190.0]]))
    assert np.flatnonzero(np.isnan(fitted.residual_ang)).tolist() == [49]


@pytest.mark.parametrize(
    ("fit", "points", "words"),
    [
        (fit_sphere, fibonacci(3), "A sphere needs at least 4 different points; got 3"),
        (fit_sphere, np.ones((9, 3)), "at least 4 different points; got 1"),
        (fit_sphere, np.column_stack([np.zeros(9), fibonacci(9)[:, 1:]]), "on a plane; click some beside it"),
        (fit_sphere, fibonacci(5) + np.random.default_rng(0).normal(0, 0.5, (5, 3)), "tell the centre of a sphere"),
        (fit_ellipsoid, fibonacci(9), "An ellipsoid needs at least 10"),
        (fit_ellipsoid, fibonacci(300)[:12] * [9, 5, 3] + 0.1 * fibonacci(12)[::-1], "or choose a sphere"),
        (fit_closed, fibonacci(7), "A closed surface needs at least 8"),
        (fit_plane, [[0, 0, 0], [1, 1, 1], [2, 2, 2], [5, 5, 5]], "that lie on a line; click some beside it"),
        (fit_plane, fibonacci(2), "A plane needs at least 3"),
        (fit_membrane, fibonacci(5), "A membrane needs at least 6"),
        (fit_filament, np.ones((4, 3)), "A filament needs at least 2 different points; got 1"),
        (fit_lattice, [[0, 0, 0], [1, 1, 1], [2, 2, 2]], "A lattice cannot be fitted to 3 points that lie on a line"),
    ],
)
def test_points_that_determine_no_shape_are_refused_in_words(fit, points, words):
    with pytest.raises(DataError, match=words):
        fit(points)


@pytest.mark.parametrize("fit", EVERY_FIT, ids=lambda fit: fit.__name__)
def test_a_point_that_is_not_a_number_is_named(fit):
    points = 100.0 * fibonacci(20)
    points[4, 1] = np.nan
    with pytest.raises(DataError, match=r"Point 5 is not a number: \(z, y, x\) = \(.*, nan, .*; remove it"):
        fit(points)


def test_a_shape_that_folds_over_its_centre_is_no_closed_surface():
    arm = np.abs(fibonacci(80))
    three_arms = np.concatenate([arm * np.where(one, 1000.0, 20.0) for one in np.eye(3)])
    with pytest.raises(DataError, match="folds over its own centre; click more"):
        fit_closed(three_arms)
