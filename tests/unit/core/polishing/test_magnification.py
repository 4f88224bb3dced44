"""Stretches fitted to sums over invented images: found where they are, and only there."""

import numpy as np
import pytest

from napari_tomoflow.core.model.optics import UNSTRETCHED
from napari_tomoflow.core.polishing.magnification import fit_magnification
from napari_tomoflow.core.polishing.stretch_sums import STRETCHES, StretchSums

RINGS = 20


def fold(stretch, seed, told=0.5, images=4000, noise=0.5):
    """Sums over images of invented slices S and slopes G, taken with a stretch and compared as if there were none.

    Either half's average is as noisy as `noise` says, slices and slopes alike.
    """
    rng = np.random.default_rng(seed)
    scale = told * np.array([1.0, 20.0, 20.0])[:, None, None]
    true, *off = scale * rng.normal(size=(3, 3, RINGS, images))
    other, own = (true + noise * one for one in off)
    seen = 0.8 * np.tensordot([1.0, *stretch], true, 1) + np.sqrt(0.5) * rng.normal(size=(RINGS, images))
    squares, common = (np.einsum("irk,jrk->ijr", other, one) for one in (other, own))
    return StretchSums(np.einsum("irk,rk->ir", other, seen), squares, (common + common.swapaxes(0, 1)) / 2)


def folds(stretch, told=0.5):
    return [fold(stretch, seed, told) for seed in range(4)]


def test_a_stretch_is_found_and_told():
    found, record = fit_magnification(folds((0.004, -0.007)), UNSTRETCHED)
    np.testing.assert_allclose(np.array(found) - np.eye(2), np.tensordot((0.004, -0.007), STRETCHES, 1), atol=1e-3)
    assert np.linalg.det(found) == pytest.approx(1.0, abs=1e-12)
    assert record["accepted"]
    assert record["stretch_percent"] == pytest.approx(100 * 2 * np.hypot(0.004, 0.007), rel=0.05)
    assert record["azimuth_deg"] == pytest.approx(180 - 0.5 * np.rad2deg(np.arctan2(0.007, 0.004)), abs=2)


def test_what_is_found_comes_on_top_of_what_is_known():
    known = ((1.005, 0.0), (0.0, 1 / 1.005))
    found, _ = fit_magnification(folds((0.01, 0.0)), known)
    assert found[0][0] == pytest.approx(1.005 * np.exp(0.01), abs=1e-3)
    assert found[1][1] == pytest.approx(1 / found[0][0], abs=1e-6)


@pytest.mark.parametrize("told", [0.5, 0.02])
def test_nothing_is_believed_where_nothing_is_stretched_or_little_is_seen(told):
    found, record = fit_magnification(folds((0.0, 0.0), told), UNSTRETCHED)
    assert found == UNSTRETCHED
    assert not record["accepted"]
    assert record["stretch_percent"] == 0.0


def test_too_few_particles_tell_nothing():
    assert fit_magnification([fold((0.01, 0.0), 1)], UNSTRETCHED)[0] == UNSTRETCHED


def test_images_are_not_stretched_further_than_slices_have_room():
    known = ((1.029, 0.0), (0.0, 1 / 1.029))
    found, _ = fit_magnification(folds((0.01, 0.0)), known)
    assert np.linalg.norm(found, 2) == pytest.approx(1.03, rel=1e-9)
