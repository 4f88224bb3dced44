"""Averages at the true poses against the density they are of: geometry, CTF, dose and weights all have to be right."""

import tracemalloc

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.fsc_curve import fsc_curve
from napari_tomoflow.core.averaging.reconstruct import reconstruct_at_poses
from napari_tomoflow.core.averaging.sampling import Sampling
from napari_tomoflow.core.averaging.series_images import DatasetImages
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Dataset, ParticleSet
from napari_tomoflow.core.ops.fsc import crossing, shell_sums
from napari_tomoflow.core.ops.masks import soft_sphere
from napari_tomoflow.core.ops.so3 import symmetry_operators
from napari_tomoflow.core.simulation import molecules
from napari_tomoflow.core.stages.simulate import SimulateParams, simulate
from napari_tomoflow.project.services import batch_pool
from truth.particle_images import Imaging, MapImages, density_of, random_particles

BOX_PX, PIXEL_ANG = 40, 8.0


@pytest.fixture(scope="module")
def ribosome():
    return density_of(molecules.ribosome(), BOX_PX, PIXEL_ANG)


@pytest.fixture(scope="module")
def sixty(ribosome):
    return MapImages(ribosome, random_particles(60), Imaging(PIXEL_ANG, n_tilts=21))


@pytest.fixture(scope="module")
def simulation():
    """A crowded slice of ice from the simulator, and its ribosomes that lie in the field."""
    params = SimulateParams(
        size_px=240, pixel_ang=PIXEL_ANG, n_tilts=25, n_ribosomes=26, n_proteasomes=6, n_gold=3, n_vesicles=0,
        thickness_nm=160.0, defocus_um=3.5, seed=4,
    )  # fmt: skip
    made = simulate(params)
    features = made.particles.features
    kept = made.particles[(features["species"] == "ribosome") & (features["in_field"] == 1)]
    particles = kept.replace(half=np.arange(len(kept)) % 2 + 1)
    return Dataset(
        particles=particles,
        series={params.name: made.series},
        alignments={params.name: made.alignment},
        ctfs={params.name: made.ctf},
    )


def resolution_ang(volume, truth, threshold=0.5):
    """Where the agreement ends; no resolution at all is infinitely coarse."""
    sums = shell_sums(volume, truth)
    at = crossing(sums.fsc, sums.frequency_per_px / PIXEL_ANG, threshold)
    return 1 / at if at else np.inf


def average_of(dataset):
    return reconstruct_at_poses(DatasetImages(dataset, Sampling(BOX_PX, PIXEL_ANG, 140.0))).volume


def test_a_simulated_series_gives_its_ribosome_back(simulation, ribosome):
    volume = average_of(simulation)
    fsc = shell_sums(volume, ribosome).fsc
    # The CTF of 3.5 µm first passes 0 at 27 Å; 26 particles bring back most of what lies below.
    assert fsc[2:10].min() > 0.9
    assert resolution_ang(volume, ribosome) < 27.0


def test_a_wrong_pose_or_axis_costs_resolution(simulation, ribosome):
    right = resolution_ang(average_of(simulation), ribosome)
    name = next(iter(simulation.series))
    inverse = simulation.particles.quaternions_xyzw * [-1, -1, -1, 1]
    alignment = simulation.alignments[name]
    turned = alignment.replace(axis_deg=alignment.axis_deg + 180)
    wrong = {
        "poses transposed": simulation.replace(particles=simulation.particles.replace(quaternions_xyzw=inverse)),
        "axis half a turn off": simulation.replace(alignments={name: turned}),
    }
    for what, dataset in wrong.items():
        assert resolution_ang(average_of(dataset), ribosome) > 1.2 * right, what


def test_the_ctf_turns_what_lies_beyond_its_first_zero(simulation, ribosome):
    # Shells 13 to 16 lie in the first band of inverted contrast.
    corrected = shell_sums(average_of(simulation), ribosome).fsc
    plain = shell_sums(average_of(simulation.replace(ctfs={})), ribosome).fsc
    assert corrected[13:17].min() > 0.4
    assert plain[13:17].max() < -0.5


def test_noise_falls_with_the_number_of_particles(sixty, ribosome):
    few = sixty.at(sixty.truth)
    first = MapImages(ribosome, sixty.truth[:15], sixty.imaging)
    coarse, fine = (resolution_ang(reconstruct_at_poses(each).volume, ribosome) for each in (first, few))
    assert fine < coarse
    assert fine < 30.0


def test_the_filter_of_the_average_is_that_of_the_truth(sixty, ribosome):
    # Cref = sqrt(2 FSC / (1 + FSC)) tells from the halves how the whole agrees with the truth.
    made = reconstruct_at_poses(sixty)
    curve = fsc_curve(*made.halves, PIXEL_ANG, soft_sphere(BOX_PX, 17, 3))
    predicted = np.sqrt(2 * np.clip(curve.corrected, 0, None) / (1 + curve.corrected))
    mask = soft_sphere(BOX_PX, 17, 3)
    measured = shell_sums(made.volume * mask, ribosome * mask).fsc
    signal = curve.corrected > 0.2
    np.testing.assert_allclose(predicted[signal], measured[signal], atol=0.12)
    assert np.abs(made.halves[0]).sum() > 0
    assert not np.array_equal(*made.halves)


