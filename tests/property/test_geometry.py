"""Laws of the one geometry."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment
from napari_tomoflow.core.ops import geometry

ANGLES = st.floats(-180, 180)
TILTS = st.floats(-89, 89)
LENGTHS = st.floats(-5000, 5000)
POINTS = st.tuples(LENGTHS, LENGTHS, LENGTHS)


def test_rotations_are_right_handed_and_active():
    z = np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(geometry.rotation_y(30) @ z, [0.5, 0, np.sqrt(3) / 2], atol=1e-12)
    np.testing.assert_allclose(geometry.rotation_x(90) @ z, [0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(geometry.rotation_z(90) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_a_point_lands_where_the_formula_says():
    # By hand: axis 0, tilt 60°, p = (x 100, y 20, z 40): u = x cos t + z sin t, depth = -x sin t + z cos t.
    alignment = Alignment(tilt_deg=[60.0], axis_deg=0.0, shift_ang_yx=[[3.0, 7.0]])
    image_yx, depth = alignment.project([[40.0, 20.0, 100.0]])
    np.testing.assert_allclose(image_yx[0, 0], [23.0, 50 + 20 * np.sqrt(3) + 7], atol=1e-9)
    np.testing.assert_allclose(depth[0, 0], -50 * np.sqrt(3) + 20, atol=1e-9)


def test_the_axis_is_counter_clockwise_from_y_and_stays_put_while_tilting():
    # A point on the axis does not move with tilt: (-sin a, cos a) is the axis' direction.
    axis = 30.0
    on_axis_zyx = [[0.0, 100 * np.cos(np.deg2rad(axis)), -100 * np.sin(np.deg2rad(axis))]]
    # In the specimen's frame the axis is y; the image turns it by +axis.
    image_yx, _ = Alignment(tilt_deg=[0.0, 60.0], axis_deg=axis).project([[0.0, 100.0, 0.0]])
    np.testing.assert_allclose(image_yx[:, 0], [on_axis_zyx[0][1:]] * 2, atol=1e-9)


def test_pixel_centre_is_n_over_two_for_even_and_odd_sizes():
    assert geometry.pixels_from_ang([[0, 0]], 3.0, (10, 11)).tolist() == [[5, 5]]
    assert geometry.ang_from_pixels([[5, 5]], 3.0, (10, 11)).tolist() == [[0, 0]]


@given(ANGLES, TILTS, ANGLES)
def test_angles_come_back_from_the_matrix(axis, tilt, xtilt):
    matrix = geometry.tilt_rotations(axis, tilt, xtilt)
    np.testing.assert_allclose(geometry.tilt_rotations(*geometry.tilt_angles(matrix)), matrix, atol=1e-9)


def test_angles_come_back_at_the_gimbal_lock():
    for tilt in (90.0, -90.0):
        matrix = geometry.tilt_rotations(12.0, tilt, 7.0)
        np.testing.assert_allclose(geometry.tilt_rotations(*geometry.tilt_angles(matrix)), matrix, atol=1e-9)


@given(st.floats(-20, 20), st.floats(-20, 20), POINTS, POINTS, ANGLES, TILTS)
def test_levelling_moves_the_frame_and_not_the_images(level_y, level_x, centre, point, axis, tilt):
    alignment = Alignment(tilt_deg=[tilt, tilt + 1], axis_deg=axis, xtilt_deg=1.5, shift_ang_yx=[5.0, -8.0])
    levelled = alignment.levelled((level_y, level_x), centre)
    level = geometry.rotation_y(level_y) @ geometry.rotation_x(level_x)
    before = (level @ np.array(point)[::-1])[::-1] + np.array(centre)
    np.testing.assert_allclose(levelled.project([point])[0], alignment.project([before])[0], atol=1e-6)


def test_the_rise_of_the_centre_is_what_defocus_gains():
    alignment = Alignment(tilt_deg=[20.0], axis_deg=10.0)
    _, _, rise = geometry.fold_specimen(alignment.rotations, alignment.shift_ang_yx, np.eye(3), (100.0, 0.0, 0.0))
    assert rise[0] == pytest.approx(100 * np.cos(np.deg2rad(20)))


def test_a_levelling_that_is_no_rotation_is_refused():
    alignment = Alignment(tilt_deg=[0.0], axis_deg=0.0)
    for bad in (np.diag([1.0, 1.0, -1.0]), 2 * np.eye(3)):
        with pytest.raises(DataError, match="not a rotation"):
            geometry.fold_specimen(alignment.rotations, alignment.shift_ang_yx, bad, (0, 0, 0))


@given(POINTS, ANGLES, TILTS)
def test_half_a_turn_of_the_axis_mirrors_the_specimen(point, axis, tilt):
    # The trap no alignment residual can see (methods: R(a+180, t) shows R(a, -t) turned by 180° about z).
    z, y, x = point
    turned, depth_turned = Alignment(tilt_deg=[tilt], axis_deg=axis + 180).project([[z, -y, -x]])
    mirrored, depth_mirrored = Alignment(tilt_deg=[tilt], axis_deg=axis).project([[-z, y, x]])
    np.testing.assert_allclose(turned, mirrored, atol=1e-6)
    np.testing.assert_allclose(depth_turned, -depth_mirrored, atol=1e-6)
