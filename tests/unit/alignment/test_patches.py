"""Patches: how neighbourhoods are made of places, and what they show together that no place shows by itself."""

import numpy as np
import pytest

from napari_tomoflow.core.alignment.balls import align_with_balls
from napari_tomoflow.core.alignment.expected import difference_ang
from napari_tomoflow.core.alignment.mend import resolve
from napari_tomoflow.core.alignment.prepare import prepare
from napari_tomoflow.core.alignment.recipes import PATCHES
from napari_tomoflow.core.alignment.selection import Selection, select_places
from napari_tomoflow.core.alignment.sighting import sight, whitened
from napari_tomoflow.core.model import Alignment
from napari_tomoflow.core.report import silent
from napari_tomoflow.io.imod_fid import tracks_of_landmarks
from napari_tomoflow.io.results import load, save
from unit.alignment.beads import PIXEL_ANG, bead_alignment, bead_series

SIZE = 192
FIELD_ANG = SIZE * PIXEL_ANG
THICKNESS_ANG = 600.0
SIZE_ANG = (THICKNESS_ANG, FIELD_ANG, FIELD_ANG)


@pytest.fixture(scope="module")
def dense():
    """Truth and series of a specimen full of faint things, denser than features could lie apart."""
    points = np.random.default_rng(4).uniform(-0.5, 0.5, (1800, 3)) * [THICKNESS_ANG, 2 * FIELD_ANG, 2 * FIELD_ANG]
    truth = bead_alignment(axis_deg=20.0, shift_ang=40.0)
    return points, truth, bead_series(truth, points, size=SIZE, noise=1.4)


@pytest.fixture(scope="module")
def stack(dense):
    return prepare(dense[2], silent)[0]


def test_places_lie_above_one_another_and_belong_to_the_square_of_the_field_they_lie_in(dense, stack):
    coarse = whitened(stack.binned(4), 12.0)
    points, patch = select_places(coarse, dense[1], THICKNESS_ANG, Selection(300, 0.045, neighbourhoods=4))
    assert np.bincount(patch).min() >= 3
    assert patch.max() + 1 > 10
    for one in range(patch.max() + 1):
        assert np.ptp(points[patch == one, 1:], axis=0).max() <= FIELD_ANG / 4
    apart_ang = np.linalg.norm(points[:, None] - points, axis=2)[~np.eye(len(points), dtype=bool)]
    in_plane_ang = np.linalg.norm(points[:, None, 1:] - points[:, 1:], axis=2)[~np.eye(len(points), dtype=bool)]
    assert apart_ang.min() >= 0.045 * FIELD_ANG > in_plane_ang.min()


def test_places_too_faint_to_be_found_one_by_one_are_found_together(dense, stack):
    points, truth, _ = dense
    near = points[np.hypot(points[:, 1], points[:, 2]) < 350.0][:40]
    shifts = np.array(truth.shift_ang_yx)
    shifts[6] -= [12.0, -22.0]
    displaced = truth.replace(shift_ang_yx=shifts)
    errors_ang, heights = [], []
    for landmark in (np.arange(len(near)), np.zeros(len(near), np.int64)):
        found = sight(whitened(stack, 30.0), displaced, near, landmark, 14, 5, silent)
        predicted = displaced.project(found.centre_ang_zyx)[0].transpose(1, 0, 2)
        steps_ang = (found.position_ang_yx - predicted)[found.shown[:, 6], 6]
        errors_ang.append(np.median(np.linalg.norm(steps_ang - [12.0, -22.0], axis=1)))
        heights.append(np.median(found.height[found.shown]))
    assert errors_ang[1] < 5.0 < errors_ang[0]
    assert heights[1] > 2 * heights[0]


@pytest.fixture(scope="module")
def followed(dense):
    """A wrong start, and what patches make of it."""
    _, truth, series = dense
    start = Alignment(
        tilt_deg=truth.tilt_deg,
        axis_deg=truth.axis_deg + 1.0,
        shift_ang_yx=truth.shift_ang_yx + np.random.default_rng(5).normal(0, 10.0, (truth.n_tilts, 2)),
    )
    return start, align_with_balls(series, start, THICKNESS_ANG, PATCHES, silent)


def test_a_dense_specimen_comes_right_and_the_error_left_is_told(dense, followed):
    truth, (start, found) = dense[1], followed
    error_ang = difference_ang(truth, found.alignment, SIZE_ANG)
    assert error_ang < 0.5 * difference_ang(truth, start, SIZE_ANG)
    told_ang = np.hypot(
        0.5 * difference_ang(*found.halves, SIZE_ANG), difference_ang(found.before, found.alignment, SIZE_ANG)
    )
    assert 0.5 * error_ang < told_ang < 4 * error_ang


def test_patches_are_saved_written_for_imod_and_solved_again_as_any_landmarks(dense, followed, tmp_path):
    series, alignment = dense[2], followed[1].alignment
    save(alignment, tmp_path)
    landmarks = load(Alignment, tmp_path).landmarks
    assert landmarks.kind == "patch"
    tracks = tracks_of_landmarks(landmarks, pixel_ang=PIXEL_ANG, shape_yx=series.shape_yx)
    assert len(np.unique(tracks.track)) == followed[1].bundle.n_points_used
    again = resolve(alignment, landmarks, alignment.kept)
    assert difference_ang(again, alignment, SIZE_ANG) < 0.1 * PIXEL_ANG


def test_noise_has_no_patches_to_align_by():
    truth = bead_alignment()
    series = bead_series(truth, np.full((1, 3), 1e5), size=SIZE)
    assert align_with_balls(series, truth, None, PATCHES, silent) is None