def test_noise_alone_has_no_resolution(ribosome):
    for seed in range(3):
        images = MapImages(ribosome, random_particles(30, seed), Imaging(PIXEL_ANG, snr=0.0, n_tilts=21, seed=seed))
        made = reconstruct_at_poses(images)
        assert fsc_curve(*made.halves, PIXEL_ANG, soft_sphere(BOX_PX, 16)).resolution_ang() is None


def test_symmetry_adds_particles_and_leaves_the_map_symmetric():
    barrel = density_of(molecules.proteasome(), BOX_PX, PIXEL_ANG)
    images = MapImages(barrel, random_particles(8, seed=2), Imaging(PIXEL_ANG, snr=0.1, n_tilts=21))
    plain, symmetric = (reconstruct_at_poses(images, symmetry=group).volume for group in ("C1", "D7"))
    assert shell_sums(symmetric, barrel).fsc[3:10].mean() > shell_sums(plain, barrel).fsc[3:10].mean() + 0.05
    near = soft_sphere(BOX_PX, 14, 2) > 0
    centre = np.full(3, BOX_PX // 2)
    for operator in symmetry_operators("D7")[[1, 8, 12]]:
        turn_zyx = operator[::-1, ::-1]
        turned = affine_transform(symmetric, turn_zyx, centre - turn_zyx @ centre, order=3)
        assert np.corrcoef(turned[near], symmetric[near])[0, 1] > 0.97


def test_any_order_of_work_and_any_batch_gives_the_same_average(sixty):
    def backwards(function, batches):
        made = [function(batch) for batch in reversed(batches)]
        return reversed(made)

    one = reconstruct_at_poses(sixty)
    other = reconstruct_at_poses(sixty, map_batches=backwards)
    np.testing.assert_array_equal(one.volume, other.volume)
    # Other batches are other sums of float32: alike to its last digits.
    smaller = reconstruct_at_poses(sixty, batch=7)
    assert np.abs(smaller.volume - one.volume).max() < 1e-5 * np.abs(one.volume).max()


def test_two_processes_give_the_same_average_bit_for_bit(simulation):
    source = DatasetImages(simulation, Sampling(BOX_PX, PIXEL_ANG, 140.0))
    alone = reconstruct_at_poses(source, batch=4)
    with batch_pool(2) as map_batches:
        shared = reconstruct_at_poses(source, batch=4, map_batches=map_batches)
    np.testing.assert_array_equal(alone.volume, shared.volume)
    np.testing.assert_array_equal(alone.halves, shared.halves)


def test_memory_does_not_grow_with_the_number_of_particles(ribosome):
    def peak(count):
        images = MapImages(ribosome, random_particles(count), Imaging(PIXEL_ANG, n_tilts=5))
        tracemalloc.start()
        reconstruct_at_poses(images, batch=8)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(16)
    assert peak(128) < 1.05 * peak(32)


def test_weights_count_particles_as_often_as_they_say(ribosome):
    images = MapImages(ribosome, random_particles(12), Imaging(PIXEL_ANG, n_tilts=7))
    chosen = np.arange(12) < 6
    weighted = reconstruct_at_poses(images, weights=np.where(chosen, 3.0, 0.0))
    alone = reconstruct_at_poses(MapImages(ribosome, images.truth[:6], images.imaging))
    np.testing.assert_allclose(weighted.volume, alone.volume, atol=2e-5 * np.abs(alone.volume).max())


def test_halves_must_be_given(sixty):
    with pytest.raises(DataError, match="halves"):
        reconstruct_at_poses(sixty.at(sixty.truth.replace(half=np.zeros(60, int))))


def test_a_coarser_reach_gives_the_same_low_frequencies(sixty):
    whole = reconstruct_at_poses(sixty).volume
    cut = reconstruct_at_poses(sixty, grid=CubeGrid(BOX_PX, radius=10.0)).volume
    assert shell_sums(whole, cut).fsc[1:7].min() > 0.99


@pytest.mark.slow
def test_four_series_of_different_defocus_reach_the_end_of_their_pixels():
    series, alignments, ctfs, picked = {}, {}, {}, []
    for number, defocus_um in enumerate((2.2, 2.7, 3.2, 3.7)):
        params = SimulateParams(
            name=f"S{number}", size_px=480, pixel_ang=5.0, n_ribosomes=40, n_proteasomes=10, n_gold=4, n_vesicles=0,
            defocus_um=defocus_um, seed=30 + number,
        )  # fmt: skip
        made = simulate(params)
        series[params.name], alignments[params.name], ctfs[params.name] = made.series, made.alignment, made.ctf
        features = made.particles.features
        picked.append(made.particles[(features["species"] == "ribosome") & (features["in_field"] == 1)])
    particles = ParticleSet.joined(picked)
    halves = particles.replace(half=np.arange(len(particles)) % 2 + 1)
    dataset = Dataset(particles=halves, series=series, alignments=alignments, ctfs=ctfs)
    made = reconstruct_at_poses(DatasetImages(dataset, Sampling(64, 5.0, 140.0)))
    true, mask = density_of(molecules.ribosome(), 64, 5.0), soft_sphere(64, 28, 4)
    sums = shell_sums(made.volume * mask, true * mask)
    truth_ang = 5.0 / crossing(sums.fsc, sums.frequency_per_px, 0.5)
    halves_ang = fsc_curve(*made.halves, 5.0, mask).resolution_ang()
    # 160 particles: both 10.4 Å, Nyquist being 10.
    assert truth_ang < 11.0
    assert halves_ang == pytest.approx(truth_ang, rel=0.1)
