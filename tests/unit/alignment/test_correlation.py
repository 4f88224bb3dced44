"""Peaks, band-passes, windows, correlation and common lines."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tomoflow.core.alignment.axis import half_turn_distance, wrapped_half_turn
from napari_tomoflow.core.alignment.matching import Steps, neighbours_of
from napari_tomoflow.core.alignment.prepare import working_binning
from napari_tomoflow.core.ops.common_lines import common_line_scores
from napari_tomoflow.core.ops.correlation import band_pass, correlation_map, cosine_window, whitened_product
from napari_tomoflow.core.ops.peaks import find_peak, noise_sd

EVEN_SIZES = st.sampled_from([16, 24, 33])


@given(EVEN_SIZES, st.floats(-4, 4), st.floats(-4, 4))
def test_peak_of_a_blob_is_found_to_a_tenth_of_a_pixel(size, dy, dx):
    y, x = np.mgrid[:size, :size] - size // 2
    peak = find_peak(np.exp(-((y - dy) ** 2 + (x - dx) ** 2) / 8))
    assert peak.y_px == pytest.approx(dy, abs=0.1)
    assert peak.x_px == pytest.approx(dx, abs=0.1)


def test_peak_on_the_border_is_taken_as_it_is():
    map_yx = np.zeros((5, 5))
    map_yx[0, 4] = 2.0
    assert find_peak(map_yx) == (-2.0, 2.0, 2.0)


def test_noise_is_measured_past_a_few_large_values():
    values = np.random.default_rng(0).normal(0, 3.0, 10000)
    values[:100] = 1e4
    assert noise_sd(values) == pytest.approx(3.0, rel=0.05)


def test_band_pass_halves_the_wavelengths_that_name_it_and_takes_the_mean():
    transfer = band_pass((400, 400), 10.0, 40.0, 1000.0)
    assert transfer[0, 0] == 0.0
    assert transfer[0, 100] == pytest.approx(0.5, abs=0.01)
    assert transfer[0, 4] == pytest.approx(0.5, abs=0.01)


def test_window_is_one_inside_and_zero_outside():
    window = cosine_window(20, 4, 16, 3.0)
    assert not window[:4].any()
    assert not window[16:].any()
    np.testing.assert_allclose(window[7:13], 1.0)
    np.testing.assert_allclose(window, window[::-1], atol=1e-6)


def test_correlation_points_from_reference_to_image():
    rng = np.random.default_rng(1)
    reference = rng.normal(size=(32, 48)).astype(np.float32)
    image = np.roll(reference, (3, -5), axis=(0, 1))
    flat = np.ones((32, 25), np.float32)
    peak = find_peak(correlation_map(whitened_product(image, reference, flat), (32, 48)))
    assert (round(peak.y_px), round(peak.x_px)) == (3, -5)


def test_maps_of_parts_add_up_to_the_map_of_the_whole():
    rng = np.random.default_rng(2)
    image, reference = rng.normal(size=(2, 24, 24)).astype(np.float32)
    halves = np.stack([image * (np.arange(24) < 12)[:, None], image * (np.arange(24) >= 12)[:, None]])
    weights = band_pass((24, 24), 1.0, 3.0, 20.0)
    whole = correlation_map(whitened_product(image, reference, weights), (24, 24))
    parts = correlation_map(whitened_product(halves.astype(np.float32), reference, weights), (24, 24))
    np.testing.assert_allclose(parts.sum(axis=0), whole, atol=1e-5 * np.abs(whole).max())


def test_common_lines_score_one_for_equal_profiles_and_zero_for_noise():
    rng = np.random.default_rng(3)
    equal = np.tile(rng.normal(size=64), (20, 1))
    scores = common_line_scores(np.stack([equal, rng.normal(size=(20, 64))]), 1.0, 2.0, 1e6)
    assert scores[0] == pytest.approx(1.0, abs=1e-6)
    assert abs(scores[1]) < 0.3
    assert np.isfinite(common_line_scores(np.zeros((1, 20, 64)), 1.0, 2.0, 1e6)).all()


@given(st.floats(-1000, 1000))
def test_directions_of_a_line_are_wrapped_into_a_half_turn(angle):
    wrapped = wrapped_half_turn(angle)
    assert -90 < wrapped <= 90
    assert half_turn_distance(wrapped, angle) == pytest.approx(0.0, abs=1e-6)


def test_neighbours_are_near_and_never_the_tilt_itself():
    tilts = np.arange(-60.0, 61, 3)
    assert neighbours_of(tilts, 20, range(41), 4) == [19, 21, 18, 22]
    assert len(neighbours_of(tilts, 0, range(41))) == 6
    assert neighbours_of(np.array([0.0, 40.0, 80.0]), 0, range(3)) == [1, 2]


@pytest.mark.parametrize(
    ("shape_yx", "pixel_ang", "binning"),
    [
        ((4096, 4096), 1.35, 8),
        ((480, 480), 5.0, 2),
        ((320, 320), 10.0, 1),
        ((64, 64), 180.0, 1),
        ((5760, 4092), 1.0, 12),
    ],
)
def test_binning_leaves_a_working_size(shape_yx, pixel_ang, binning):
    assert working_binning(shape_yx, pixel_ang) == binning


def steps_with(held_out, height=10.0):
    n = len(held_out)
    return Steps(np.ones((n, 2)), np.full(n, height), np.zeros(n), np.array(held_out, float))


def test_a_step_is_taken_as_far_as_other_matter_confirms_it():
    confirmed = steps_with([10.0, 5.0, -3.0, 20.0]).confirmed_ang_yx
    np.testing.assert_allclose(confirmed[:, 0], [1.0, 0.5, 0.0, 1.0])


def test_the_score_is_what_held_out_matter_says():
    assert steps_with([6.0, 7.0, -1.0], height=90.0).score == pytest.approx(4.0)
