"""Refinement against truth: poses, resolution, no resolution of noise; and the same result however it is run."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np
import pytest

from napari_tomoflow.core.averaging.fsc_curve import agreement_radius, fsc_curve, settled_fsc
from napari_tomoflow.core.averaging.recipe import Recipe, ball
from napari_tomoflow.core.averaging.reconstruct import reconstruct_at_poses
from napari_tomoflow.core.averaging.refinement import refine_poses
from napari_tomoflow.core.averaging.resizing import fitted
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import DensityMap
from napari_tomoflow.core.ops.fsc import crossing, shell_sums
from napari_tomoflow.core.ops.so3 import angular_distance_deg
from napari_tomoflow.core.simulation.molecules import proteasome, ribosome
from napari_tomoflow.io.volumes import open_volume
from truth.particle_images import Imaging, MapImages, density_of, random_particles


@dataclass(frozen=True)
class Sources:
    """Images of invented particles on any coarser grid."""

    full: MapImages

    def __call__(self, box_px, pixel_ang):
        return Cropped(self.full, box_px)


@dataclass(frozen=True)
class Cropped:
    """An `ImageSource` with the frequencies of a coarser grid."""

    full: MapImages
    box_px: int

    @property
    def particles(self):
        return self.full.particles

    @property
    def pixel_ang(self):
        return self.full.pixel_ang * self.full.box_px / self.box_px

    def at(self, particles):
        return replace(self, full=self.full.at(particles))

    def images(self, chosen):
        return self.full.images(chosen).cropped(self.box_px)


class Kept(dict):
    """Steps in memory; forgets to stop, unless told to after a number of saves."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.stop_after = stop_after

    def load(self, name):
        return self.get(name)

    def save(self, name, arrays):
        self[name] = {key: value.copy() for key, value in arrays.items()}
        self.stop_after = self.stop_after and self.stop_after - 1
        if self.stop_after == 0:
            raise KeyboardInterrupt


def unaligned(volume, imaging, count, off_ang=10.0):
    """Images of particles whose poses are lost and whose places are somewhat off."""
    truth = random_particles(count, seed=2)
    off = np.random.default_rng(3).normal(size=(count, 3)) * off_ang / 3**0.5
    lost = truth.replace(centers_ang_zyx=truth.centers_ang_zyx + off, quaternions_xyzw=np.array([0.0, 0.0, 0.0, 1.0]))
    return MapImages(volume, truth, imaging).at(lost)


def resolution_against(volume, truth, mask, pixel_ang):
    sums = shell_sums(volume * mask, truth * mask)
    return pixel_ang / (crossing(sums.fsc, sums.frequency_per_px, 0.5) or 0.5)


def small_case(box_px=32, count=40, **imaging):
    volume = density_of(ribosome(), box_px, 12.0)
    recipe = Recipe(box_px=box_px, pixel_ang=12.0, diameter_ang=260.0, start_ang=65.0, iterations=5)
    images = unaligned(volume, Imaging(pixel_ang=12.0, n_tilts=21, **imaging), count)
    return volume, images, recipe


@pytest.fixture(scope="module")
def uninterrupted():
    volume, images, recipe = small_case(snr=4.0)
    return refine_poses(Sources(images), volume, recipe)


def test_a_course_that_ends_on_a_coarser_grid_filters_its_average_by_masked_halves_too():
    volume, images, recipe = small_case(count=20, snr=0.5)
    refined = refine_poses(Sources(images), volume, replace(recipe, iterations=1))
    assert refined.history[-1]["box_px"] < recipe.box_px
    raw = reconstruct_at_poses(images.at(refined.particles), weights=refined.weights)
    agreed = settled_fsc(refined.curve.corrected, raw.weight, recipe.coarsest)
    again = reconstruct_at_poses(images.at(refined.particles), weights=refined.weights, fsc=agreed)
    np.testing.assert_allclose(refined.average.volume, again.volume, atol=1e-4 * np.std(again.volume))


