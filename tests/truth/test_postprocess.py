"""What finishing a map says, held against how the map was made."""

import time

import numpy as np
import pytest

from half_maps import atoms, halves_of_two_resolutions, of_halves, shaped, with_noise, without_wedge
from napari_tomoflow.core.averaging.fsc_curve import fsc_curve
from napari_tomoflow.core.matching.atoms import density_of_atoms
from napari_tomoflow.core.model import Curve
from napari_tomoflow.core.ops.fsc import shell_sums
from napari_tomoflow.core.ops.masks import mask_of_map, soft_sphere
from napari_tomoflow.core.stages.postprocess import PostprocessParams, postprocess

BOX = 96
NOT_LOCAL = PostprocessParams(local_resolution=False)


def fall_ang2(volume, voxel_ang, first_inv_ang, last_inv_ang):
    """Fit the B factor of a map between two frequencies."""
    sums = shell_sums(volume, volume)
    k = sums.frequency_per_px / voxel_ang
    within = (k > first_inv_ang) & (k < last_inv_ang)
    return -4 * np.polyfit(k[within] ** 2, np.log(sums.aa / sums.count)[within] / 2, 1)[0]


@pytest.mark.parametrize(
    ("fine_ang", "coarse_ang", "sharp"), [(8.0, 16.0, False), (10.0, 14.0, False), (8.0, 16.0, True)]
)
def test_two_resolutions_in_one_map_are_both_found(fine_ang, coarse_ang, sharp):
    voxel_ang = 3.0
    halves = halves_of_two_resolutions(BOX, voxel_ang, fine_ang, coarse_ang, np.random.default_rng(2), sharp=sharp)
    found = postprocess(of_halves(halves, voxel_ang)).local_resolution_ang
    middle = slice(30, 66)  # a window's width, nine to twelve voxels, off the surface and the border between the two
    assert np.median(found[middle, middle, 22:36]) == pytest.approx(fine_ang, rel=0.15)
    assert np.median(found[middle, middle, 60:74]) == pytest.approx(coarse_ang, rel=0.15)


@pytest.mark.parametrize("edge_px", [1.0, 6.0, 12.0])
def test_masked_noise_agrees_on_nothing(edge_px):
    rng = np.random.default_rng(5)
    mask = mask_of_map(atoms(BOX, 3.0, 400.0, rng), 3.0, edge_px=edge_px)
    for seed in range(4):
        curve = fsc_curve(*with_noise(np.zeros((BOX,) * 3, np.float32), 1.0, rng), 3.0, mask, seed)
        assert curve.resolution_ang() is None
        # Chance alone is 0.05 in the last shells and 0.2 in the tenth: only their mean can be told from 0.
        beyond = slice(5, None)
        mean = np.average(curve.corrected[beyond], weights=curve.coefficients[beyond])
        assert abs(mean) < 0.05


@pytest.mark.parametrize(("b_factor_ang2", "noise"), [(80.0, 0.01), (200.0, 0.003), (500.0, 0.01)])
def test_a_known_blur_is_found_and_undone(b_factor_ang2, noise):
    rng = np.random.default_rng(3)
    signal = atoms(BOX, 1.5, b_factor_ang2, rng)
    finished = postprocess(of_halves(with_noise(signal, noise, rng), 1.5), params=NOT_LOCAL)
    assert finished.quality["sharpening"] == "fitted B factor"
    assert finished.quality["b_factor_ang2"] == pytest.approx(b_factor_ang2, rel=0.1)
    assert abs(fall_ang2(finished.masked, 1.5, 0.1, 1 / (1.1 * finished.quality["resolution_ang"]))) < 25.0


def test_a_map_is_given_the_intensities_of_a_structure_factor():
    rng = np.random.default_rng(4)
    signal = atoms(BOX, 1.5, 200.0, rng)
    k = np.linspace(0.0, 0.4, 50)
    target = Curve(name="target", frequency=k, value=np.exp(-100.0 / 2 * k**2))
    finished = postprocess(of_halves(with_noise(signal, 0.003, rng), 1.5), structure_factor=target, params=NOT_LOCAL)
    assert fall_ang2(finished.masked, 1.5, 0.1, 0.2) == pytest.approx(100.0, abs=20.0)


