"""An alignment is solved again from landmarks that somebody changed, and becomes better or worse as they do."""

import numpy as np
import pytest

from napari_tomoflow.core.alignment import mend
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Deformation, Landmarks
from reference.bead_series import PIXEL_ANG, bead_series, specimen_grid, true_rms_px


def case(seed=1, **columns):
    """Return a simulated series with its landmarks as measured, all believed."""
    made = bead_series(seed, **columns)
    seen = made.observations
    landmarks = Landmarks(
        kind="gold", points_ang_zyx=made.points_ang_zyx, tilt=seen.tilt, point=seen.point,
        position_ang_yx=seen.position_ang_yx, weight=1.0, size_ang=100.0,
    )  # fmt: skip
    return made, landmarks


def all_tilts(made):
    return np.ones(made.truth.n_tilts, bool)


def error_px(found, made):
    return true_rms_px(found, made.truth, specimen_grid())


def test_solved_again_it_is_right_and_says_so():
    made, landmarks = case(outliers=0.0)
    found = mend.resolve(made.start, landmarks, all_tilts(made))
    assert error_px(found, made) < 0.35
    assert found.quality["landmarks_used"] == landmarks.n_points
    assert found.quality["tilts_used"] == made.truth.n_tilts
    lengths = np.linalg.norm(found.landmark_residuals()[found.landmarks.believed], axis=1)
    assert np.sqrt(np.mean(lengths**2)) < 0.6 * PIXEL_ANG


def test_moving_a_wrong_measurement_to_where_it_belongs_mends_the_alignment():
    made, landmarks = case(n_beads=4, outliers=0.0, missing=0.0)
    wrong = np.flatnonzero(landmarks.tilt == 20)[:2]
    spoiled = landmarks
    for one in wrong:
        spoiled = mend.with_measurement_moved(spoiled, one, landmarks.position_ang_yx[one] + [150.0, -90.0])
    before = mend.resolve(made.start, spoiled, all_tilts(made))
    mended = spoiled
    for one in wrong:
        mended = mend.with_measurement_moved(mended, one, landmarks.position_ang_yx[one])
    after = mend.resolve(made.start, mended, all_tilts(made))
    assert np.linalg.norm(before.landmark_residuals()[wrong], axis=1).max() > 10 * PIXEL_ANG
    assert np.linalg.norm(after.landmark_residuals()[wrong], axis=1).max() < 2 * PIXEL_ANG
    assert after.landmarks.weight[wrong].min() > 0.1


def test_deleted_landmark_keeps_its_number_empty():
    made, landmarks = case()
    found = mend.resolve(made.start, mend.without_point(landmarks, 3), all_tilts(made))
    assert np.isnan(found.landmarks.points_ang_zyx[3]).all()
    assert not (found.landmarks.point == 3).any()
    assert np.isfinite(found.landmarks.points_ang_zyx[4]).all()
    assert found.landmarks.n_points == landmarks.n_points


def test_last_landmark_can_be_deleted():
    made, landmarks = case()
    last = landmarks.n_points - 1
    found = mend.resolve(made.start, mend.without_point(landmarks, last), all_tilts(made))
    assert found.landmarks.n_points == landmarks.n_points
    assert found.quality["landmarks_used"] == last


def test_deleting_a_measurement_leaves_the_others():
    _, landmarks = case()
    left = mend.without_measurement(landmarks, 7)
    assert len(left.tilt) == len(landmarks.tilt) - 1
    np.testing.assert_array_equal(left.position_ang_yx[7:], landmarks.position_ang_yx[8:])


def test_excluded_tilt_is_not_heard_and_moves_with_its_neighbours():
    made, landmarks = case(outliers=0.0)
    moved = landmarks.replace(
        position_ang_yx=landmarks.position_ang_yx + np.where(landmarks.tilt == 10, 400.0, 0.0)[:, None]
    )
    kept = all_tilts(made)
    kept[10] = False
    found = mend.resolve(made.start, moved, kept)
    assert not found.kept[10]
    assert found.kept.sum() == len(kept) - 1
    assert error_px(found, made) < 0.35
    assert np.linalg.norm(found.shift_ang_yx[10] - made.truth.shift_ang_yx[10]) < 10 * PIXEL_ANG


def test_solving_again_without_a_change_changes_nothing():
    made, landmarks = case()
    once = mend.resolve(made.start, landmarks, all_tilts(made))
    twice = mend.resolve(made.start, once.landmarks, all_tilts(made))
    np.testing.assert_allclose(twice.shift_ang_yx, once.shift_ang_yx, atol=0.01)
    np.testing.assert_allclose(twice.tilt_deg, once.tilt_deg, atol=1e-4)


def test_bending_of_the_specimen_stays():
    made, landmarks = case(outliers=0.0, noise_px=0.05)
    nodes = np.random.default_rng(2).normal(0, 20.0, (made.truth.n_tilts, 3, 3, 2))
    bent = made.truth.replace(deformation=Deformation(nodes_ang_yx=nodes, field_ang_yx=(5120.0, 5120.0)))
    seen = bent.project(made.points_ang_zyx)[0][landmarks.tilt, landmarks.point]
    start = made.start.replace(deformation=bent.deformation)
    found = mend.resolve(start, landmarks.replace(position_ang_yx=seen), all_tilts(made))
    assert found.deformation is bent.deformation
    residual = np.linalg.norm(found.landmark_residuals()[found.landmarks.believed], axis=1)
    assert np.sqrt(np.mean(residual**2)) < 0.5 * PIXEL_ANG


def test_too_few_landmarks_are_refused():
    made, landmarks = case()
    with pytest.raises(DataError, match="needs 3 points"):
        mend.resolve(made.start, landmarks.subset(landmarks.point < 2), all_tilts(made))
    with pytest.raises(DataError, match="no landmarks"):
        mend.resolve(made.start, landmarks.subset(landmarks.point < 0), all_tilts(made))
