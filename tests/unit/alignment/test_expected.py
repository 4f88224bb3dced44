"""The error an alignment expects of itself is the one it has on average."""

import numpy as np

from napari_tomoflow.core.alignment.bundle_model import AXIS, SHIFT, TILT
from napari_tomoflow.core.alignment.expected import difference_ang, expected_error_ang, spreads_by_images
from napari_tomoflow.core.alignment.matching import neighbours_of
from napari_tomoflow.core.model import Alignment
from truth.rigid_motion import error_after_rigid_motion

FIELD_ANG, THICKNESS_ANG = 3000.0, 1200.0


def truth():
    tilt_deg = np.arange(-60.0, 61, 12)
    return Alignment(tilt_deg=tilt_deg, axis_deg=np.full(len(tilt_deg), 30.0), residual_ang=np.array(4.0))


def test_expected_error_is_the_mean_over_alignments_drawn_from_what_is_not_known():
    rng = np.random.default_rng(0)
    size = (THICKNESS_ANG, FIELD_ANG, FIELD_ANG)
    spreads = spreads_by_images(truth(), 0.5)
    squares = []
    for _ in range(300):
        change = spreads @ rng.standard_normal(spreads.shape[2])
        found = truth().replace(
            axis_deg=truth().axis_deg + np.rad2deg(change[:, AXIS]),
            tilt_deg=truth().tilt_deg + np.rad2deg(change[:, TILT]),
            shift_ang_yx=change[:, SHIFT][:, ::-1],
        )
        squares.append(difference_ang(found, truth(), size) ** 2)
    assert 0.9 < np.sqrt(np.mean(squares)) / expected_error_ang(truth(), spreads, size) < 1.1


def test_errors_of_images_add_up_along_the_series_though_each_fits_its_neighbours_to_the_residual():
    spreads = spreads_by_images(truth(), 0.0)[:, SHIFT]
    steps = spreads - np.array([spreads[neighbours_of(truth().tilt_deg, i, range(11))].mean(0) for i in range(11)])
    step_ang = np.sqrt((steps**2).sum(axis=(1, 2)))
    shift_ang = np.sqrt((spreads**2).sum(axis=(1, 2)))
    assert step_ang.max() < 1.01 * 4.0
    assert np.median(step_ang) > 0.9 * 4.0
    assert shift_ang[[0, -1]].min() > 2.0 * shift_ang[5] > 4.0


def test_images_are_asked_only_about_tilts_that_nothing_else_confirms():
    confirmed = np.arange(truth().n_tilts) < 8
    spreads = spreads_by_images(truth(), 0.5, confirmed)
    assert not spreads[confirmed].any()
    off_ang = np.sqrt((spreads[~confirmed][:, SHIFT] ** 2).sum(axis=(1, 2)))
    assert 4.0 < off_ang[0] < off_ang[1:].min()
    alone = spreads_by_images(truth(), 0.5)
    size = (THICKNESS_ANG, FIELD_ANG, FIELD_ANG)
    assert 0 < expected_error_ang(truth(), spreads, size) < expected_error_ang(truth(), alone, size)


def test_a_motion_of_the_whole_specimen_is_no_error():
    spreads = np.zeros((truth().n_tilts, 8, 2))
    spreads[:, TILT, 0] = 0.01
    spreads[:, SHIFT, 1] = truth().rotations[:, :2, 2] * 50.0
    assert expected_error_ang(truth(), spreads, (THICKNESS_ANG, FIELD_ANG, FIELD_ANG)) < 0.01


def test_tilts_left_out_and_unknown_do_not_count():
    spreads = np.zeros((truth().n_tilts, 8, 1))
    spreads[3] = np.nan
    spreads[4, AXIS] = 1.0
    kept = np.arange(truth().n_tilts) != 4
    assert expected_error_ang(truth().replace(kept=kept), spreads, (THICKNESS_ANG, FIELD_ANG, FIELD_ANG)) == 0


def test_two_alignments_differ_by_what_no_motion_of_the_specimen_explains():
    size = (THICKNESS_ANG, FIELD_ANG, FIELD_ANG)
    moved_yx = truth().rotations[:, [1, 0]] @ np.array([30.0, -20.0, 50.0])
    moved = truth().replace(shift_ang_yx=truth().shift_ang_yx + moved_yx)
    assert difference_ang(truth(), moved, size) < 1e-6
    jitter = np.random.default_rng(1).normal(0, 5.0, (truth().n_tilts, 2))
    jittered = moved.replace(shift_ang_yx=moved.shift_ang_yx + jitter)
    found = error_after_rigid_motion(
        jittered,
        truth(),
        np.random.default_rng(2).uniform(-0.5, 0.5, (40, 3)) * size,
        1.0,
        (1e6, 1e6),
        may_mirror=False,
    )
    assert abs(difference_ang(truth(), jittered, size) / found.rms_px - 1) < 0.1


def test_a_tilt_that_either_alignment_leaves_out_is_not_compared():
    shifts = np.zeros((truth().n_tilts, 2))
    shifts[3] = 100.0
    kept = np.arange(truth().n_tilts) != 3
    far = truth().replace(shift_ang_yx=shifts, kept=kept)
    assert difference_ang(truth(), far, (THICKNESS_ANG, FIELD_ANG, FIELD_ANG)) < 1e-6
