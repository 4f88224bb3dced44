"""Weights of single images: outliers and lost tilts are left out, and noise does not make weights."""

import numpy as np
import pytest

from napari_tomoflow.core.polishing.subtilt_weights import scores_of, weights_of

P, N = 200, 12


def a_set(strength=1.0, power=400.0, seed=1):
    """Agreements of images with the variance that noise has."""
    rng = np.random.default_rng(seed)
    powers = np.full((P, N), power)
    return powers * strength + np.sqrt(powers / 2) * rng.normal(size=(P, N)), powers


GROUPS = np.arange(P) % 2


def weigh(agreement, power, outlier_sd=4.0):
    return weights_of(agreement, power, GROUPS, outlier_sd, 0.25)


def test_noise_alone_leaves_all_images_alike():
    agreement, power = a_set(power=30.0)
    assert (agreement / power).std() > 0.1
    weight = weigh(agreement, power)
    assert weight.std() < 0.03
    assert weight.mean() == pytest.approx(1.0, abs=0.01)


def test_strong_images_count_for_more_where_the_images_tell():
    true = np.random.default_rng(3).uniform(0.6, 1.4, (P, N))
    weight = weigh(*a_set(strength=true))
    assert np.corrcoef(weight.ravel(), true.ravel())[0, 1] > 0.95


def test_a_tilt_that_lost_its_particles_is_left_out_in_the_half_that_lost_them():
    strength = np.ones((P, N))
    strength[GROUPS == 1, 4] = 0.1
    weight = weigh(*a_set(strength=strength))
    assert not weight[GROUPS == 1, 4].any()
    assert (weight[GROUPS == 0, 4] > 0).all()


def test_outliers_of_a_tilt_are_left_out():
    agreement, power = a_set()
    agreement[7, 3] = -agreement[7, 3]
    weight = weigh(agreement, power)
    assert weight[7, 3] == 0
    assert (weight == 0).sum() < 5


def test_beyond_two_deviations_is_a_fortieth():
    assert np.mean(weigh(*a_set(), outlier_sd=2.0) == 0) == pytest.approx(0.023, abs=0.01)


def test_what_shows_nothing_has_no_weight_and_no_score():
    agreement, power = a_set()
    agreement[:, 5] = power[:, 5] = 0
    agreement[0] = power[0] = 0
    weight = weigh(agreement, power)
    assert not weight[:, 5].any()
    assert not weight[0].any()
    assert np.isnan(scores_of(agreement, power, 100)[:, 5]).all()


def test_particles_that_agree_with_nothing_are_not_turned_into_their_negative():
    agreement, power = a_set(strength=-0.2)
    assert (weigh(agreement, power) == 1.0).all()


def test_the_score_is_the_correlation_with_the_whitened_image():
    rng = np.random.default_rng(5)
    model, image = rng.normal(size=(2, 50)) + 1j * rng.normal(size=(2, 50))
    agreement, power = np.vdot(image, model).real, np.vdot(model, model).real
    expected = agreement / np.sqrt(power * np.vdot(image, image).real)
    got = scores_of(np.array([[agreement]]), np.array([[power]]), np.vdot(image, image).real)
    assert got[0, 0] == pytest.approx(expected)
