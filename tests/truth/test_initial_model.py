"""A first map from nothing: it shows the molecule, with the right hand and on its axes."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tomoflow.core.averaging import initial
from napari_tomoflow.core.averaging.competing import classes_by_maps
from napari_tomoflow.core.averaging.initial import Descent, first_map
from napari_tomoflow.core.averaging.recipe import Recipe
from napari_tomoflow.core.averaging.refinement import refine_poses
from napari_tomoflow.core.averaging.symmetry_axis import Frame
from napari_tomoflow.core.ops.masks import soft_sphere
from napari_tomoflow.core.ops.so3 import symmetry_operators
from napari_tomoflow.core.simulation.molecules import proteasome, ribosome
from truth.docking import frame_of, fsc_with
from truth.particle_images import Imaging, density_of
from truth.test_refine import Kept, Sources, unaligned
from truth.two_conformations import MixedImages, Some, balanced_accuracy


def model(images, descent, **services):
    """Make a first map, and find the poses of all particles by it, as the stage does."""
    first = first_map(images, descent, **services)
    return first, aligned_with(first.volume, images, descent)


def aligned_with(volume, images, descent):
    """Align all particles with a first map, and average them."""
    recipe = Recipe(
        images.box_px, images.pixel_ang, descent.diameter_ang, descent.resolution_ang, descent.symmetry, 30.0, 1,
        "global", 0.0,
    )  # fmt: skip
    return refine_poses(Sources(images), volume, recipe)


def fsc_at(resolution_ang, images, refined, descent):
    """Compare the average with the truth at a resolution."""
    frame, _, _ = frame_of(refined.particles, images.truth, images.pixel_ang, descent.symmetry)
    mask = soft_sphere(images.box_px, 0.5 * descent.diameter_ang / images.pixel_ang + 2)
    fsc = fsc_with(images.volume, refined.average.volume, frame, mask)
    return np.interp(images.box_px * images.pixel_ang / resolution_ang, np.arange(len(fsc)), fsc)


@pytest.fixture(scope="module")
def small():
    volume = density_of(ribosome(), 24, 20.0)
    images = unaligned(volume, Imaging(pixel_ang=20.0, snr=25.0, n_tilts=21), 48)
    return images, Descent(diameter_ang=260.0, resolution_ang=60.0, iterations=12, starts=2, lots=2)


@pytest.fixture(scope="module")
def small_model(small):
    return model(*small)


def test_a_molecule_appears_from_random_poses(small, small_model):
    images, descent = small
    first, refined = small_model
    assert fsc_at(60.0, images, refined, descent) > 0.5
    scores = first.quality["score"]
    assert len(scores) == descent.iterations
    assert np.mean(scores[-3:]) > 0


def test_most_poses_are_right(small, small_model):
    images, _ = small
    _, off_deg, left_px = frame_of(small_model[1].particles, images.truth, images.pixel_ang)
    assert np.median(off_deg) < 8.0
    assert np.median(left_px) < 0.5


def test_stopped_half_way_it_goes_on_to_the_same_map(small):
    images, descent = small
    short, kept = replace(descent, iterations=6, starts=1), Kept(stop_after=1)
    with pytest.raises(KeyboardInterrupt):
        first_map(images, short, steps=kept)
    kept.stop_after = None
    resumed, straight = (first_map(images, short, steps=steps) for steps in (kept, Kept()))
    np.testing.assert_array_equal(resumed.volume, straight.volume)
    assert resumed.quality == straight.quality


def test_another_seed_begins_elsewhere(small):
    images, descent = small
    maps = [first_map(images, replace(descent, iterations=1, starts=1, seed=seed)).volume for seed in (1, 2)]
    assert np.abs(maps[0] - maps[1]).max() > 0.1 * np.abs(maps[0]).max()


def test_axes_are_looked_for_in_a_map_that_was_not_made_symmetric(small, monkeypatch):
    """It once was, about the axes of the random start: those were found again, however false."""
    images, descent = small
    searched = []

    def likely_axes(volume, symmetry, radius):
        searched.append(volume)
        return [Frame(np.eye(3), np.zeros(3), agreement) for agreement in (0.9, 0.8)]

    monkeypatch.setattr(initial, "likely_axes", likely_axes)
    first = first_map(images, replace(descent, iterations=5, starts=1, symmetry="C5"))
    (volume,) = searched
    turn = Frame(symmetry_operators("C5")[1], np.zeros(3))
    assert np.corrcoef(volume.ravel(), turn.seen(volume).ravel())[0, 1] < 0.9
    assert np.corrcoef(first.volume.ravel(), turn.seen(first.volume).ravel())[0, 1] > 0.97
    assert first.quality["self_agreement"] in (0.9, 0.8)


def two_kinds(count, snr):
    """Ribosomes and proteasomes, as many of each, whose poses nobody knows: (images, kind of each)."""
    imaging = Imaging(pixel_ang=20.0, snr=snr, n_tilts=21)
    each = tuple(unaligned(density_of(kind(), 24, 20.0), imaging, count) for kind in (ribosome, proteasome))
    kind = np.random.default_rng(6).permutation(count) % 2
    return MixedImages(each, kind), kind


def parted(images, descent):
    """Make several maps and part the particles by them, as the stage does: (maps, class of each particle)."""
    first = first_map(images, descent)
    numbers, shares = classes_by_maps(images, list(first.volumes), descent.plan(descent.iterations, 24, 20.0))
    return first.volumes[numbers], shares.argmax(axis=1)


def test_two_kinds_of_particles_lead_to_a_map_of_each():
    images, kind = two_kinds(64, 25.0)
    descent = Descent(diameter_ang=260.0, resolution_ang=60.0, iterations=12, starts=1, lots=3, classes=2)
    volumes, class_of = parted(images, descent)
    assert balanced_accuracy(class_of, kind) > 0.9
    mask, likeness = soft_sphere(24, 8.5), np.empty((2, 2))
    for place in (0, 1):
        mine = np.flatnonzero(class_of == place)
        refined = aligned_with(volumes[place], Some(images, mine), descent)
        for which, (one, symmetry) in enumerate(zip(images.each, ("C1", "D7"), strict=True)):
            frame, _, _ = frame_of(refined.particles, one.truth[mine], 20.0, symmetry)
            likeness[place, which] = fsc_with(one.volume, refined.average.volume, frame, mask)[2:9].mean()
    own = likeness.argmax(axis=1)
    assert sorted(own) == [0, 1]
    # Measured 0.97 and 0.97, with the other kind 0.11 and 0.13.
    assert likeness[[0, 1], own].min() > 0.8
    assert likeness[[0, 1], 1 - own].max() < 0.5


def test_classes_nobody_falls_to_are_left_out():
    images, _ = two_kinds(8, 25.0)
    ribosomes = images.each[0]
    maps = [0.0 * ribosomes.volume, ribosomes.volume]
    numbers, shares = classes_by_maps(ribosomes, maps, Descent(260.0, 60.0).plan(50, 24, 20.0))
    assert numbers.tolist() == [1]
    np.testing.assert_array_equal(shares, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_kinds_of_particles_are_told_apart_from_every_seed(seed):
    images, kind = two_kinds(96, 5.0)
    descent = Descent(diameter_ang=260.0, resolution_ang=60.0, iterations=16, starts=2, classes=2, seed=seed)
    # Measured 0.99, 1.00, 1.00.
    assert balanced_accuracy(parted(images, descent)[1], kind) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 7))
def test_a_ribosome_appears_from_every_seed(seed):
    """Issue-sized: FSC ≥ 0.5 with the truth at 40 Å."""
    images = unaligned(density_of(ribosome(), 32, 15.0), Imaging(pixel_ang=15.0, snr=2.0), 300)
    descent = Descent(diameter_ang=270.0, resolution_ang=40.0, seed=seed)
    assert fsc_at(40.0, images, model(images, descent)[1], descent) >= 0.5


@pytest.mark.slow
def test_the_axes_of_a_barrel_are_found():
    images = unaligned(density_of(proteasome(), 32, 9.0), Imaging(pixel_ang=9.0, snr=3.0), 120)
    descent = Descent(diameter_ang=180.0, resolution_ang=25.0, symmetry="D7")
    first, refined = model(images, descent)
    assert first.quality["self_agreement"] > 0.6
    assert fsc_at(25.0, images, refined, descent) > 0.5
