"""How resolution grows with the number of particles."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tomoflow.core.averaging.fsc_curve import fsc_curve
from napari_tomoflow.core.averaging.reconstruct import reconstruct_at_poses
from napari_tomoflow.core.averaging.refinement import Refined
from napari_tomoflow.core.averaging.subsets import rosenthal_henderson
from napari_tomoflow.core.ops.masks import soft_sphere
from napari_tomoflow.core.simulation.molecules import ribosome
from truth.particle_images import Imaging, MapImages, density_of, random_particles

BOX, PIXEL_ANG = 32, 10.0


def refined_at_truth(count, snr):
    truth = random_particles(count, seed=1)
    images = MapImages(density_of(ribosome(), BOX, PIXEL_ANG), truth, Imaging(PIXEL_ANG, snr=snr, n_tilts=11)).at(truth)
    average = reconstruct_at_poses(images)
    mask = soft_sphere(BOX, 14, 2)
    curve = fsc_curve(*average.halves, PIXEL_ANG, mask)
    return images, Refined(truth, average, curve, curve.resolution_ang(), np.ones(count), mask=mask)


@pytest.fixture(scope="module")
def case():
    return refined_at_truth(64, snr=0.3)


def test_parts_are_halves_of_halves_three_times_and_resolution_grows(case):
    images, refined = case
    found = rosenthal_henderson(images, refined)
    sizes = np.array(found["particles"])
    assert set(sizes) <= {16, 32, 64}
    assert (sizes == 64).sum() == 1
    assert (sizes == 32).sum() == 3
    resolution = np.array(found["resolution_ang"])
    assert resolution[sizes == 64].mean() == pytest.approx(refined.resolution_ang, abs=1e-3)
    assert np.mean(resolution[sizes == 32]) > refined.resolution_ang
    slope, intercept = np.polyfit(np.log(sizes), 1 / resolution**2, 1)
    assert found["b_factor_ang2"] == pytest.approx(2 / slope, rel=1e-3)
    assert found["intercept"] == pytest.approx(intercept, rel=1e-3)


def test_what_the_grid_ends_is_no_part_of_the_line(case):
    images, refined = case
    fine = replace(refined, curve=fsc_curve(images.volume, images.volume, PIXEL_ANG))
    found = rosenthal_henderson(images, fine)
    assert min(found["resolution_ang"]) == 2 * PIXEL_ANG
    assert found["b_factor_ang2"] is None  # the two sizes left are no line


def test_parts_are_the_same_for_a_seed_and_others_for_another(case):
    images, refined = case
    assert rosenthal_henderson(images, refined, seed=4) == rosenthal_henderson(images, refined, seed=4)
    assert rosenthal_henderson(images, refined, seed=4) != rosenthal_henderson(images, refined, seed=5)


def test_particles_that_do_not_count_are_in_no_part(case):
    images, refined = case
    weights = np.where(np.arange(64) < 32, 1.0, 0.0)
    found = rosenthal_henderson(images, replace(refined, weights=weights))
    assert max(found["particles"]) == 32
    assert set(found["particles"]) <= {16, 32}
    assert found["b_factor_ang2"] is None  # two sizes are no line


def test_too_few_particles_are_one_point(case):
    images, refined = case
    few = replace(refined, weights=np.where(np.arange(64) < 20, 1.0, 0.0))
    assert rosenthal_henderson(images, few)["particles"] == [20]
