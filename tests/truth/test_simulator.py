"""The simulator against formulas written down here a second time: all later truth tests rest on it."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.model import Alignment, CtfSeries, Optics
from napari_tomoflow.core.ops import ctf
from napari_tomoflow.core.report import silent
from napari_tomoflow.core.simulation import molecules
from napari_tomoflow.core.simulation.acquisition import Acquisition
from napari_tomoflow.core.simulation.exposure import Scene
from napari_tomoflow.core.simulation.faults import Faults
from napari_tomoflow.core.simulation.imaging import Camera
from napari_tomoflow.core.simulation.params import SimulateParams
from napari_tomoflow.core.simulation.specimen import Population
from napari_tomoflow.core.simulation.view import look
from napari_tomoflow.core.stages.simulate import simulate

EMPTY = {"n_ribosomes": 0, "n_proteasomes": 0, "n_gold": 0, "n_vesicles": 0}


def scene_of(species, centers_zyx, alignment, poses=None, lenses=None, **params):
    """A scene of chosen objects under a chosen geometry."""
    params = SimulateParams(**{"size_px": 128, "pixel_ang": 5.0, "noise": False, "damage": "none"} | params)
    n = alignment.n_tilts
    optics = Optics(params.voltage_kv, params.cs_mm, params.amplitude_contrast)
    flat = CtfSeries(optics=optics, defocus_u_ang=np.full(n, 30500.0), defocus_v_ang=np.full(n, 29500.0), hand=1)
    lenses = lenses or flat
    centers = np.atleast_2d(np.asarray(centers_zyx, float))
    quaternions = np.tile([0.0, 0, 0, 1], (len(centers), 1)) if poses is None else poses.as_quat().reshape(-1, 4)
    return Scene(
        params=params,
        acquisition=Acquisition(alignment.tilt_deg, np.arange(n), alignment, lenses),
        populations=[Population(species, centers, quaternions)],
        deformation=None,
        faults=Faults(),
        camera=Camera(params.size_px, params.pixel_ang, lenses),
    )


def centre_error_px(image, expected_px_yx):
    """How far the centre of a point-symmetric image is from where it is expected.

    The transform of such an image is real but for the phase of its position, so its square has twice
    that phase whatever the sign of the CTF.
    """
    contrast = image / np.median(image) - 1
    ky, kx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])[None]
    square = np.fft.fft2(contrast) ** 2 * np.exp(4j * np.pi * (ky * expected_px_yx[0] + kx * expected_px_yx[1]))
    keep = np.broadcast_to(np.hypot(ky, kx) < 0.2, square.shape)
    weight = np.abs(square[keep])
    design = -4 * np.pi * np.stack([np.broadcast_to(k, keep.shape)[keep] for k in (ky, kx)], 1)
    normal = design.T @ (design * weight[:, None])
    return np.linalg.solve(normal, design.T @ (weight * np.angle(square[keep])))


@pytest.mark.parametrize("seed", range(6))
def test_a_bead_lands_where_the_geometry_says_to_a_thousandth_of_a_pixel(seed):
    rng = np.random.default_rng(seed)
    tilts = np.array([-60.0, -20.0, 0.0, 35.0, 60.0])
    alignment = Alignment(
        tilt_deg=tilts + rng.normal(0, 0.3, 5), axis_deg=rng.uniform(-180, 180), xtilt_deg=rng.normal(0, 2, 5),
        shift_ang_yx=rng.uniform(-60, 60, (5, 2)),
    )  # fmt: skip
    bead = rng.uniform(-1, 1, 3) * [80, 80, 80]
    scene = scene_of(molecules.gold(100.0), bead, alignment)
    x, y, z = bead[::-1]
    for tilt in range(5):
        # The convention of the design, written out once more with nothing of the project's geometry.
        turn = Rotation.from_euler(
            "ZYX", [alignment.axis_deg[tilt], alignment.tilt_deg[tilt], alignment.xtilt_deg[tilt]], degrees=True
        )
        q = turn.apply([x, y, z])
        expected = (np.array([q[1], q[0]]) + alignment.shift_ang_yx[tilt]) / 5.0 + 64
        error = centre_error_px(scene.expected(tilt, silent), expected)
        assert np.abs(error).max() < 0.001


def test_every_bead_of_a_whole_simulation_is_dark_where_the_truth_says():
    simulation = simulate(
        SimulateParams(
            size_px=192, pixel_ang=10.0, n_tilts=7, specimen_tilt_deg=8.0, specimen_xtilt_deg=-4.0, noise=False,
            **EMPTY | {"n_gold": 10}, tilt_error_deg=0.5, axis_jitter_deg=0.5,
        )
    )  # fmt: skip
    series, beads = simulation.series, simulation.particles.centers_ang_zyx
    positions = simulation.alignment.project(beads)[0] / series.pixel_ang + 96
    checked = 0
    for image, mine in zip(series.images, positions, strict=True):
        for y, x in np.round(mine).astype(int):
            if 2 <= y < 190 and 2 <= x < 190:
                assert image[y, x] < 0.75 * np.median(image)
                checked += 1
    assert checked > 7 * 10


def thin_layer(height_ang, hand, rng, tilt_deg=0.0):
    """Small molecules all at one height, seen without noise."""
    lenses = CtfSeries(optics=Optics(), defocus_u_ang=np.array([25000.0]), defocus_v_ang=np.array([25000.0]), hand=hand)
    centers = np.column_stack([np.full(150, height_ang), rng.uniform(-600, 600, (150, 2))])
    alignment = Alignment(tilt_deg=np.array([tilt_deg]), axis_deg=0.0)
    poses = Rotation.from_quat(rng.normal(size=(150, 4)))
    return scene_of(molecules.hook(), centers, alignment, poses, lenses, size_px=256, pixel_ang=4.0)


def fitted_defocus(image, plain, pixel_ang):
    """Defocus whose CTF² explains best how much of the power without lenses is left with them."""
    shells = np.round(np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256))) * 256).astype(int).ravel()
    # A window hides that the image is cut out of a larger one.
    window = np.outer(np.hanning(256), np.hanning(256))
    with_lenses, without = (
        np.bincount(shells, (np.abs(np.fft.fft2((i - i.mean()) * window)) ** 2).ravel())[:110] for i in (image, plain)
    )
    k = np.arange(110) / (256 * pixel_ang)
    trials = np.arange(18000.0, 32000.0, 25.0)
    measured = (with_lenses / without)[8:]
    scores = [np.corrcoef(measured, ctf.ctf_1d(k[8:], trial, Optics()) ** 2)[0, 1] for trial in trials]
    return trials[int(np.argmax(scores))], max(scores)


@pytest.mark.parametrize("hand", [-1, 1])
@pytest.mark.parametrize("height_ang", [-1500.0, 0.0, 1000.0])
def test_thon_rings_lie_where_the_defocus_at_that_height_puts_them(height_ang, hand):
    scene = thin_layer(height_ang, hand, np.random.default_rng(5))
    camera = scene.camera
    view = look(scene.populations, "soft", scene.acquisition.alignment.image_from_sample()[0], np.full(3, np.inf))
    plain = camera.image(camera.phase_rft(view, lambda height: np.ones_like(camera.k_inv_ang, np.float32)))
    defocus, score = fitted_defocus(scene.expected(0, silent), plain, 4.0)
    assert defocus == pytest.approx(25000.0 + hand * height_ang, abs=60.0)
    assert score > 0.98


def test_matter_is_dark_and_contrast_is_twice_the_filtered_phase():
    scene = thin_layer(0.0, 1, np.random.default_rng(6))
    image = scene.expected(0, silent)
    camera = scene.camera
    view = look(scene.populations, "soft", scene.acquisition.alignment.image_from_sample()[0], np.full(3, np.inf))
    phase = camera.image(camera.phase_rft(view, camera.transfer(0, "soft")))
    np.testing.assert_allclose(image / (3.0 * 16.0 * np.exp(-0.5)), 1 - 2 * phase, atol=1e-5)
    assert np.corrcoef(image.ravel(), phase.ravel())[0, 1] < -0.999


@pytest.mark.parametrize("pixel_ang", [2.0, 5.0])
def test_layers_are_thin_enough_for_the_ctf_of_each_height(pixel_ang):
    rng = np.random.default_rng(7)
    field = 128 * pixel_ang
    centers = rng.uniform(-0.5, 0.5, (40, 3)) * [3000.0, field, field]
    alignment = Alignment(tilt_deg=np.array([40.0]), axis_deg=85.0)
    poses = Rotation.from_quat(rng.normal(size=(40, 4)))
    scene = scene_of(molecules.hook(), centers, alignment, poses, pixel_ang=pixel_ang)
    coarse = scene.expected(0, silent)
    scene.camera._layer_ang /= 16
    fine = scene.expected(0, silent)
    # The bound is 3 % of the amplitude at Nyquist; most of the power lies far below.
    assert np.std(coarse - fine) < 0.01 * np.std(fine)


def test_a_molecule_is_seen_in_the_pose_of_the_convention_and_in_no_other():
    rng = np.random.default_rng(8)
    pose = Rotation.from_quat(rng.normal(size=4))
    alignment = Alignment(tilt_deg=np.array([35.0]), axis_deg=20.0)
    ribosome = molecules.ribosome()
    scene = scene_of(ribosome, np.zeros(3), alignment, pose, size_px=96)
    camera = scene.camera
    view = look(scene.populations, "soft", alignment.image_from_sample()[0], np.full(3, np.inf))
    seen = camera.image(camera.phase_rft(view, lambda height: np.ones_like(camera.k_inv_ang, np.float32)))

    tilt = Rotation.from_euler("ZYX", [20.0, 35.0, 0.0], degrees=True).as_matrix()
    mirror = np.diag([1.0, 1.0, -1.0])
    guesses = {
        "x_tomo = A x_ref": tilt @ pose.as_matrix(),
        "transposed": tilt @ pose.as_matrix().T,
        "mirrored": tilt @ pose.as_matrix() @ mirror,
        "tilted the other way": tilt.T @ pose.as_matrix(),
    }
    scores = {
        name: np.corrcoef(structure(seen).ravel(), structure(drawn(ribosome, turn)).ravel())[0, 1]
        for name, turn in guesses.items()
    }
    right = scores.pop("x_tomo = A x_ref")
    assert right > 0.99
    assert max(scores.values()) < 0.7


def drawn(species, turn, size=96, pixel_ang=5.0):
    """Histogram the scatterers of one molecule as seen along z."""
    x, y, _ = turn @ species.points_ang_xyz.T / pixel_ang + size // 2
    edges = np.arange(size + 1) - 0.5
    return np.histogram2d(y, x, bins=[edges, edges], weights=species.weights)[0]


def structure(image):
    """Keep what is finer than the outline and coarser than the boxes of a histogram."""
    k2 = np.fft.fftfreq(len(image))[:, None] ** 2 + np.fft.fftfreq(len(image)) ** 2
    fine, coarse = (np.exp(-2 * (np.pi * sigma_px) ** 2 * k2) for sigma_px in (1.2, 5.0))
    return np.fft.ifft2(np.fft.fft2(image) * (fine - coarse)).real


def test_counts_vary_as_much_as_their_mean():
    simulation = simulate(SimulateParams(size_px=512, pixel_ang=2.0, n_tilts=3, **EMPTY))
    for image in simulation.series.images:
        # 262 144 pixels: the variance is known to 0.3 %.
        assert image.var() == pytest.approx(image.mean(), rel=0.02)


def test_ice_absorbs_along_the_beam():
    simulation = simulate(
        SimulateParams(size_px=64, pixel_ang=4.0, n_tilts=3, noise=False, tilt_error_deg=0, thickness_nm=200, **EMPTY)
    )
    expected = 3.0 * 16.0 * np.exp(-(200 / 300) / np.cos(np.deg2rad([60.0, 0.0, 60.0])))
    np.testing.assert_allclose([image.mean() for image in simulation.series.images], expected, rtol=1e-5)


@pytest.mark.parametrize("damage", ["grant-grigorieff", "b-factor"])
def test_detail_fades_with_exposure_as_the_formula_says(damage):
    # The same view twice, first and last of a long exposure.
    alignment = Alignment(tilt_deg=np.zeros(21), axis_deg=0.0)
    rng = np.random.default_rng(9)
    poses = Rotation.from_quat(rng.normal(size=(60, 4)))
    centers = np.column_stack([np.zeros(60), rng.uniform(-250, 250, (60, 2))])
    scene = scene_of(molecules.hook(), centers, alignment, poses, damage=damage, pixel_ang=4.0)
    # 60 molecules lie inside the field with their fringes, so the image is periodic but for little.
    first, last = (np.fft.rfft2(scene.expected(tilt, silent)) for tilt in (0, 20))
    k = np.hypot(*ctf.rfft_frequencies((128, 128), 4.0))
    for inner in (1 / 40, 1 / 20, 1 / 12):
        shell = (k > inner) & (k < 1.1 * inner)
        gain = np.sum((last * first.conj()).real[shell]) / np.sum(np.abs(first[shell]) ** 2)
        doses = (20.5 * 3.0, 0.5 * 3.0)
        expected = np.divide(*(ctf.dose_envelope(1.05 * inner, dose, 300.0, damage) for dose in doses))
        assert gain == pytest.approx(expected, rel=0.08)
