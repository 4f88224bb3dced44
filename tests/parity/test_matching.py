"""The fast correlation and its kernels do what their slow twins do."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.kernels import matching as kernels
from napari_tomoflow.core.matching.components import Components, ComponentSearch
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


@pytest.mark.parametrize("reach_vox", [1, 2])
def test_cutouts_score_as_the_whole_volume_does(reach_vox):
    rng = np.random.default_rng(2)
    volume = rng.normal(size=(12, 20, 16)).astype(np.float32)
    box = normalised(rng.normal(size=(SIZE,) * 3))
    correlation = LocalCorrelation(volume, BALL)
    whole = correlation.single(box)
    cutouts = Cutouts(volume, correlation.spread_zyx, SIZE)
    for place in ([6, 10, 8], [1, 2, 15], [11, 19, 0]):
        found = cutouts.best(lambda _: box, np.eye(3)[None], np.array(place), reach_vox)
        window = tuple(slice(max(at - reach_vox, 0), at + reach_vox + 1) for at in place)
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


def test_of_equal_values_of_many_rotations_the_first_stays_and_nan_is_passed_over():
    best, number = np.array([0.5, -np.inf, -np.inf], np.float32), np.array([7, 0, 0], np.int32)
    values = np.array([[0.5, 1.0, np.nan], [0.4, 1.0, np.nan], [0.6, 0.9, -2.0]], np.float32)
    kernels.raise_maxima(best, number, values, 20)
    np.testing.assert_array_equal(best, np.array([0.6, 1.0, -2.0], np.float32))
    np.testing.assert_array_equal(number, [22, 20, 22])


def test_sums_near_a_place_are_those_of_their_definition_and_nan_spreads():
    rng = np.random.default_rng(5)
    box, window = (rng.normal(size=(n,) * 3).astype(np.float32) for n in (6, 8))
    found = np.empty((3,) * 3, np.float32)
    kernels.correlate_near(found, box, window)
    np.testing.assert_allclose(found, slow.sums_near(box, window), rtol=1e-4, atol=1e-4)
    window[0, 0, 0] = np.nan
    kernels.correlate_near(found, box, window)
    assert np.isnan(found[0, 0, 0])
    assert np.isfinite(found[1:]).all()


@pytest.mark.parametrize("voxels_per_block", [1e6, 1500])
def test_components_score_as_every_rotation_does_where_few_of_them_score_high(voxels_per_block):
    """Stencils that are sums of three boxes have three components, which lose nothing."""
    rng = np.random.default_rng(6)
    volume = rng.normal(size=(10, 24, 19)).astype(np.float32)
    of_three = rng.normal(size=(3, SIZE, SIZE, SIZE))
    mixed = np.einsum("rk,kzyx->rzyx", rng.normal(size=(40, 3)), of_three)
    rotations = np.arange(40.0)[:, None, None] * np.ones((3, 3))

    def stencil(rotation):
        return normalised(mixed[int(rotation[0, 0])])

    correlation = LocalCorrelation(volume, BALL, voxels_per_block)
    components = Components(stencil, rotations, power_kept=0.99999)
    assert len(components.boxes) == 3
    allowed = rng.random(volume.shape) < 0.9
    search = ComponentSearch(correlation, components, rotations[::5], rotations)
    found, expected = search.best(allowed, silent), correlation.best(stencil, rotations, silent)
    tried = np.isfinite(found.score_zyx)
    assert 0.05 < tried.sum() / allowed.sum() < 0.1
    assert allowed[tried].all()
    np.testing.assert_allclose(found.score_zyx[tried], expected.score_zyx[tried], atol=1e-4)
    named = search.rotations[found.number_zyx[tried]][:, 0, 0]
    clear = expected.score_zyx[tried] - second_best(correlation, stencil, rotations)[tried] > 1e-3
    np.testing.assert_array_equal(named[clear], expected.number_zyx[tried][clear])
    assert expected.score_zyx[tried].mean() > expected.score_zyx[allowed].mean() + 0.05


def second_best(correlation, stencil, rotations):
    """LCC of the second best rotation at every voxel."""
    return np.sort([correlation.single(stencil(rotation)) for rotation in rotations], axis=0)[-2]


def test_components_keep_no_more_than_is_asked_for():
    stencils = Stencils(smooth_template(), ball(16, 7.0), 16.0, np.ones((16, 16, 9), np.float32))
    rotations = Rotation.random(300, random_state=1).as_matrix()
    few, many = (Components(stencils, rotations, kept) for kept in (0.8, 0.98))
    assert 0 < len(few.boxes) < len(many.boxes) < 300
    for components, kept in ((few, 0.8), (many, 0.98)):
        flat = components.boxes.reshape(len(components.boxes), -1)
        np.testing.assert_allclose(flat @ flat.T, np.eye(len(flat)), atol=1e-3)
        boxes = np.stack([stencils(rotation).ravel() for rotation in rotations])
        spanned = [0.0, *np.cumsum(np.square(boxes @ flat.T).sum(axis=0)) / np.square(boxes).sum()]
        assert spanned[-1] >= kept - 1e-3 > spanned[-2] - 2e-3, "one less would not do"
        norms = np.linalg.norm(components.weights(rotations, silent, ""), axis=1)
        np.testing.assert_allclose(norms, np.linalg.norm(boxes, axis=1), rtol=1e-4)
