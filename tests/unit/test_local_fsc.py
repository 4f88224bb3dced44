"""Bands of detail, and halves filtered by how far they agree around each voxel."""

import numpy as np
import pytest

from half_maps import shaped
from napari_tomoflow.core.errors import Cancelled
from napari_tomoflow.core.ops.local_fsc import Bands, local_filter, window_px
from napari_tomoflow.core.report import Gauge

N = 32
RNG = np.random.default_rng(8)


def identity(fsc):
    return fsc


def test_the_bands_of_a_volume_sum_up_to_it():
    volume = RNG.normal(size=(N, N, N)).astype(np.float32)
    bands = Bands((volume,), 8.0)
    total = sum(band.parts[0] for band in bands)
    np.testing.assert_allclose(total, volume, atol=1e-4)
    assert len(list(bands)) == len(bands)


def test_agreement_under_the_window_is_the_fsc_of_windowed_halves():
    """By Parseval: a Gaussian window on both halves is its square, narrower by √2, on their product."""
    first, common = RNG.normal(size=(2, N, N, N)).astype(np.float32)
    second = (first + common).astype(np.float32)
    bands = Bands((first, second), 10.0)
    grid = np.square(np.indices((N, N, N)) - N // 2).sum(0)
    weight = np.exp(-grid / (2 * (10.0 / np.sqrt(8 * np.log(2))) ** 2))
    for band in list(bands)[6:9]:
        a, b = band.parts
        expected = (weight * a * b).sum() / np.sqrt((weight * a * a).sum() * (weight * b * b).sum())
        assert bands.agreement(a, b)[N // 2, N // 2, N // 2] == pytest.approx(expected, abs=2e-3)


def test_a_map_and_itself_agree_to_nyquist_and_nothing_is_lost():
    volume = RNG.normal(size=(N, N, N)).astype(np.float32)
    found = local_filter(volume, volume, 8.0, identity)
    assert found.frequency_per_px.min() == 0.5
    np.testing.assert_allclose(found.halves[0], volume, atol=1e-3)


def test_noise_is_filtered_out_as_far_as_the_window_can_tell():
    noise = RNG.normal(size=(2, N, N, N)).astype(np.float32)
    found = local_filter(*noise, 8.0, identity)
    assert np.median(found.frequency_per_px) == pytest.approx(1 / 8.0, rel=0.2)
    assert found.halves[0].std() < 0.1


def test_the_strength_of_a_half_does_not_matter_but_weights_do():
    signal = shaped(RNG.normal(size=(N, N, N)), lambda f: f < 0.2)
    first, second = (signal + 0.2 * RNG.normal(size=signal.shape).astype(np.float32) for _ in range(2))
    plain = local_filter(first, second, 9.0, identity)
    strong = local_filter(3 * first, second, 9.0, identity)
    np.testing.assert_allclose(strong.frequency_per_px, plain.frequency_per_px, rtol=1e-3)
    np.testing.assert_allclose(strong.halves[0], 3 * plain.halves[0], atol=1e-3)
    nothing = local_filter(first, second, 9.0, np.zeros_like)
    assert not nothing.halves[0].any()


def test_windows_are_three_resolutions_wide_and_never_tiny():
    assert window_px(10.0, 2.0) == 15.0
    assert window_px(4.0, 2.0) == 8.0


def test_measuring_can_be_stopped():
    gauge = Gauge()
    gauge.cancel()
    with pytest.raises(Cancelled):
        local_filter(np.ones((8, 8, 8)), np.ones((8, 8, 8)), 8.0, identity, report=gauge)
