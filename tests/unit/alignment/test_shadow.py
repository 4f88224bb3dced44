"""What hides the specimen is masked; what is dense in it is not."""

import numpy as np
import pytest

from napari_tomoflow.core.alignment.prepare import prepare
from napari_tomoflow.core.alignment.shadow import find_shadow
from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.core.report import silent

SIZE = 256
EVERYTHING = np.ones((SIZE, SIZE), np.float32)


def counted(light_yx, seed=0):
    """Count 200 electrons in a pixel in full light."""
    return np.random.default_rng(seed).poisson(200.0 * light_yx).astype(np.float32)


def bar(share):
    """Light with a bar across a share of the width, from the left."""
    light = EVERYTHING.copy()
    light[:, : round(share * SIZE)] = 0.05
    return light


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.8])
def test_a_bar_is_found_and_masked_however_much_it_hides(share):
    open_yx, hidden = find_shadow(counted(bar(share)), EVERYTHING)
    assert hidden == pytest.approx(share, abs=0.05)
    edge = round(share * SIZE)
    assert open_yx[:, 2 : edge - 4].max() < 0.2
    assert open_yx[:, edge + 24 :].min() > 0.95


def test_a_bar_is_found_in_values_of_any_scale_and_zero():
    open_yx, hidden = find_shadow(counted(bar(0.3)), EVERYTHING)
    scaled = (0.01 * counted(bar(0.3)) - 7.0).astype(np.float32)
    again_yx, again = find_shadow(scaled, EVERYTHING)
    assert again == pytest.approx(hidden)
    np.testing.assert_allclose(again_yx, open_yx, atol=1e-4)


def test_dense_beads_molecules_and_slopes_are_no_shadow():
    y, x = np.mgrid[:SIZE, :SIZE]
    light = 0.6 + 0.4 * x / SIZE
    for centre in np.random.default_rng(1).uniform(10, SIZE - 10, (30, 2)):
        light[np.hypot(y - centre[0], x - centre[1]) < 5] *= 0.3
    light[np.hypot(y - 128, x - 128) < 40] *= 0.7
    open_yx, hidden = find_shadow(counted(light), EVERYTHING)
    assert hidden == 0.0
    np.testing.assert_array_equal(open_yx, 1.0)


def test_a_dead_border_is_not_counted_as_shadow():
    image = counted(EVERYTHING)
    image[:, :60] = 0.0
    seen = EVERYTHING.copy()
    seen[:, :60] = 0.0
    assert find_shadow(image, seen)[1] == 0.0


def series_with_bar(share):
    images = np.stack([counted(EVERYTHING, seed) for seed in range(7)])
    images[2] = counted(bar(share), 2)
    return TiltSeries(name="bars", images=images, tilt_deg=np.arange(-30.0, 31, 10), pixel_ang=10.0)


def test_the_series_tells_which_tilt_is_shadowed_and_how_much():
    stack, excluded = prepare(series_with_bar(0.3), silent)
    assert excluded == {}
    assert stack.shadowed == {2: pytest.approx(0.3, abs=0.05)}
    assert stack.masks[2, :, 8:56].max() < 0.2
    assert stack.masks[3, 60:-60, 60:-60].min() > 0.95


def test_a_tilt_that_is_mostly_hidden_is_left_out_with_the_reason():
    stack, excluded = prepare(series_with_bar(0.7), silent)
    assert list(excluded) == [2]
    assert "shadowed" in excluded[2]
    assert 2 not in stack.tilts


def test_the_mean_and_contrast_of_an_image_are_those_of_what_shows():
    stack, _ = prepare(series_with_bar(0.3), silent)
    image, mask = stack.images[2], stack.masks[2]
    assert abs((image * mask).sum() / mask.sum()) < 1e-3
    assert (image**2 * mask).sum() / mask.sum() == pytest.approx(1.0, abs=1e-3)
