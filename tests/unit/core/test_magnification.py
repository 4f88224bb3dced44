"""Images that a microscope stretches: where things are seen, at which frequencies, and through which fringes."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.images import shift_phases
from napari_tomoflow.core.averaging.sampling import Response
from napari_tomoflow.core.averaging.search import lattice_within
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.kernels import slices
from napari_tomoflow.core.model import CtfSeries, Optics
from napari_tomoflow.core.model.optics import MOST_STRETCH
from napari_tomoflow.core.ops.ctf import ctf_2d, gamma_2d_rad, rfft_frequencies
from napari_tomoflow.core.ops.geometry import tilt_rotations

SKEWED = Optics(magnification=((1.01, 0.012), (-0.004, 0.99)))
STRETCHED = Optics(magnification=((1.01, 0.005), (0.005, 0.985)))


def test_a_wave_in_an_image_is_one_of_another_frequency_in_what_is_imaged():
    place = np.array([120.0, -70.0])
    wave = np.array([0.03, 0.05])
    seen_at = (SKEWED.stretch @ [*place, 5.0])[:2]
    true_y, true_x = SKEWED.true_frequencies((wave[1], wave[0]))
    assert wave @ seen_at == pytest.approx(true_x * place[0] + true_y * place[1], rel=1e-12)


def test_relion_multiplies_frequencies_by_the_matrix_as_it_is_written():
    y, x = SKEWED.true_frequencies((0.05, 0.03))
    np.testing.assert_allclose([x, y], np.array(SKEWED.magnification) @ [0.03, 0.05], rtol=1e-12)


def test_slices_show_a_point_where_the_stretched_specimen_has_it():
    n, at = 32, np.array([-7, 6, 5])
    density = np.zeros((n, n, n), np.float32)
    density[tuple(at[::-1] + n // 2)] = 1.0
    rotation = STRETCHED.stretch @ tilt_rotations(85.0, 30.0)
    grid = CubeGrid(n, padding=4.0, radius=10.0)
    seen = grid.extract(grid.cube_of(density), np.ascontiguousarray(rotation[None, :2], np.float32))[0]
    expected = shift_phases(n, (rotation @ at)[None, 1::-1])[0] / n
    inside = np.abs(seen) > 0
    assert np.abs(seen - expected)[inside].max() < 0.03 / n


@pytest.mark.parametrize("n", [16, 64, 150])
def test_the_most_stretched_slice_finds_all_its_cells(n):
    grid = CubeGrid(n, 1.5)
    largest = MOST_STRETCH * np.eye(2, 3, dtype=np.float32)[None]
    axes = np.concatenate([largest, np.roll(largest, 1, axis=2), np.roll(largest, 2, axis=2)])
    cube = np.zeros((*grid.shape, 4), np.float32)
    slices_rft = np.ones((3, n, n // 2 + 1), np.complex64)
    ones = np.ones(3, np.float32)
    slices.insert_slices(cube, slices_rft, slices_rft.real.copy(), ones, axes, grid.scale, grid.reach, 1)
    samples = np.hypot(*np.meshgrid(np.fft.fftfreq(n) * n, np.arange(n // 2 + 1), indexing="ij")) < grid.reach
    samples[n // 2 :, 0] = False
    samples[0, 0] = False
    assert cube[..., 2].sum() == pytest.approx(3 * (samples.sum() + 0.5), rel=1e-5)
    assert MOST_STRETCH * grid.reach * grid.scale < grid.half


def test_lattices_have_room_for_the_most_stretched_samples():
    for radius in (3.0, 8.5, 60.0):
        _, numbers = lattice_within(radius)
        assert np.floor(MOST_STRETCH * radius) + 1 < numbers.shape[2]


def test_fringes_are_round_in_the_specimen_and_not_in_the_image():
    optics = replace(STRETCHED, cs_mm=0.0)
    k_yx = rfft_frequencies((64, 64), 3.0)
    response = Response(64, 3.0, optics, "none")
    expected = ctf_2d(k_yx, 2.1e4, 1.9e4, 25.0, optics)
    np.testing.assert_allclose(response.ctf(2.1e4, 1.9e4, 25.0, 0.0), expected, atol=1e-3)
    true = optics.true_frequencies(k_yx)
    np.testing.assert_array_equal(
        gamma_2d_rad(true, 2e4, 2e4, 0.0, Optics(cs_mm=0.0)), gamma_2d_rad(k_yx, 2e4, 2e4, 0.0, optics)
    )


@pytest.mark.parametrize("known", [Optics(cs_mm=0.0), replace(SKEWED, cs_mm=0.0)])
def test_what_is_believed_of_the_magnification_moves_no_fringe(known):
    ctf = CtfSeries(
        optics=known,
        defocus_u_ang=np.array([2.1e4, 3e4]),
        defocus_v_ang=np.array([1.9e4, 3e4]),
        azimuth_deg=np.array([25.0, 0.0]),
    )
    k_yx = rfft_frequencies((64, 64), 3.0)
    other = ctf.magnified(STRETCHED.magnification)
    assert other.optics.magnification == STRETCHED.magnification
    assert (other.defocus_u_ang >= other.defocus_v_ang).all()
    for tilt in range(2):
        before, after = (
            gamma_2d_rad(k_yx, one.defocus_u_ang[tilt], one.defocus_v_ang[tilt], one.azimuth_deg[tilt], one.optics)
            for one in (ctf, other)
        )
        np.testing.assert_allclose(after, before, atol=1e-8)


@pytest.mark.parametrize("matrix", [((1.2, 0.0), (0.0, 1.0)), ((1.0, 0.0), (0.0, 0.9)), ((np.nan, 0.0), (0.0, 1.0))])
def test_a_magnification_that_is_no_small_change_is_refused(matrix):
    with pytest.raises(DataError, match=r"The magnification cannot be .*; give a matrix that changes lengths by 3% at"):
        Optics(magnification=matrix)
