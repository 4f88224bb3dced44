"""Gold is filled when an image is looked at, and nothing else is."""

import pickle

import numpy as np
import pytest

from napari_tomoflow.core.ctf.without_gold import without_gold
from napari_tomoflow.core.model import TiltSeries

BEAD_YX = (60, 140)


@pytest.fixture(scope="module")
def series():
    images = np.random.default_rng(0).normal(size=(3, 200, 220)).astype(np.float32)
    y, x = np.ogrid[:200, :220]
    images[1, np.hypot(y - BEAD_YX[0], x - BEAD_YX[1]) < 8] -= 40
    return TiltSeries(name="A", images=images, tilt_deg=np.array([-3.0, 0.0, 3.0]), pixel_ang=6.0)


def test_a_bead_is_gone_and_what_is_far_from_it_stays(series):
    filled, far = without_gold(series).image(1), np.s_[120:, :100]
    assert np.abs(filled[50:70, 130:150]).max() < 5
    np.testing.assert_array_equal(filled[far], series.images[1][far])
    np.testing.assert_array_equal(without_gold(series).image(0), series.images[0])


def test_parts_and_copies_show_the_same(series):
    images = without_gold(series).images
    window = np.s_[1, 40:90, 100:170]
    np.testing.assert_array_equal(images[window], images[1][40:90, 100:170])
    np.testing.assert_array_equal(images[:, 40:90][1], images[1][40:90])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(images))[1], images[1])
    assert images.shape == series.images.shape


def test_images_in_which_dense_is_bright_stay_as_they_are(series):
    bright = series.replace(contrast="bright")
    assert without_gold(bright) is bright
