"""What particles are aligned with: halves under a mask, filtered by how far they agree."""

import numpy as np
import pytest

from half_maps import atoms, halves_of_two_resolutions, shaped, with_noise
from napari_tomoflow.core.averaging.fsc_curve import fsc_curve
from napari_tomoflow.core.averaging.reference_maps import globally_filtered, locally_filtered, tight_mask
from napari_tomoflow.core.ops.masks import soft_sphere

N, VOXEL_ANG = 48, 4.0


@pytest.fixture(scope="module")
def halves():
    rng = np.random.default_rng(1)
    return with_noise(atoms(N, VOXEL_ANG, 1000.0, rng), 0.05, rng)


def width_of_edge(mask):
    """Measure from 0.9 to 0.1 along x, through the centre: 0.59 of half a cosine."""
    line = mask[N // 2, N // 2, N // 2 :]
    return np.interp(-0.1, -line, np.arange(len(line))) - np.interp(-0.9, -line, np.arange(len(line)))


def test_a_mask_is_the_tighter_the_finer_the_resolution_but_its_edge_is_two_of_it(halves):
    widest = soft_sphere(N, 20.0)
    coarse, fine = (tight_mask(tuple(halves), widest, VOXEL_ANG, ang) for ang in (20.0, 12.0))
    assert fine.sum() < coarse.sum() < widest.sum()
    assert width_of_edge(fine) * VOXEL_ANG >= 0.59 * 2 * 12.0 - VOXEL_ANG
    assert np.all(fine <= widest)
    # Nothing of the ball of atoms, whose radius is 0.27 of the box, is cut off.
    assert soft_sphere(N, 0.27 * N, 0.0)[fine < 0.99].sum() == 0


def test_where_no_body_stands_out_the_widest_mask_is_kept(halves):
    widest = np.ones((N, N, N), np.float32)
    hollow = -halves[0], -halves[1]
    assert tight_mask(hollow, widest, VOXEL_ANG, 20.0) is widest


def test_a_global_filter_weighs_shells_by_their_fsc(halves):
    curve = fsc_curve(*halves, VOXEL_ANG, soft_sphere(N, 16))
    first, _ = globally_filtered(tuple(halves), curve.corrected, 10.0)
    beyond = shaped(first, lambda f: f * N > 12.0)
    assert np.abs(beyond).max() < 1e-5
    expected = shaped(
        halves[0], lambda f: np.interp(f * N, np.arange(11), np.clip(curve.corrected, 0, 1)[:11], right=0)
    )
    inside = shaped(first - expected, lambda f: f * N < 9.5)
    assert np.abs(inside).max() < 1e-4 * np.abs(first).max()


def test_a_local_filter_leaves_more_detail_where_there_is_more():
    halves = halves_of_two_resolutions(N, 3.0, 9.0, 20.0, np.random.default_rng(3), sharp=False)
    filtered, _ = locally_filtered(tuple(halves), N * 3.0 / 9.0)
    detail = shaped(filtered, lambda f: f > 3.0 / 14.0) * soft_sphere(N, 14)
    assert detail[:, :, :20].std() > 4 * detail[:, :, 30:].std()
    beyond = shaped(filtered, lambda f: f > 3.0 / 8.0)
    assert np.abs(beyond).max() < 1e-3


def test_local_filters_leave_next_to_nothing_of_noise():
    noise = with_noise(np.zeros((N, N, N), np.float32), 1.0, np.random.default_rng(4))
    for half in locally_filtered(tuple(noise), 8.0):
        assert half.std() < 0.02
