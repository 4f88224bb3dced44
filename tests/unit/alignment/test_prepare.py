"""Reading tilt images for alignment: one at a time, holes filled, spikes cut, dense dark, binned."""

import numpy as np
import pytest

from napari_tomoflow.core.alignment.prepare import read_binned, read_clean
from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.core.ops.fourier import fourier_bin
from napari_tomoflow.core.report import silent


def series_of(images, **columns):
    return TiltSeries(
        name="few", images=images, tilt_deg=np.linspace(-30, 30, images.shape[0]), pixel_ang=4.0, **columns
    )


@pytest.fixture
def counts():
    return np.random.default_rng(0).poisson(40.0, (3, 96, 81)).astype(np.int16)


def test_chosen_images_come_binned_in_the_order_asked_for(counts):
    binned = read_binned(series_of(counts), [2, 0], 3, silent)
    assert binned.dtype == np.float32
    plain = fourier_bin(counts[[2, 0]].astype(np.float32), 3)
    np.testing.assert_allclose(binned, plain - np.median(counts[[2, 0]], axis=(1, 2))[:, None, None], atol=1e-4)


def test_a_hot_pixel_is_cut_before_it_rings(counts):
    spoilt = counts.copy()
    spoilt[1, 40, 30] = 32000
    apart = read_binned(series_of(spoilt), [1], 3, silent) - read_binned(series_of(counts), [1], 3, silent)
    assert np.abs(apart).max() < 2.0 * counts[1].std()


def test_holes_are_filled(counts):
    holed = counts.astype(np.float32)
    holed[0, 5:8] = np.nan
    holed[0, 50, 50] = np.inf
    clean = read_clean(series_of(holed), 0)
    assert np.isfinite(clean).all()
    np.testing.assert_array_equal(clean[5:8], 0.0)


def test_an_image_of_holes_alone_is_zero(counts):
    assert not read_clean(series_of(np.full((1, 8, 8), np.nan, np.float32)), 0).any()


def test_a_bead_of_a_few_pixels_keeps_its_depth(counts):
    beaded = counts.copy()
    beaded[0, 20:28, 20:28] = 0
    assert read_clean(series_of(beaded), 0)[20:28, 20:28].max() < -30.0


def test_bright_matter_is_turned_dark(counts):
    series = series_of(counts)
    bright = series_of(counts, contrast="bright")
    np.testing.assert_array_equal(read_clean(bright, 1), -read_clean(series, 1))


def test_images_are_read_one_at_a_time():
    class Disk:
        """A stack that yields single images only."""

        shape, ndim, dtype = (4, 32, 32), 3, np.dtype(np.int16)

        def __getitem__(self, key):
            assert isinstance(key, int)
            return np.random.default_rng(key).poisson(9.0, (32, 32)).astype(np.int16)

    assert read_binned(series_of(Disk()), range(4), 2, silent).shape == (4, 16, 16)
