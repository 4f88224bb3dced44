"""Snapping: a click beside a particle comes to lie in its middle, whatever its contrast."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import Cancelled
from napari_tomoflow.core.model import Tomogram
from napari_tomoflow.gui.picker.snapping import METHODS, snap

VOXEL_ANG = 10.0
DIAMETER_ANG = 200.0


def balls(
    places_ang, *, contrast="dark", noise=0.0, voxel_ang=VOXEL_ANG, seed=0, diameter_ang=DIAMETER_ANG,
    origin_ang_zyx=(50.0, 0.0, -20.0),
):  # fmt: skip
    """Return a tomogram with soft balls."""
    origin = np.array(origin_ang_zyx)
    shape = np.array((40, 64, 64)) * int(VOXEL_ANG / voxel_ang)
    z, y, x = ((np.arange(n) - n // 2) * voxel_ang + o for n, o in zip(shape, origin, strict=True))
    volume = noise * np.random.default_rng(seed).normal(size=shape)
    for place in places_ang:
        distance = np.sqrt(((z - place[0]) ** 2)[:, None, None] + ((y - place[1]) ** 2)[:, None] + (x - place[2]) ** 2)
        volume += 1 / (1 + np.exp((distance - diameter_ang / 2) / 5.0))
    volume = np.asarray(-volume if contrast == "dark" else volume, np.float32)
    return Tomogram(name="balls", volume=volume, voxel_ang=voxel_ang, origin_ang_zyx=tuple(origin), contrast=contrast)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("contrast", ["dark", "bright"])
@pytest.mark.parametrize("voxel_ang", [10.0, 5.0])
def test_click_beside_a_particle_lands_in_its_middle(method, contrast, voxel_ang):
    truth = np.array([[40.0, 13.0, -27.0], [60.0, -190.0, 155.0]])
    tomogram = balls(truth, contrast=contrast, voxel_ang=voxel_ang)
    clicked = truth + np.array([[45.0, -30.0, 20.0], [-20.0, 50.0, -50.0]])
    found = snap(tomogram, clicked, np.full(2, DIAMETER_ANG), method)
    # A twentieth of a voxel of the smooth ball, as it is sampled.
    np.testing.assert_allclose(found, truth, atol=1.0)


@pytest.mark.parametrize("method", METHODS)
def test_noise_moves_the_centre_little(method):
    truth = np.array([40.0, 13.0, -27.0])
    errors_ang = []
    for seed in range(6):
        tomogram = balls([truth], noise=1.5, seed=seed)
        found = snap(tomogram, truth[None] + np.array([30.0, -30.0, 20.0]), np.array([DIAMETER_ANG]), method)
        errors_ang.append(np.linalg.norm(found[0] - truth))
    assert np.median(errors_ang) < 0.05 * DIAMETER_ANG
    assert max(errors_ang) < 0.1 * DIAMETER_ANG


@pytest.mark.parametrize("method", METHODS)
def test_nothing_moves_farther_than_the_radius(method):
    tomogram = balls([[40.0, 0.0, 0.0]])
    clicked = np.array([[40.0, 0.0, 150.0], [40.0, 120.0, 0.0]])
    found = snap(tomogram, clicked, np.full(2, DIAMETER_ANG), method)
    assert np.linalg.norm(found - clicked, axis=1).max() <= DIAMETER_ANG / 2 + 1e-6


def test_empty_and_outside_stay_where_they_are():
    tomogram = balls([])
    clicked = np.array([[40.0, 0.0, 0.0], [9000.0, 0.0, 0.0]])
    np.testing.assert_array_equal(snap(tomogram, clicked, np.full(2, DIAMETER_ANG)), clicked)


def test_snapping_of_many_can_be_cancelled():
    def stop(done, total, doing):
        if done == 3:
            raise Cancelled

    tomogram = balls([[40.0, 0.0, 0.0]])
    with pytest.raises(Cancelled):
        snap(tomogram, np.zeros((10, 3)), np.full(10, DIAMETER_ANG), report=stop)
