"""Height, thickness and lean of the specimen, and the gauge that puts it flat into the middle."""

import numpy as np
import pytest

from napari_tomoflow.core.alignment.gauge import centred, filled, in_axis_frame
from napari_tomoflow.core.alignment.level import Slab, find_slab
from napari_tomoflow.core.alignment.prepare import Band, prepare
from napari_tomoflow.core.model import Alignment
from napari_tomoflow.core.ops import geometry
from napari_tomoflow.core.report import silent
from unit.alignment.beads import bead_alignment, bead_points, bead_series

UNSEEN = Slab(seen=False)


def leaning_points(slope_x=0.0, slope_y=0.0, height_ang=0.0):
    """A thin layer of many beads on a plane."""
    points = bead_points(n_beads=200, thickness_ang=60.0, field_ang=1800.0)
    points[:, 0] += height_ang + slope_x * points[:, 2] + slope_y * points[:, 1]
    return points


def slab_of(truth, points):
    stack, _ = prepare(bead_series(truth, points, size=128, noise=0.3), silent)
    return find_slab(stack.filtered(Band(40.0, 400.0)), truth)


def heights_in_the_frame_of(alignment, points):
    """Heights of points of the old frame in the frame an alignment was levelled to."""
    about_y, about_x = alignment.level_deg_yx
    level = geometry.rotation_y(about_y) @ geometry.rotation_x(about_x)
    return ((points - np.array(alignment.centre_ang_zyx))[:, ::-1] @ level)[:, 2]


def test_a_flat_specimen_is_seen_at_its_height_and_not_turned():
    truth = bead_alignment(shift_ang=0.0)
    slab = slab_of(truth, leaning_points(height_ang=120.0))
    assert slab.seen
    assert slab.height_ang == pytest.approx(120.0, abs=20.0)
    assert abs(slab.slope_x) < 0.03
    assert abs(slab.slope_y) < 0.03


@pytest.mark.parametrize(("slope_x", "slope_y"), [(0.15, 0.0), (0.0, -0.2), (-0.12, 0.1)])
def test_a_leaning_specimen_is_laid_flat(slope_x, slope_y):
    truth, points = bead_alignment(shift_ang=0.0), leaning_points(slope_x, slope_y, 80.0)
    slab = slab_of(truth, points)
    assert slab.slope_x == pytest.approx(slope_x, abs=0.04)
    assert slab.slope_y == pytest.approx(slope_y, abs=0.04)
    z = heights_in_the_frame_of(centred(truth, slab, level=True), points)
    assert abs(z.mean()) < 20.0
    assert z.std() < 0.5 * points[:, 0].std()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_few_scattered_molecules_do_not_lay_a_thick_specimen_askew(seed):
    points = np.random.default_rng(seed).uniform(-1, 1, (30, 3)) * [400.0, 900.0, 900.0]
    slab = slab_of(bead_alignment(shift_ang=0.0), points)
    assert abs(slab.slope_x) < 0.07
    assert abs(slab.slope_y) < 0.07


def test_noise_without_matter_is_not_seen():
    assert not slab_of(bead_alignment(shift_ang=0.0), np.empty((0, 3))).seen


def test_levelling_is_left_out_when_not_wanted():
    truth = bead_alignment(shift_ang=0.0)
    slab = Slab(True, 50.0, 100.0, slope_x=0.2, slope_y=0.1, slope_error=0.01)
    assert centred(truth, slab, level=False).level_deg_yx == (0.0, 0.0)
    assert centred(truth, slab, level=True).level_deg_yx != (0.0, 0.0)


def test_without_a_slab_the_shifts_choose_the_smallest_trend():
    tilt = np.deg2rad(bead_alignment().tilt_deg)
    away = np.stack([np.full(len(tilt), 30.0), 70.0 * np.cos(tilt) - 40.0 * np.sin(tilt)], axis=1)
    start = Alignment(tilt_deg=np.rad2deg(tilt), axis_deg=np.zeros(len(tilt)), shift_ang_yx=away)
    np.testing.assert_allclose(centred(start, UNSEEN, level=True).shift_ang_yx, 0.0, atol=1e-9)


@pytest.mark.parametrize("slab", [UNSEEN, Slab(True, 75.0, 300.0, slope_x=0.1, slope_y=-0.05, slope_error=0.01)])
def test_centring_only_moves_the_specimen(slab):
    truth, points = bead_alignment(), bead_points()
    moved = centred(truth, slab, level=True)
    about_y, about_x = moved.level_deg_yx
    level = geometry.rotation_y(about_y) @ geometry.rotation_x(about_x)
    new_points = ((points - np.array(moved.centre_ang_zyx))[:, ::-1] @ level)[:, ::-1]
    np.testing.assert_allclose(moved.project(new_points)[0], truth.project(points)[0], atol=1e-6)


def test_the_origin_lies_on_the_plane_of_the_slab():
    slab = Slab(True, 75.0, 300.0, slope_x=0.1, slope_y=-0.05, slope_error=0.01)
    z, y, x = centred(bead_alignment(), slab, level=True).centre_ang_zyx
    assert z == pytest.approx(75.0 + 0.1 * x - 0.05 * y)


def test_tilts_left_out_are_interpolated_between_their_neighbours():
    used = np.array([3, 1, 0])
    three = Alignment(tilt_deg=np.array([-20.0, 0.0, 20.0]), axis_deg=np.full(3, 5.0), shift_ang_yx=np.eye(3)[:, :2])
    whole = filled(three, used, np.array([20.0, 0.0, -10.0, -20.0]), np.array([3.0, 2.0, 1.0]))
    assert whole.kept.tolist() == [True, True, False, True]
    np.testing.assert_allclose(whole.shift_ang_yx[2], [0.5, 0.5])
    np.testing.assert_allclose(whole.residual_ang, [1.0, 2.0, np.nan, 3.0])


def test_shifts_are_turned_into_the_frame_of_the_axis():
    quarter = Alignment(tilt_deg=np.zeros(1), axis_deg=np.full(1, 90.0), shift_ang_yx=np.array([[2.0, 0.0]]))
    # The axis along −x: image +y lies across it.
    np.testing.assert_allclose(in_axis_frame(quarter), [[0.0, 2.0]], atol=1e-12)
