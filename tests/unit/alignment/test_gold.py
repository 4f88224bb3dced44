"""The detector of gold: where beads are, of what size, and what is none."""

import numpy as np
import pytest

from napari_tomoflow.core.alignment.gold import detect_gold, find_spots, measure_diameter
from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.core.report import silent


def image_of_balls(centres_px, diameter_px, noise=0.3, size=128, seed=0):
    """Project dark balls, one deep at their middle, drawn five times finer than the pixels."""
    fine = (np.arange(5 * size) + 0.5) / 5 - 0.5
    image = np.random.default_rng(seed).normal(10, noise, (size, size))
    for y, x in np.asarray(centres_px) + size // 2:
        ball = np.sqrt(np.clip(1 - ((fine[:, None] - y) ** 2 + (fine - x) ** 2) / (diameter_px / 2) ** 2, 0, None))
        image -= ball.reshape(size, 5, size, 5).mean(axis=(1, 3))
    return image.astype(np.float32)


def series_of_balls(diameter_px, pixel_ang=10.0, n_tilts=5, **columns):
    grid = np.stack(np.meshgrid([-80, 0, 80], [-80, 0, 80]), axis=-1).reshape(-1, 2)
    centres = grid + np.random.default_rng(3).uniform(-1.5, 1.5, grid.shape)
    images = [image_of_balls(centres, diameter_px, noise=0.1, size=256, seed=tilt) for tilt in range(n_tilts)]
    return TiltSeries(
        name="balls", images=np.array(images), tilt_deg=np.arange(n_tilts) * 3.0, pixel_ang=pixel_ang, **columns
    )


def test_beads_are_centred_to_a_tenth_of_a_pixel():
    centres = np.array([[-30.3, -20.7], [-5.5, 31.2], [20.25, -33.4], [33.1, 15.9]])
    found, height = find_spots(image_of_balls(centres, 9.0, noise=0.1), 9.0)
    nearest = np.linalg.norm(found[:4, None] - centres, axis=2).argmin(axis=1)
    assert sorted(nearest) == [0, 1, 2, 3]
    assert np.sqrt(((found[:4] - centres[nearest]) ** 2).mean()) < 0.1
    assert height[:4].min() > 30


@pytest.mark.parametrize("diameter_px", [6.0, 10.0, 15.0])
def test_the_diameter_is_found(diameter_px):
    diameter_ang, height = measure_diameter(series_of_balls(diameter_px), silent)
    assert diameter_ang == 10 * diameter_px
    assert height > 12


def test_noise_holds_no_gold():
    images = np.random.default_rng(0).normal(size=(5, 128, 128)).astype(np.float32)
    series = TiltSeries(name="fog", images=images, tilt_deg=np.arange(5.0), pixel_ang=10.0)
    assert measure_diameter(series, silent)[1] < 6


@pytest.mark.parametrize("pixel_ang", [0.3, 200.0])
def test_a_field_too_small_for_beads_or_too_coarse_holds_none(pixel_ang):
    images = np.random.default_rng(0).normal(size=(5, 77, 151)).astype(np.float32)
    series = TiltSeries(name="film", images=images, tilt_deg=np.arange(5.0), pixel_ang=pixel_ang)
    assert measure_diameter(series, silent)[1] == 0


def test_what_is_larger_than_gold_is_none():
    assert measure_diameter(series_of_balls(25.0), silent)[1] == 0


def test_a_bead_cut_by_the_border_and_a_bar_are_no_spots():
    image = image_of_balls([[0.0, -63.0]], 9.0)
    image[30:36] -= 3.0
    found, _ = find_spots(image, 9.0)
    assert not (np.abs(found[:, 0] + 31) < 5).any()
    assert not (found[:, 1] < -58).any()


def test_bright_gold_is_found_where_dense_is_bright():
    dark = series_of_balls(10.0)
    bright = dark.replace(images=-dark.images, contrast="bright")
    for one, other in zip(*(detect_gold(s, np.arange(5), 100.0, silent) for s in (dark, bright)), strict=True):
        np.testing.assert_allclose(one.position_ang_yx, other.position_ang_yx, atol=0.05)


def test_positions_are_the_same_whatever_the_binning():
    centres = np.array([[-20.3, -20.7], [10.5, 21.2]])
    image = image_of_balls(centres, 20.0, noise=0.1)
    series = TiltSeries(name="b", images=image[None], tilt_deg=np.zeros(1), pixel_ang=5.0)
    found = detect_gold(series, np.array([0]), 100.0, silent)[0].position_ang_yx[:2] / 5.0
    order = np.argsort(found[:, 0])
    np.testing.assert_allclose(found[order], centres, atol=0.15)
