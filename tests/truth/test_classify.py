"""Two conformations, mixed, are told apart; particles that are all alike are not."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest

from napari_tomoflow.core.classification.class_maps import class_maps
from napari_tomoflow.core.classification.course import part_by_images
from napari_tomoflow.core.classification.recipe import Recipe
from napari_tomoflow.core.classification.split import largest_first, stability
from napari_tomoflow.core.ops.fsc import shell_sums
from napari_tomoflow.core.ops.masks import soft_sphere
from napari_tomoflow.core.ops.so3 import angular_distance_deg
from truth.test_refine import Kept
from truth.two_conformations import DIAMETER_ANG, balanced_accuracy, mixed_50s, mixed_ribosomes, shaken

by_images = pytest.mark.parametrize("method", ["pca", "multi-reference", "likelihood"])


def recipe_for(images, method, **changes):
    plain = Recipe(method, 2, images.box_px, images.pixel_ang, 40.0, DIAMETER_ANG, repeats=2)
    return replace(plain, **changes)


def accuracy_of(parted, truth):
    return balanced_accuracy(parted.best.class_of, truth)


@pytest.fixture(scope="module")
def ribosomes():
    """Particles of which 30 % are turned in themselves by 15°."""
    return mixed_ribosomes(150, turn_deg=15.0, snr=3.0)


@by_images
def test_two_conformations_of_a_ribosome_mixed_70_to_30_are_told_apart(ribosomes, method):
    images, truth = ribosomes
    parted = part_by_images(images, recipe_for(images, method))
    # Measured 0.99 to 1.00.
    assert accuracy_of(parted, truth) > 0.95
    assert min(stability(parted.best, parted.others).agreement) > 0.9
    assert parted.best.record["gain"] > 4 * parted.best.record["gain_error"]
    np.testing.assert_allclose(parted.noise_power[1:], 1.0, atol=0.1)


@by_images
@pytest.mark.parametrize("counts", [(72, 31), (31, 72)])
def test_simulated_50s_of_another_program_are_told_apart(shared_data, method, counts):
    images, truth = mixed_50s(shared_data, *counts)
    parted = part_by_images(images, recipe_for(images, method))
    # Signal to noise is 0.056, and 8 or 10 tilts within 15° are all there is; measured 1.00.
    assert accuracy_of(parted, truth) > 0.95


def test_joining_the_closest_particles_finds_the_same_classes(ribosomes):
    images, truth = ribosomes
    parted = part_by_images(images, recipe_for(images, "pca", clustering="hierarchical", repeats=1))
    assert accuracy_of(parted, truth) > 0.9


def test_a_mask_around_what_differs_lets_weaker_differences_be_seen():
    images, truth = mixed_ribosomes(150, turn_deg=15.0, snr=1.5)
    z = np.arange(32)[:, None, None] - 16
    # The small subunit lies below −46 Å.
    below = np.clip(-(z * images.pixel_ang + 30.0) / 30.0, 0, 1) * np.ones((32, 32, 32))
    found = [part_by_images(images, recipe_for(images, "pca"), focus) for focus in (None, below)]
    whole, focused = (accuracy_of(one, truth) for one in found)
    assert focused > whole
    assert focused > 0.9


@by_images
def test_particles_that_are_all_alike_do_not_explain_each_other_by_classes(shared_data, method):
    images, _ = mixed_50s(shared_data, 72, 0)
    record = part_by_images(images, recipe_for(images, method, repeats=1)).best.record
    assert record["gain"] < 3 * record["gain_error"]


def test_classes_nobody_needs_stay_small_or_empty(shared_data):
    images, truth = mixed_50s(shared_data, 72, 72)
    best = largest_first(part_by_images(images, recipe_for(images, "likelihood", n_classes=6)).best, 4)
    purity = sum(np.bincount(truth[best.class_of == number]).max() for number in range(best.shares.shape[1]))
    assert purity > 0.95 * len(truth)
    assert best.counts.min() >= 4


def test_particles_that_lie_off_are_aligned_before_they_are_told_apart():
    images, truth = mixed_ribosomes(150, turn_deg=15.0, snr=4.0)
    off = shaken(images, deg=4.0, ang=5.0)
    as_they_lie, aligned = (part_by_images(off, recipe_for(off, "likelihood", rounds=count)) for count in (0, 2))
    # Measured 0.81 and 1.00.
    assert accuracy_of(aligned, truth) > max(0.95, accuracy_of(as_they_lie, truth))
    before, after = (
        np.median(angular_distance_deg(one.particles.matrices, images.particles.matrices))
        for one in (as_they_lie, aligned)
    )
    assert after < 0.6 * before


def test_stopped_between_rounds_it_goes_on_to_the_same_classes():
    images, _ = mixed_ribosomes(40, box_px=24, pixel_ang=18.0, snr=4.0, n_tilts=11)
    off = shaken(images, deg=4.0, ang=5.0)
    recipe = recipe_for(off, "multi-reference", resolution_ang=50.0, repeats=1, rounds=2)
    whole = part_by_images(off, recipe)
    kept = Kept(stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        part_by_images(off, recipe, steps=kept)
    kept.stop_after = None
    resumed = part_by_images(off, recipe, steps=kept)
    np.testing.assert_array_equal(resumed.best.shares, whole.best.shares)
    np.testing.assert_allclose(resumed.particles.centers_ang_zyx, whole.particles.centers_ang_zyx)


def test_stopped_between_repeats_it_goes_on_to_the_same_classes(ribosomes):
    images, _ = ribosomes
    recipe = recipe_for(images, "pca")
    whole = part_by_images(images, recipe)
    kept = Kept(stop_after=1)
    with pytest.raises(KeyboardInterrupt):
        part_by_images(images, recipe, steps=kept)
    kept.stop_after = None
    resumed = part_by_images(images, recipe, steps=kept)
    np.testing.assert_array_equal(resumed.best.shares, whole.best.shares)
    assert resumed.best.record == whole.best.record
    assert list(resumed.best.features) == list(whole.best.features)


def test_the_average_of_each_class_shows_its_own_conformation(ribosomes):
    images, truth = ribosomes
    mask = soft_sphere(images.box_px, 12.0)
    made = class_maps(images, truth, np.ones(len(truth)), "C1", DIAMETER_ANG, mask, 1)
    likeness = np.array(
        [[shell_sums(one.volume * mask, each.volume * mask).fsc[4:11].mean() for each in images.each] for one in made]
    )
    assert likeness[0, 0] > likeness[0, 1] + 0.03
    assert likeness[1, 1] > likeness[1, 0] + 0.03
    assert all(one.curve.resolution_ang() is not None for one in made)


def test_a_class_within_one_half_has_its_particles_dealt_to_both():
    images, _ = mixed_ribosomes(16, box_px=24, pixel_ang=18.0, snr=3.0, n_tilts=11)
    number = (images.particles.half == 1).astype(np.int64)
    for one in class_maps(images, number, np.ones(16), "C1", DIAMETER_ANG, soft_sphere(24, 9.0), 1):
        assert all(np.abs(half).max() > 0 for half in one.halves)
        assert np.isfinite(one.volume).all()


@pytest.mark.slow
def test_two_processes_give_the_same_bits_as_one():
    images, _ = mixed_ribosomes(40, box_px=24, pixel_ang=18.0, snr=4.0, n_tilts=11)
    recipe = recipe_for(images, "likelihood", resolution_ang=50.0, rounds=1)
    here = part_by_images(images, recipe)
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        there = part_by_images(images, recipe, map_batches=pool.map)
    np.testing.assert_array_equal(here.best.shares, there.best.shares)
    np.testing.assert_array_equal(here.particles.centers_ang_zyx, there.particles.centers_ang_zyx)


@pytest.mark.slow
@by_images
def test_many_particles_make_up_for_little_signal_in_each(method):
    # Each particle alone tells its conformation with 98 % certainty even if both maps are known.
    images, truth = mixed_ribosomes(1500, turn_deg=15.0, snr=1.0)
    # Measured 0.95 to 0.97.
    assert accuracy_of(part_by_images(images, recipe_for(images, method)), truth) > 0.92
