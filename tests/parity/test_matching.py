"""The fast correlation and its kernels do what their slow twins do."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.kernels import matching as kernels
from napari_tomoflow.core.matching.correlation import LocalCorrelation
from napari_tomoflow.core.matching.cutouts import Cutouts
from napari_tomoflow.core.matching.stencils import Stencils
from napari_tomoflow.core.matching.template import Template, ball
from napari_tomoflow.core.report import silent
from reference import matching as slow

SIZE = 8
BALL = ball(SIZE, 3.0)


def normalised(box_zyx):
    box = box_zyx.astype(np.float32).copy()
    kernels.normalise_under_mask(box, BALL)
    return box


@pytest.mark.parametrize("shape", [(9, 12, 11), (3, 17, 10), (1, 9, 30)])
@pytest.mark.parametrize("voxels_per_block", [1e6, 150])
def test_correlation_is_the_coefficient_under_the_mask(shape, voxels_per_block):
    rng = np.random.default_rng(0)
    volume, box = (rng.normal(size=size).astype(np.float32) for size in (shape, (SIZE,) * 3))
    correlation = LocalCorrelation(volume, BALL, voxels_per_block)
    expected = slow.local_correlation(volume, box, BALL)
    np.testing.assert_allclose(correlation.single(normalised(box)), expected, atol=2e-5)


def test_the_best_of_all_rotations_is_kept_with_its_number_by_any_number_of_threads_and_blocks():
    rng = np.random.default_rng(1)
    volume = rng.normal(size=(10, 14, 9)).astype(np.float32)
    boxes = rng.normal(size=(7, SIZE, SIZE, SIZE))
    rotations = np.arange(7.0)[:, None, None] * np.ones((3, 3))
    expected = np.stack([slow.local_correlation(volume, box, BALL) for box in boxes])
    for voxels_per_block in (1e6, 300):
        correlation = LocalCorrelation(volume, BALL, voxels_per_block)
        best = correlation.best(lambda r: normalised(boxes[int(r[0, 0])]), rotations, silent)
        np.testing.assert_allclose(best.score_zyx, expected.max(axis=0), atol=2e-5)
        clear = np.diff(np.sort(expected, axis=0)[-2:], axis=0)[0] > 1e-4
        np.testing.assert_array_equal(best.number_zyx[clear], expected.argmax(axis=0)[clear])


def test_cutouts_score_as_the_whole_volume_does():
    rng = np.random.default_rng(2)
    volume = rng.normal(size=(12, 20, 16)).astype(np.float32)
    box = normalised(rng.normal(size=(SIZE,) * 3))
    correlation = LocalCorrelation(volume, BALL)
    whole = correlation.single(box)
    cutouts = Cutouts(volume, correlation.spread_zyx, SIZE)
    for place in ([6, 10, 8], [1, 2, 15], [11, 19, 0]):
        found = cutouts.best(lambda _: box, np.eye(3)[None], np.array(place), 2)
        window = tuple(slice(max(at - 2, 0), at + 3) for at in place)
        assert found.score == pytest.approx(whole[window].max(), abs=2e-5)
        assert whole[tuple(found.place_zyx)] == pytest.approx(found.score, abs=2e-5)


def smooth_template(n=24, seed=3):
    blob = gaussian_filter(np.random.default_rng(seed).normal(size=(n,) * 3), 2.0).astype(np.float32)
    return Template(blob, ball(n, n / 2 - 4), 1.0, n - 8.0, "C1")


def test_a_stencil_is_the_turned_template():
    template = smooth_template()
    mask = ball(24, 10.0)
    stencils = Stencils(template, mask, 1.0, np.ones((24, 24, 13), np.float32))
    for rotation in Rotation.random(5, random_state=4).as_matrix():
        expected = slow.turned(template.volume_zyx * template.mask_zyx, rotation)
        weights = mask / mask.sum()
        centred = expected - (weights * expected).sum()
        expected = mask * centred / np.sqrt((weights * centred**2).sum()) / mask.sum()
        got = stencils(rotation)
        # Straight lines between samples of the transform: below a hundredth of the whole.
        assert np.linalg.norm(got - expected) < 0.02 * np.linalg.norm(expected)


def test_a_stencil_takes_the_voxel_of_the_tomogram():
    fine = smooth_template(48)
    fine = Template(gaussian_filter(fine.volume_zyx, 3.0), fine.mask_zyx, 0.5, fine.diameter_ang / 2, "C1")
    coarse = Template(fine.volume_zyx[::2, ::2, ::2], fine.mask_zyx[::2, ::2, ::2], 1.0, fine.diameter_ang, "C1")
    whole = np.ones((24, 24, 13), np.float32)
    rotation = Rotation.from_euler("xyz", [10, 20, 30], degrees=True).as_matrix()
    one, other = (Stencils(each, ball(24, 10.0), 1.0, whole)(rotation) for each in (fine, coarse))
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.998


def test_a_box_without_spread_gives_no_stencil_and_nan_spreads():
    box = np.full((SIZE,) * 3, 7.0, np.float32)
    kernels.normalise_under_mask(box, BALL)
    assert not box.any()
    box[2, 2, 2] = np.nan
    kernels.normalise_under_mask(box, BALL)
    assert np.isnan(box[BALL > 0]).all()


def test_of_equal_scores_the_first_rotation_stays():
    best, number = np.zeros((1, 1, 2), np.float32), np.full((1, 1, 2), 5, np.int32)
    kernels.raise_maximum(best, number, np.array([[[0.0, np.nan]]], np.float32), 3)
    kernels.raise_maximum(best, number, np.array([[[0.0, -1.0]]], np.float32), 9)
    np.testing.assert_array_equal(number, [[[3, 5]]])
