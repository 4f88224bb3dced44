import numba
import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_tomoflow.core.errors import ParamError
from napari_tomoflow.core.ops.geometry import rotation_x, rotation_z
from napari_tomoflow.core.report import silent
from napari_tomoflow.core.simulation import molecules
from napari_tomoflow.core.simulation.acquisition import acquire
from napari_tomoflow.core.simulation.deformation import bend
from napari_tomoflow.core.simulation.density import true_density
from napari_tomoflow.core.simulation.specimen import Population, grow, true_particles
from napari_tomoflow.core.stages.simulate import SimulateParams, simulate

SMALL = SimulateParams(size_px=96, pixel_ang=16.0, n_tilts=5, n_ribosomes=6, n_proteasomes=3, n_gold=5, n_vesicles=0)
BARE = SMALL.replace(n_ribosomes=0, n_proteasomes=0, n_gold=0)


@pytest.fixture(scope="module")
def small():
    return simulate(SMALL)


def cloud_distance(first, second):
    """Largest distance from a scatterer of one cloud to the nearest of the other."""
    return cKDTree(second).query(first)[0].max()


def test_the_proteasome_has_its_seven_fold_and_its_two_fold_axes():
    points = molecules.proteasome().points_ang_xyz
    assert cloud_distance(points @ rotation_z(360 / 7).T, points) < 1e-9
    assert cloud_distance(points @ rotation_x(180.0).T, points) < 1e-9
    assert cloud_distance(points @ rotation_z(30.0).T, points) > 5


@pytest.mark.parametrize("make", [molecules.ribosome, molecules.hook])
def test_a_molecule_differs_from_its_mirror_image(make):
    points = make().points_ang_xyz
    # In the frame of its principal axes an object can lie on its mirror image in four ways only.
    points = (points - points.mean(axis=0)) @ np.linalg.eigh(np.cov(points.T))[1]
    half_turns = [np.diag(signs) for signs in ([1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1])]
    distances = [cloud_distance(points * [1, 1, -1] @ turn, points) for turn in half_turns]
    # Twice the grid the molecules are filled on: more than two fillings of one shape differ by.
    assert min(distances) > 14


def test_the_proteasome_differs_from_its_mirror_image():
    points = molecules.proteasome().points_ang_xyz
    distances = [
        cloud_distance(points * [1, -1, 1] @ rotation_z(turn).T, points) for turn in np.arange(0, 360 / 7, 0.5)
    ]
    assert min(distances) > 7


@pytest.mark.parametrize("make", [molecules.ribosome, molecules.hook, molecules.proteasome])
def test_molecules_are_centred_on_their_mass_and_inside_their_radius(make):
    species = make()
    np.testing.assert_allclose(np.average(species.points_ang_xyz, axis=0, weights=species.weights), 0, atol=1e-9)
    assert np.linalg.norm(species.points_ang_xyz, axis=1).max() < species.radius_ang


def test_sizes_are_those_of_the_molecules_named():
    assert np.ptp(molecules.ribosome().points_ang_xyz, axis=0).max() == pytest.approx(270, abs=40)
    assert np.ptp(molecules.proteasome().points_ang_xyz, axis=0) == pytest.approx([115, 115, 150], abs=12)


def test_gold_is_round_and_its_centre_exact():
    bead = molecules.gold(100.0)
    assert np.abs(bead.points_ang_xyz.mean(axis=0)).max() < 1e-12
    spread = np.cov(bead.points_ang_xyz.T)
    # A solid ball of radius r has a variance of r² / 5 along every axis.
    np.testing.assert_allclose(spread, np.eye(3) * 50.0**2 / 5, atol=0.05 * 500)


def test_exposure_is_spread_out_from_the_lowest_tilt():
    order = acquire(SMALL.replace(n_tilts=7), np.random.default_rng(0)).order
    # Angles −60 to 60 by 20: 0, +20, −20, −40, +40, +60, −60.
    np.testing.assert_array_equal(order, [6, 3, 2, 0, 1, 4, 5])
    monotonic = acquire(SMALL.replace(scheme="monotonic"), np.random.default_rng(0)).order
    np.testing.assert_array_equal(monotonic, np.arange(5))