def test_poses_and_resolution_come_near_the_truth(uninterrupted):
    volume, images, recipe = small_case(snr=4.0)
    check(uninterrupted, volume, images, recipe, pose_deg=3.0, off_px=0.5)


def check(refined, volume, images, recipe, pose_deg, off_px):
    """Targets of the project: poses, resolution by both measures, and beside that at the true poses."""
    truth, mask = images.truth, ball(recipe)
    turned_deg = angular_distance_deg(refined.particles.matrices, truth.matrices, recipe.symmetry)
    off = np.linalg.norm(refined.particles.centers_ang_zyx - truth.centers_ang_zyx, axis=1) / recipe.pixel_ang
    assert np.median(turned_deg) < pose_deg
    assert np.median(off) < off_px
    against_truth = resolution_against(refined.average.volume, volume, mask, recipe.pixel_ang)
    assert refined.resolution_ang == pytest.approx(against_truth, rel=0.1)
    ideal = reconstruct_at_poses(images.at(truth), symmetry=recipe.symmetry)
    best_ang = fsc_curve(*ideal.halves, recipe.pixel_ang, mask).resolution_ang()
    assert best_ang >= 0.9 * refined.resolution_ang


@pytest.mark.parametrize("options", [{"tight_mask": True}, {"local_filter": True}], ids=lambda one: next(iter(one)))
def test_masks_of_what_appears_and_local_filters_lead_to_the_truth_too(options):
    volume, images, recipe = small_case(snr=4.0)
    refined = refine_poses(Sources(images), volume, replace(recipe, **options))
    check(refined, volume, images, recipe, pose_deg=3.0, off_px=0.5)
    assert (refined.mask.sum() < 0.99 * ball(recipe).sum()) == ("tight_mask" in options)


@pytest.mark.parametrize("options", [{}, {"tight_mask": True}, {"local_filter": True}], ids=lambda one: "".join(one))
def test_pure_noise_gives_no_resolution(options):
    volume, images, recipe = small_case(count=24, snr=1e-9)
    refined = refine_poses(Sources(images), volume, replace(recipe, iterations=3, **options))
    assert refined.resolution_ang is None
    assert all(one["resolution_ang"] is None for one in refined.history)


@pytest.mark.parametrize("saves", [1, 2])
def test_stopped_in_any_iteration_it_goes_on_to_the_same_result(uninterrupted, saves):
    volume, images, recipe = small_case(snr=4.0)
    kept = Kept(stop_after=saves)
    with pytest.raises(KeyboardInterrupt):
        refine_poses(Sources(images), volume, recipe, steps=kept)
    kept.stop_after = None
    resumed = refine_poses(Sources(images), volume, recipe, steps=kept)
    np.testing.assert_array_equal(resumed.average.volume, uninterrupted.average.volume)
    # Quaternions that are read are made unit once more, which may move their last digit.
    np.testing.assert_allclose(
        resumed.particles.quaternions_xyzw, uninterrupted.particles.quaternions_xyzw, rtol=0, atol=1e-14
    )
    assert resumed.history == uninterrupted.history


@pytest.mark.slow
def test_two_processes_give_the_same_bits_as_one(uninterrupted):
    volume, images, recipe = small_case(snr=4.0)
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        spread = refine_poses(Sources(images), volume, recipe, map_batches=pool.map)
    np.testing.assert_array_equal(spread.average.volume, uninterrupted.average.volume)
    np.testing.assert_array_equal(spread.particles.centers_ang_zyx, uninterrupted.particles.centers_ang_zyx)


def test_the_worst_do_not_count_and_stay_in_the_table():
    volume, images, recipe = small_case(snr=4.0)
    here, worst = images.particles.centers_ang_zyx.copy(), [3, 8, 20]
    here[worst] += np.array([0.0, 0.0, 4000.0])
    refined = refine_poses(
        Sources(images.at(images.particles.replace(centers_ang_zyx=here))),
        volume,
        replace(recipe, left_out=0.1, iterations=3),
    )
    assert (refined.weights[worst] == 0).all()
    assert refined.weights.sum() >= 36
    assert len(refined.particles) == 40


