"""The measure of alignment errors itself: blind to motions of the specimen, honest about everything else."""

import numpy as np
import pytest

from napari_tomoflow.core.model import Alignment
from truth.rigid_motion import error_after_rigid_motion

PIXEL_ANG, SHAPE_YX = 10.0, (200, 200)


@pytest.fixture
def truth():
    rng = np.random.default_rng(0)
    return Alignment(
        tilt_deg=np.arange(-60.0, 61, 6), axis_deg=np.full(21, -30.0), shift_ang_yx=rng.normal(0, 40, (21, 2))
    )


@pytest.fixture
def points():
    return np.random.default_rng(1).uniform(-1, 1, (20, 3)) * [400, 700, 700]


def measure(alignment, truth, points, **options):
    return error_after_rigid_motion(alignment, truth, points, PIXEL_ANG, SHAPE_YX, **{"may_mirror": False} | options)


def test_a_levelled_and_moved_specimen_is_no_error(truth, points):
    moved = truth.levelled((4.0, -6.0), (150.0, -80.0, 60.0))
    assert measure(moved, truth, points).rms_px < 1e-4


def test_a_half_turn_of_the_axis_is_an_error_unless_mirrors_are_allowed(truth, points):
    mirrored = truth.replace(axis_deg=truth.axis_deg + 180)
    assert measure(mirrored, truth, points).rms_px > 10
    found = measure(mirrored, truth, points, may_mirror=True)
    assert found.rms_px < 1e-4
    assert found.is_mirrored


def test_independent_shift_errors_come_out_at_their_size(truth, points):
    errors = np.random.default_rng(2).normal(0, 20.0, (21, 2))
    found = measure(truth.replace(shift_ang_yx=truth.shift_ang_yx + errors), truth, points)
    # Six of 42 degrees of freedom are taken up by the motion.
    assert found.rms_px == pytest.approx(2.0 * np.sqrt(2 * 36 / 42), rel=0.15)


def test_tilts_left_out_do_not_count(truth, points):
    shifts = np.array(truth.shift_ang_yx)
    shifts[3] += 500.0
    kept = np.arange(21) != 3
    assert measure(truth.replace(shift_ang_yx=shifts, kept=kept), truth, points).rms_px < 1e-4
