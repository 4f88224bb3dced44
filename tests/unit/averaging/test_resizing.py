"""Maps on other grids: the same slices, the same places, nothing but what was there."""

import numpy as np
import pytest

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.resizing import band_pass, fitted, low_pass, resized, shell_filtered
from napari_tomoflow.core.model import DensityMap


def blobs(n, voxel_ang=1.0):
    """Two Gaussians, off the centre, in a field of n voxels."""
    z, y, x = np.meshgrid(*[(np.arange(n) - n // 2) * voxel_ang] * 3, indexing="ij")
    first = np.exp(-((x - 4) ** 2 + y**2 + z**2) / 18)
    return (first + 0.6 * np.exp(-(x**2 + (y + 5) ** 2 + (z - 2) ** 2) / 18)).astype(np.float32)


@pytest.mark.parametrize("other", [24, 48])
def test_slices_of_a_resized_map_are_those_of_the_map(other):
    """What images are compared with does not depend on the grid an iteration uses."""
    volume = blobs(32)
    grids = CubeGrid(32, radius=8), CubeGrid(other, radius=8)
    axes = np.array([[[[1, 0, 0], [0, 0.8, 0.6]]]], np.float32)
    first, second = (grid.extract(grid.cube_of(resized(volume, grid.box_px)), axes)[0, 0] for grid in grids)
    np.testing.assert_allclose(second[:6, :6], first[:6, :6], atol=0.01 * np.abs(first).max())


def test_finer_and_back_is_the_same_map():
    volume = shell_filtered(blobs(24), low_pass(9.0))
    np.testing.assert_allclose(resized(resized(volume, 40), 24), volume, atol=1e-4)


def test_shells_are_multiplied_by_their_gain():
    volume = blobs(32)
    gain = np.linspace(1, 0, 10)
    transform = np.abs(np.fft.rfftn(shell_filtered(volume, gain))) / np.abs(np.fft.rfftn(volume))
    assert [transform[0, 0, shell] for shell in (1, 4, 8)] == pytest.approx(gain[[1, 4, 8]], abs=1e-3)
    assert transform[0, 0, 12] < 1e-3


def test_a_map_of_another_voxel_box_and_contrast_is_brought_onto_the_grid():
    given = DensityMap(name="dark", volume=-blobs(64, 1.5), voxel_ang=1.5, contrast="dark")
    np.testing.assert_allclose(fitted(given, 32, 2.0), blobs(32, 2.0), atol=0.03)


def test_what_is_coarser_than_the_particle_is_left_out_and_finer_detail_stays():
    gain = band_pass(1.7, 6.0)
    np.testing.assert_array_equal(gain[:2], 0)
    np.testing.assert_array_equal(gain[2:], low_pass(6.0)[2:])
    volume = np.random.default_rng(0).normal(5.0, 1.0, (16, 16, 16)).astype(np.float32)
    assert abs(shell_filtered(volume, gain).mean()) < 1e-5