def test_the_series_carries_the_nominal_angles_and_the_truth_the_real_ones(small):
    np.testing.assert_array_equal(small.series.tilt_deg, [-60, -30, 0, 30, 60])
    error = small.alignment.tilt_deg - small.series.tilt_deg
    assert 0 < np.abs(error).max() < 0.5
    assert small.series.axis_deg == 85.0
    assert 0 < np.abs(small.alignment.axis_deg - 85).max() < 0.5
    np.testing.assert_array_equal(small.series.dose_before_e_ang2, 3.0 * small.series.order)


def test_shifts_reach_but_do_not_pass_the_largest_one(small):
    assert np.abs(small.alignment.shift_ang_yx).max() == pytest.approx(10.0 * 16.0)


def test_images_are_counts_that_fit_a_detector_file(small):
    assert small.series.images.dtype == np.int16
    assert small.series.images.min() >= 0
    assert simulate(BARE.replace(n_tilts=1, noise=False)).series.images.dtype == np.float32
    assert simulate(BARE.replace(n_tilts=1, mtf_at_nyquist=0.3)).series.images.dtype == np.float32


def test_the_same_seed_gives_the_same_bits_with_any_number_of_threads(small):
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    again = simulate(SMALL)
    numba.set_num_threads(before)
    np.testing.assert_array_equal(again.series.images, small.series.images)


def test_another_seed_gives_another_specimen(small):
    other = simulate(SMALL.replace(seed=2))
    assert not np.array_equal(other.series.images, small.series.images)
    assert not np.array_equal(other.particles.centers_ang_zyx, small.particles.centers_ang_zyx)


def test_the_field_holds_what_was_asked_for_and_the_ice_goes_on_beyond_it(small):
    species, in_field = small.particles.features["species"], small.particles.features["in_field"]
    for name, count in {"ribosome": 6, "proteasome": 3, "gold": 5}.items():
        assert np.sum(in_field[species == name]) == count
        assert np.sum(species == name) > 1.5 * count
    assert len(np.unique(small.particles.ids)) == len(small.particles)


def test_objects_keep_apart_and_stay_in_the_ice():
    params = SMALL.replace(n_vesicles=1, n_hooks=8)
    particles = true_particles(grow(params, np.random.default_rng(4)), params)
    solid = particles[particles.features["species"] != "vesicle"]
    centers, radii = solid.centers_ang_zyx, solid.features["radius_ang"]
    gaps = np.linalg.norm(centers[:, None] - centers, axis=2) - radii[:, None] - radii
    assert gaps[~np.eye(len(centers), dtype=bool)].min() > 0
    assert np.all(np.abs(centers[:, 0]) + radii <= 750 + 1e-6)


def test_too_much_for_the_ice_is_refused_with_the_number_that_fits():
    with pytest.raises(ParamError, match=r"holds only \d+ of 500 objects of the kind 'ribosome'"):
        simulate(SMALL.replace(n_ribosomes=500))


def test_angles_that_run_backwards_are_refused():
    with pytest.raises(ParamError, match="tilt_min_deg 60 is not below tilt_max_deg -60"):
        SMALL.replace(tilt_min_deg=60.0, tilt_max_deg=-60.0)


def test_more_faults_than_tilts_are_refused():
    with pytest.raises(ParamError, match="6 tilts are to be spoilt but there are only 5"):
        SMALL.replace(n_dead_tilts=2, n_swapped_tilts=2)


