"""Features of the specimen: how they are chosen and how well they are measured in each tilt."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_tomoflow.core.alignment.balls import align_with_balls
from napari_tomoflow.core.alignment.expected import difference_ang
from napari_tomoflow.core.alignment.prepare import prepare
from napari_tomoflow.core.alignment.recipes import FEATURES
from napari_tomoflow.core.alignment.selection import Selection, select_places
from napari_tomoflow.core.alignment.sighting import correlate_patches, find_tops, sight, whitened
from napari_tomoflow.core.errors import Cancelled
from napari_tomoflow.core.model import Alignment
from napari_tomoflow.core.ops.correlation import band_pass
from napari_tomoflow.core.report import Gauge, silent
from unit.alignment.beads import PIXEL_ANG, bead_alignment, bead_series

SIZE = 192
FIELD_ANG = SIZE * PIXEL_ANG


def blobs(seed=0, n=60):
    """Points apart from each other, all in the field."""
    return np.random.default_rng(seed).uniform(-0.42, 0.42, (n, 3)) * [400.0, FIELD_ANG, FIELD_ANG]


@pytest.fixture(scope="module")
def scene():
    """Points, truth and series of dense spots."""
    points = blobs()
    truth = bead_alignment(axis_deg=20.0, shift_ang=40.0)
    return points, truth, bead_series(truth, points, size=SIZE)


@pytest.fixture(scope="module")
def stack(scene):
    return prepare(scene[2], silent)[0]


def test_whitening_takes_away_all_colour_but_the_band(stack):
    white = np.random.default_rng(3).normal(size=stack.images.shape)
    coloured = white + 8.0 * gaussian_filter(white[::-1], (0.0, 2.0, 2.0))
    images = whitened(replace(stack, images=coloured.astype(np.float32)), 30.0).images
    power = (np.abs(np.fft.rfft2(images)) ** 2).mean(axis=0) / SIZE**2
    expected = band_pass((SIZE, SIZE), 1.0, 4.0, 30.0) ** 2
    frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE))
    for low in (0.04, 0.08, 0.12, 0.2):
        ring = (frequency > low) & (frequency < low + 0.03)
        assert power[ring].mean() == pytest.approx(expected[ring].mean(), rel=0.05)


def test_a_displaced_patch_is_measured_to_a_small_part_of_a_pixel():
    pixels = np.arange(40) - 20.0
    there = np.exp(-((pixels[:, None] - 1.3) ** 2 + (pixels + 2.4) ** 2) / 18.0)
    here = np.exp(-(pixels[:, None] ** 2 + pixels**2) / 18.0)
    steps_px, height = find_tops(*correlate_patches(*(one.astype(np.float32)[None, None] for one in (there, here)), 4))
    np.testing.assert_allclose(steps_px[0, 0], [1.3, -2.4], atol=0.05)
    assert height[0, 0] > 1.0


def test_a_best_place_at_the_edge_of_the_search_does_not_count():
    pixels = np.arange(40) - 20.0
    there = np.exp(-((pixels[:, None] - 9.0) ** 2 + pixels**2) / 18.0)
    here = np.exp(-(pixels[:, None] ** 2 + pixels**2) / 18.0)
    _, height = find_tops(*correlate_patches(*(one.astype(np.float32)[None, None] for one in (there, here)), 4))
    assert height[0, 0] == 0.0


def test_the_tilt_that_is_displaced_is_the_one_that_is_measured_so(scene, stack):
    points, truth, _ = scene
    used = truth.replace(kept=np.ones(truth.n_tilts, bool))
    shifts = np.array(used.shift_ang_yx)
    shifts[6] -= [12.0, -22.0]
    displaced = used.replace(shift_ang_yx=shifts)
    found = sight(whitened(stack, 30.0), displaced, points[:30], np.arange(30), 12, 5, silent)
    good = found.height > 3.0
    steps = found.position_ang_yx - displaced.project(points[:30])[0].transpose(1, 0, 2)
    np.testing.assert_allclose(np.median(steps[good[:, 6], 6], axis=0), [12.0, -22.0], atol=3.0)
    others = np.array([np.median(steps[good[:, k], k], axis=0) for k in range(truth.n_tilts) if abs(k - 6) > 2])
    assert np.abs(others).max() < 4.0


def test_chosen_features_are_dense_places_and_lie_apart(scene, stack):
    points, truth, _ = scene
    coarse = whitened(stack.binned(2), 12.0)
    chosen, landmark = select_places(coarse, truth, 600.0, Selection(25, 100.0 / FIELD_ANG))
    assert landmark.tolist() == list(range(25))
    distance = np.linalg.norm(chosen[:, None] - points, axis=2).min(axis=1)
    assert len(chosen) == 25
    assert (distance < 60.0).mean() > 0.9
    in_plane = np.linalg.norm(chosen[:, None, 1:] - chosen[:, 1:], axis=2)
    assert in_plane[~np.eye(25, dtype=bool)].min() >= 100.0


def test_noise_has_no_features_to_align_by():
    truth = bead_alignment()
    series = bead_series(truth, np.full((1, 3), 1e5), size=SIZE)
    assert align_with_balls(series, truth, None, FEATURES, silent) is None


def test_cancel_comes_through(scene, stack):
    gauge = Gauge()
    gauge.cancel()
    with pytest.raises(Cancelled):
        align_with_balls(scene[2], scene[1], None, FEATURES, gauge, stack)


def test_a_tilt_left_out_stays_out_and_keeps_its_place_among_its_neighbours(scene):
    _, truth, series = scene
    start = truth.replace(kept=np.arange(truth.n_tilts) != 3)
    found = align_with_balls(series, start, None, FEATURES, silent)
    assert not found.alignment.kept[3]
    assert not (found.observations.tilt == 3).any()
    np.testing.assert_allclose(found.alignment.shift_ang_yx[3], truth.shift_ang_yx[3], atol=PIXEL_ANG)


def test_wrong_shifts_and_a_wrong_axis_come_right(scene):
    _, truth, series = scene
    rng = np.random.default_rng(5)
    start = Alignment(
        tilt_deg=truth.tilt_deg,
        axis_deg=truth.axis_deg + 1.5,
        shift_ang_yx=truth.shift_ang_yx + rng.normal(0, 10.0, (truth.n_tilts, 2)),
    )
    found = align_with_balls(series, start, None, FEATURES, silent)
    assert found.kind == "feature"
    assert abs(found.alignment.axis_deg.mean() - 20.0) < 0.5
    # A motion of the specimen shows in shifts too, so neighbours are compared.
    rough, fine = (np.diff(one.shift_ang_yx - truth.shift_ang_yx, axis=0) for one in (start, found.alignment))
    assert np.sqrt((fine**2).mean()) < 0.25 * np.sqrt((rough**2).mean())


def test_a_drift_that_all_tilts_share_comes_right_and_the_error_left_is_told(scene):
    _, truth, series = scene
    # Of third order over the tilts: no motion of the specimen explains it, and neighbours agree with each other.
    drift_ang = 4.0 * PIXEL_ANG * (truth.tilt_deg / truth.tilt_deg.max()) ** 3
    start = truth.replace(shift_ang_yx=truth.shift_ang_yx + np.stack([drift_ang, -drift_ang], axis=1))
    size_ang = (600.0, SIZE * PIXEL_ANG, SIZE * PIXEL_ANG)
    found = align_with_balls(series, start, None, FEATURES, silent)
    error_ang = difference_ang(truth, found.alignment, size_ang)
    assert error_ang < 0.3 * difference_ang(truth, start, size_ang)
    told_ang = np.hypot(
        0.5 * difference_ang(*found.halves, size_ang), difference_ang(found.before, found.alignment, size_ang)
    )
    assert 0.4 * error_ang < told_ang < 4 * error_ang
