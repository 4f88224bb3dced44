"""Agreement maps of images whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.ops.resample import spline_transfer
from napari_tomoflow.core.polishing.correlation import Window, agreement_maps, references_of, spline_weights
from napari_tomoflow.core.simulation.molecules import ribosome
from truth.particle_images import Imaging, MapImages, density_of, random_particles

BOX_PX, PIXEL_ANG, RADIUS = 32, 12.0, 10.0


@pytest.fixture(scope="module")
def source():
    imaging = Imaging(pixel_ang=PIXEL_ANG, n_tilts=9, snr=2.0)
    return MapImages(density_of(ribosome(), BOX_PX, PIXEL_ANG), random_particles(6), imaging)


def true_references(source):
    """The map as strong as it is in the images."""
    probe = source.images(np.arange(1))
    axes = probe.axes(source.truth.matrices[:1])
    grid = CubeGrid(BOX_PX)
    strength = source._amplitude(grid.extract(grid.cube_of(source.volume), axes))
    return references_of([source.volume * strength] * 2, RADIUS)


def maps_of(source, reach_ang=40.0):
    window = Window(BOX_PX * PIXEL_ANG, RADIUS, reach_ang)
    return agreement_maps(source, np.arange(6), true_references(source), window)


def test_the_peak_is_where_the_particle_is_seen(source):
    off_zyx = np.array([0.0, 9.0, -14.0])
    off = source.at(source.truth.replace(centers_ang_zyx=source.truth.centers_ang_zyx - off_zyx))
    expected = np.einsum("tca,a->tc", source.rotations[:, 1::-1], off_zyx[::-1])
    maps = maps_of(off)
    here = np.tile(expected[..., None], (1, 1, 6))
    at_truth = maps.read(here)[0].sum()
    for away in ((12.0, 0.0), (-12.0, 0.0), (0.0, 12.0), (0.0, -12.0)):
        assert maps.read(here + np.array(away)[:, None])[0].sum() < 0.95 * at_truth
    assert maps.read(np.zeros_like(here))[0].sum() < 0.95 * at_truth


def test_values_are_log_likelihoods(source):
    # Where the map is that of the particle, Σ Re D* S over all frequencies is about Σ P |S|².
    maps, reference = maps_of(source), true_references(source)[0]
    images = source.images(np.arange(6))
    slices = reference.grid.extract(reference.cube_rft, images.axes(source.truth.matrices))
    v, u = np.meshgrid(np.fft.fftfreq(BOX_PX) * BOX_PX, np.arange(BOX_PX // 2 + 1), indexing="ij")
    compared = (np.hypot(u, v) < RADIUS) & (np.hypot(u, v) > 0)
    # All columns but the first stand for their opposites, too.
    power = images.power * np.abs(slices) ** 2 * compared * np.where(u > 0, 2.0, 1.0)
    agreement = maps.read(np.zeros((9, 2, 6)))[0].sum(axis=0)
    spread = np.sqrt(2 * power.sum(axis=(1, 2, 3)))
    assert np.abs((agreement - power.sum(axis=(1, 2, 3))) / spread).max() < 3.0
    assert agreement.mean() == pytest.approx(power.sum() / 6, rel=0.1)


def test_curvatures_are_those_of_the_peaks(source):
    maps = maps_of(source)
    step = 1.0
    here = maps.read(np.zeros((9, 2, 6)))[0].mean(axis=1)
    moved = [maps.read(np.tile(np.array(way)[:, None], (9, 1, 6)))[0].mean(axis=1) for way in _ways(step)]
    np.testing.assert_allclose(maps.curvatures(), (4 * here - sum(moved)) / (2 * step**2), rtol=0.5)


def _ways(step):
    return ((step, 0.0), (-step, 0.0), (0.0, step), (0.0, -step))


def test_any_batches_give_the_same(source):
    one = maps_of(source)
    other = maps_of(replace(source, moved=source.truth.replace(half=np.array([2, 1, 2, 1, 2, 1]))))
    np.testing.assert_allclose(one.splines, other.splines, atol=1e-4 * np.abs(one.splines).max())


@pytest.mark.parametrize("reach_ang", [20.0, 1e4])
def test_weights_are_those_of_a_transform_of_the_whole_grid(reach_ang):
    window, rng = Window(width_ang=400.0, radius=7.4, reach_ang=reach_ang), np.random.default_rng(3)
    m, reach = window.grid_px, 8
    v = np.rint(np.fft.fftfreq(2 * reach) * 2 * reach).astype(int)
    products_rft = np.zeros((2, 2 * reach, reach + 1), np.complex64)
    within = np.hypot(v[:, None], np.arange(reach + 1)) < window.radius
    products_rft[:, within] = rng.normal(size=(2, within.sum(), 2)).astype(np.float32).view(np.complex64)[..., 0]
    whole_rft = np.zeros((2, m, m // 2 + 1), np.complex64)
    whole_rft[:, v, : reach + 1] = products_rft
    expected = np.fft.irfft2(whole_rft * spline_transfer((m, m)), s=(m, m), norm="forward")
    rows = np.arange(-(window.places // 2), window.places // 2 + 1) % m
    expected = expected[:, rows[:, None], rows]
    np.testing.assert_allclose(spline_weights(products_rft, window), expected, atol=1e-5 * np.abs(expected).max())


def test_a_window_holds_its_reach_and_tells_its_size():
    window = Window(width_ang=400.0, radius=20.0, reach_ang=30.0)
    assert window.places // 2 * window.step_ang >= 30.0
    assert window.size_bytes(10, 3) == 4 * 30 * window.places**2
    assert Window(100.0, 4.0, 1e4).places < Window(100.0, 4.0, 1e4).grid_px