def near_truth(images, off_ang):
    """The same images at the true orientations, all places off by as much."""
    off = np.random.default_rng(4).normal(size=(len(images.truth), 3))
    off *= off_ang / np.linalg.norm(off, axis=1, keepdims=True)
    return images.at(images.truth.replace(centers_ang_zyx=images.truth.centers_ang_zyx + off))


def test_a_search_around_picks_first_reaches_as_far_as_they_lie_off():
    """It once reached a third as far, lost nearly all particles, and averaged nothing without a word."""
    volume, images, recipe = small_case(count=12, snr=4.0)
    around = replace(recipe, search="local", reach_ang=30.0, iterations=1)
    refined = refine_poses(Sources(near_truth(images, 20.0)), volume, around)
    left_px = np.linalg.norm(refined.particles.centers_ang_zyx - images.truth.centers_ang_zyx, axis=1) / 12.0
    assert np.median(left_px) < 0.5
    assert (refined.particles.score > 0).all()


def test_a_map_that_nothing_agrees_with_is_said_to_be_wrong():
    volume, images, recipe = small_case(count=12, snr=4.0)
    around = replace(recipe, search="local", reach_ang=1e-3, iterations=1)
    with pytest.raises(DataError, match="half 1 agrees"):
        refine_poses(Sources(near_truth(images, 0.0)), -volume, around)


def test_a_dip_of_the_fsc_does_not_hide_what_lies_beyond():
    fsc = np.array([1.0, 1.0, 0.9, 0.05, 0.1, 0.8, 0.5, 0.2, 0.1, 0.0, 0.05])
    assert 7.0 < agreement_radius(fsc) < 8.0
    assert agreement_radius(np.ones(9)) == 8.0
    assert agreement_radius(np.array([1.0, 0.0, 0.0, 0.0, 0.0])) < 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("species", "symmetry", "box_px", "pixel_ang", "diameter_ang", "snr"),
    [(ribosome, "C1", 64, 6.5, 260.0, 0.3), (proteasome, "D7", 48, 6.0, 180.0, 0.5)],
)
def test_refinement_reaches_what_the_true_poses_allow(species, symmetry, box_px, pixel_ang, diameter_ang, snr):
    volume = density_of(species(), box_px, pixel_ang)
    images = unaligned(volume, Imaging(pixel_ang=pixel_ang, snr=snr), 300)
    recipe = Recipe(box_px, pixel_ang, diameter_ang, max(diameter_ang / 4, 30.0), symmetry)
    check(refine_poses(Sources(images), volume, recipe), volume, images, recipe, pose_deg=3.0, off_px=0.5)


@pytest.mark.slow
def test_a_measured_ribosome_in_much_noise_comes_as_far_as_at_the_true_poses(shared_data):
    """Both fall below 0.5 for a shell or two where the CTF of most particles is 0: what counts is where they end."""
    given = open_volume(shared_data("templates") / "4v4r.mrc")
    volume = fitted(DensityMap(name="70S", volume=given.volume, voxel_ang=given.voxel_ang), 64, 5.0)
    images = unaligned(volume, Imaging(pixel_ang=5.0, snr=0.3), 300)
    recipe = Recipe(64, 5.0, 260.0, 65.0)
    refined, mask = refine_poses(Sources(images), volume, recipe), ball(recipe)
    ideal = reconstruct_at_poses(images.at(images.truth))
    reached, best = (
        agreement_radius(fsc_curve(*halves, 5.0, mask).corrected) for halves in (refined.average.halves, ideal.halves)
    )
    against_truth = agreement_radius(shell_sums(refined.average.volume * mask, volume * mask).fsc, 0.5)
    # Measured 15.5, 15.8 and 15.3 shells of 320 Å.
    assert reached > 0.9 * best
    assert reached == pytest.approx(against_truth, rel=0.1)
    assert np.median(angular_distance_deg(refined.particles.matrices, images.truth.matrices)) < 1.5
