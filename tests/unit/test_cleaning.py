"""Beads and slopes are taken out of images, and nothing else."""

import numpy as np
import pytest
import scipy.ndimage as ndi

from napari_tomoflow.core.ops.cleaning import background, fill_disks

RADIUS_PX = 9.0


def textured(seed=0, shape=(240, 260)):
    """Noise with a spectrum of its own, standard deviation 1."""
    noise = ndi.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.2)
    return (noise / noise.std()).astype(np.float32)


def disks(centres, radius, shape=(240, 260)):
    y, x = np.indices(shape)
    return np.any([np.hypot(y - cy, x - cx) <= radius for cy, cx in centres], axis=0)


CENTRES = np.array([[60.3, 70.8], [60.0, 92.0], [150.5, 40.0], [2.0, 120.0], [200.0, 257.0], [120.0, 130.0]])


def test_a_filled_disk_cannot_be_told_from_what_surrounds_it():
    y, x = np.indices((240, 260))
    slope = 5.0 + 0.02 * x - 0.03 * y
    clean = textured() + slope
    inside = disks(CENTRES, RADIUS_PX - 1)
    image = np.where(inside, -40.0, clean).astype(np.float32)
    filled = fill_disks(image, CENTRES, RADIUS_PX, np.random.default_rng(1)) - slope
    assert abs(filled[inside].mean()) < 0.25
    assert filled[inside].std() == pytest.approx(1.0, abs=0.2)
    # Neighbours differ as much as elsewhere: the texture is the image's, not white.
    steps = [np.diff(part, axis=1)[disks(CENTRES, RADIUS_PX - 2)[:, 1:]].std() for part in (filled, clean - slope)]
    assert steps[0] == pytest.approx(steps[1], rel=0.2)


def test_nothing_outside_the_disks_changes_and_the_image_given_stays():
    image = textured()
    before = image.copy()
    filled = fill_disks(image, CENTRES, RADIUS_PX, np.random.default_rng(1))
    np.testing.assert_array_equal(image, before)
    outside = ~disks(CENTRES, RADIUS_PX)
    np.testing.assert_array_equal(filled[outside], image[outside])
    assert not np.array_equal(filled[~outside], image[~outside])


def test_without_a_generator_a_filled_disk_is_the_plane_of_what_surrounds_it():
    y, x = np.indices((240, 260))
    slope = 5.0 + 0.02 * x - 0.03 * y
    image = np.where(disks(CENTRES, RADIUS_PX - 1), -40.0, slope).astype(np.float32)
    np.testing.assert_allclose(fill_disks(image, CENTRES, RADIUS_PX, None), slope, atol=1e-3)


def test_disks_beside_the_image_are_passed_over_and_crowded_ones_filled():
    image = textured(shape=(40, 40))
    far = fill_disks(image, [[-30.0, 5.0], [90.0, 90.0]], RADIUS_PX, np.random.default_rng(1))
    np.testing.assert_array_equal(far, image)
    crowd = np.stack(np.meshgrid(np.arange(0, 41, 8.0), np.arange(0, 41, 8.0)), axis=-1).reshape(-1, 2)
    assert np.isfinite(fill_disks(image, crowd, RADIUS_PX, np.random.default_rng(1))).all()


def test_the_background_is_the_slope_and_not_the_matter_on_it():
    y, x = np.indices((240, 261)) / 250
    slope = (100 + 30 * x - 20 * y + 15 * x * y - 10 * x**2).astype(np.float32)
    image = slope + textured(shape=(240, 261))
    image[60:160, 60:160] -= 15.0
    found = background(image)
    assert found.shape == image.shape
    assert np.abs(found - slope).max() < 1.0


@pytest.mark.parametrize("shape", [(3, 5), (1, 40), (25, 23)])
def test_small_images_have_a_background_too(shape):
    np.testing.assert_allclose(background(np.full(shape, 7.0, np.float32)), 7.0, atol=1e-3)
