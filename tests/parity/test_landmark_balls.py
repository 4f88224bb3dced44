"""Kernels that follow features against their slow twin."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from napari_tomoflow.core.kernels.landmarks import cut_patches, predict_patches
from napari_tomoflow.core.ops import geometry
from reference.landmark_balls import predicted_patch

RADIUS = 4
TILTS = np.array([-50.0, -10.0, 30.0])


@pytest.fixture
def patches():
    return np.random.default_rng(1).normal(size=(2, 3, 14, 14)).astype(np.float32)


@pytest.fixture
def matrices():
    rotations = geometry.tilt_rotations(np.array([20.0, 21.0, 19.0]), TILTS, np.array([0.0, 2.0, 0.0]))
    return np.ascontiguousarray(rotations[:, [1, 0]])


def test_predictions_equal_their_reference(patches, matrices):
    shown = np.array([[True, True, True], [True, False, True]])
    predicted = np.zeros_like(patches)
    predict_patches(predicted, patches, shown, matrices, RADIUS)
    for point in range(2):
        for tilt in np.flatnonzero(shown[point]):
            expected = predicted_patch(patches[point], shown[point], matrices, RADIUS, tilt)
            np.testing.assert_allclose(predicted[point, tilt], expected, atol=2e-4)
    assert not predicted[1, 1].any()


def test_a_tilt_takes_no_part_in_its_own_prediction(patches, matrices):
    shown = np.ones((2, 3), bool)
    before, after = np.zeros((2, *patches.shape), np.float32)
    predict_patches(before, patches, shown, matrices, RADIUS)
    changed = patches.copy()
    changed[:, 1] += 5.0
    predict_patches(after, changed, shown, matrices, RADIUS)
    np.testing.assert_allclose(after[:, 1], before[:, 1], atol=1e-4)
    assert np.abs(after[:, 0] - before[:, 0]).max() > 1.0


def test_patches_are_cut_between_pixels_and_are_zero_outside():
    images = np.random.default_rng(2).normal(size=(1, 20, 24)).astype(np.float32)
    patch = np.empty((1, 1, 6, 6), np.float32)
    cut_patches(patch, images, np.array([[[9.25, 12.75]]]))
    rows, columns = np.meshgrid(9.25 + np.arange(-3, 3), 12.75 + np.arange(-3, 3), indexing="ij")
    np.testing.assert_allclose(patch[0, 0], map_coordinates(images[0], [rows, columns], order=1), atol=1e-5)
    cut_patches(patch, images, np.array([[[-30.5, 12.0]]]))
    assert not patch.any()