def test_the_true_density_is_dark_where_the_particles_are():
    simulation = simulate(SMALL.replace(n_tilts=1, density_voxel_ang=16.0))
    density = simulation.density
    assert density.volume.shape == (94, 96, 96)
    assert density.voxel_ang == 16.0
    assert density.volume.max() <= 0
    inside = simulation.particles[simulation.particles.features["in_field"] == 1]
    near = np.round(inside.centers_ang_zyx / 16.0).astype(int) + np.array(density.volume.shape) // 2
    around = [tuple(slice(max(i - 2, 0), i + 3) for i in centre) for centre in near]
    local = [density.volume[window].mean() for window in around]
    assert np.mean(local) < 20 * density.volume.mean()


@pytest.mark.parametrize("matter", [molecules.gold(200.0), molecules.hook()])
def test_an_object_has_its_mass_and_its_place_in_the_density(matter):
    center = np.array([[123.0, -204.0, 311.0]])
    population = Population(matter, center, np.array([[0.0, 0, 0, 1]]))
    volume = true_density([population], BARE, 10.0, silent).volume
    assert -volume.sum(dtype=np.float64) * 10.0**3 == pytest.approx(matter.weights.sum(), rel=1e-4)
    grid = np.indices(volume.shape) - np.array(volume.shape).reshape(3, 1, 1, 1) // 2
    position = (volume * grid).sum(axis=(1, 2, 3)) / volume.sum()
    np.testing.assert_allclose(position, center[0] / 10.0, atol=0.01)


def test_a_dead_tilt_is_dark_and_left_out_of_the_truth():
    simulation = simulate(SMALL.replace(n_dead_tilts=1))
    (dead,) = simulation.quality["faults"]["dead"]
    means = simulation.series.images.mean(axis=(1, 2))
    assert means[dead] < 0.1 * np.median(means)
    np.testing.assert_array_equal(np.flatnonzero(~simulation.alignment.kept), [dead])
    assert simulation.series.kept.all(), "nobody told the microscope"


def test_swapped_images_carry_each_others_angle_while_the_truth_follows_the_image():
    simulation = simulate(SMALL.replace(n_swapped_tilts=1))
    ((first, second),) = simulation.quality["faults"]["swapped"]
    nominal = np.array([-60.0, -30, 0, 30, 60])
    assert simulation.series.tilt_deg[first] == nominal[second]
    assert simulation.series.tilt_deg[second] == nominal[first]
    np.testing.assert_allclose(simulation.alignment.tilt_deg, nominal, atol=0.6)


def test_a_grid_bar_darkens_one_side_of_the_highest_tilts():
    simulation = simulate(BARE.replace(n_shadowed_tilts=1))
    (shadowed,) = simulation.quality["faults"]["shadowed"]
    assert shadowed in (0, 4)
    image = simulation.series.images[shadowed].astype(float)
    assert image[:, :20].mean() < 0.1 * image[:, 40:].mean()


def test_deformation_starts_at_nothing_and_ends_at_the_amplitude_asked_for():
    field = bend(12.0, 4000.0, 1500.0, 120.0, np.random.default_rng(2))
    points = np.random.default_rng(3).uniform(-0.5, 0.5, (4000, 3)) * [1500, 4000, 4000]
    assert not field.displacement(points, 0.0).any()
    moved = field.displacement(points, 120.0)
    assert np.sqrt(np.mean(np.sum(moved**2, axis=1))) == pytest.approx(12.0, rel=0.1)
    # Nothing in it that a global alignment could absorb.
    design = np.column_stack([np.ones(len(points)), points])
    absorbed = design @ np.linalg.lstsq(design, moved, rcond=None)[0]
    assert np.sqrt(np.mean(np.sum(absorbed**2, axis=1))) < 1.0


def test_deformation_moves_the_images_and_is_kept_with_the_truth():
    simulation = simulate(SMALL.replace(n_tilts=1, deformation_ang=40.0, noise=False))
    still = simulate(SMALL.replace(n_tilts=1, noise=False))
    assert still.quality["deformation"] is None
    assert set(simulation.quality["deformation"]) >= {"waves_inv_ang_zyx", "amplitudes_ang_zyx", "affine_zyx"}
    assert not np.array_equal(simulation.series.images, still.series.images)