def test_the_mtf_of_the_detector_is_no_part_of_the_blur():
    rng = np.random.default_rng(4)
    transfer = Curve(name="mtf", frequency=np.array([0.0, 0.5]), value=np.array([1.0, 0.3]))
    halves = with_noise(atoms(BOX, 1.5, 150.0, rng), 0.003, rng)
    worse = [shaped(half, lambda f: transfer.at(np.minimum(f, 0.5))) for half in halves]
    plain, seen, undone = (
        postprocess(of_halves(pair, 1.5), mtf=mtf, params=NOT_LOCAL).quality["b_factor_ang2"]
        for pair, mtf in ((halves, None), (worse, None), (worse, transfer))
    )
    assert seen > plain + 10.0
    assert undone == pytest.approx(plain, abs=3.0)


def test_a_model_gives_the_map_its_amplitudes_around_each_voxel():
    rng = np.random.default_rng(6)
    truth = atoms(BOX, 2.0, 60.0, rng)
    low = (np.arange(BOX) < BOX // 2).astype(np.float32)
    blurred = truth * low + shaped(truth, lambda f: np.exp(-400 / 4 * (f / 2.0) ** 2)) * (1 - low)
    density = of_halves(with_noise(blurred, 0.002, rng), 2.0)
    plain = postprocess(density, params=NOT_LOCAL).volume
    scaled = postprocess(density, model=density.replace(volume=truth, halves=None), params=NOT_LOCAL)
    assert scaled.quality["sharpening"] == "model"

    def detail_ratio(volume):
        """Compare the strength of fine detail in the blurred half with that in the sharp one."""
        fine = shaped(volume, lambda f: (f > 0.22) & (f < 0.28)) * soft_sphere(BOX, 24)
        return fine[:, :, 56:].std() / fine[:, :, :40].std()

    true = detail_ratio(truth)
    assert detail_ratio(plain) < 0.75 * true
    assert detail_ratio(scaled.volume) == pytest.approx(true, rel=0.15)


def test_atoms_are_a_model_where_their_coordinates_say():
    rng = np.random.default_rng(8)
    places_ang_xyz = rng.normal(size=(600, 3)) * 18.0 + [12.0, -6.0, 20.0]
    points = np.zeros((BOX,) * 3, np.float32)
    np.add.at(points, tuple(np.rint(places_ang_xyz[:, ::-1] / 2.0).astype(int).T + BOX // 2), 1.0)
    density = of_halves(with_noise(shaped(points, lambda f: np.exp(-300 / 4 * (f / 2.0) ** 2)), 0.001, rng), 2.0)
    model = density_of_atoms("atoms", places_ang_xyz, np.ones(600))
    scaled = postprocess(density, model=model, params=PostprocessParams(local_resolution=False, lowpass_ang=7.0))
    sharp, found = (shaped(volume, lambda f: f < 2.0 / 9.0) for volume in (points, scaled.volume))
    assert np.corrcoef(sharp.ravel(), found.ravel())[0, 1] > 0.95
    assert abs(fall_ang2(found, 2.0, 1 / 20, 1 / 10) - fall_ang2(sharp, 2.0, 1 / 20, 1 / 10)) < 15.0


def test_a_missing_wedge_is_seen_along_its_direction():
    rng = np.random.default_rng(7)
    halves = with_noise(atoms(BOX, 2.0, 200.0, rng), 0.01, rng)
    whole, tilted = (
        postprocess(of_halves(pair, 2.0), params=NOT_LOCAL).quality["directional"]
        for pair in (halves, [without_wedge(half, 30.0) + 0.01 * rng.normal(size=half.shape) for half in halves])
    )
    assert whole["sphericity"] > 0.97
    assert tilted["sphericity"] < whole["sphericity"] - 0.02
    x, y, z = np.abs(np.array(tilted["directions_xyz"])).T
    found = np.array(tilted["directions_resolution_ang"])
    assert found[z > 0.98].min() > 1.5 * np.median(found[x > 0.8])
    assert np.median(found[y > 0.8]) < 1.5 * np.median(found[x > 0.8])


def test_a_box_of_96_takes_seconds():
    halves = halves_of_two_resolutions(BOX, 3.0, 8.0, 16.0, np.random.default_rng(1), sharp=False)
    begun_s = time.process_time()
    postprocess(of_halves(halves, 3.0))
    assert time.process_time() - begun_s < 60.0
