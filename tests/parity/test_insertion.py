"""The insertion kernel equals its reference twin."""

import numba
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tomoflow.core.kernels import insertion as fast
from napari_tomoflow.core.ops.geometry import tilt_rotations
from reference import tiles as slow


def views(n, n_tilts, rng):
    slices = rng.normal(size=(2, n_tilts, n, n // 2 + 1)).astype(np.float32)
    rotations = tilt_rotations(*rng.uniform(-180, 180, (3, n_tilts)))
    return (slices[0] + 1j * slices[1]).astype(np.complex64), rotations[:, :2], rng.uniform(0, 1, n_tilts)


def with_opposites(plane):
    """Add to each cell of the plane kx = 0 what its opposite got."""
    return plane + np.roll(plane[::-1, ::-1], 1, (0, 1)).conj()


@settings(deadline=None, max_examples=15)
@given(st.sampled_from([4, 6, 10]), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_slices_land_where_the_reference_puts_them(n, n_tilts, seed):
    arguments = *views(n, n_tilts, np.random.default_rng(seed)), n // 2 - 1
    got, got_weights = np.zeros((n, n, n // 2 + 1), np.complex64), np.zeros((n, n, n // 2 + 1), np.float32)
    expected, expected_weights = np.zeros((n, n, n), np.complex128), np.zeros((n, n, n))
    fast.insert_slices(got, got_weights, *arguments)
    slow.insert_slices(expected, expected_weights, *arguments)
    for ours, theirs in ((got, expected), (got_weights, expected_weights)):
        ours[..., 0] = with_opposites(ours[..., 0])
        np.testing.assert_allclose(ours, theirs[..., : n // 2 + 1], atol=1e-5 * max(1, np.abs(theirs).max()))


def test_the_number_of_threads_changes_nothing():
    arguments = *views(16, 5, np.random.default_rng(1)), 7
    results, threads = [], numba.get_num_threads()
    try:
        for count in (1, threads):
            numba.set_num_threads(count)
            results.append((np.zeros((16, 16, 9), np.complex64), np.zeros((16, 16, 9), np.float32)))
            fast.insert_slices(*results[-1], *arguments)
    finally:
        numba.set_num_threads(threads)
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


def test_division_keeps_to_the_floor_and_moves_the_origin():
    cube = np.full((4, 4, 3), 6 + 2j, np.complex64)
    weights = np.full((4, 4, 3), 2.0, np.float32)
    weights[1, 2, 1] = 0.25
    fast.divide_by_weights(cube, weights, 0.5)
    z, y, x = np.indices(cube.shape)
    expected = (-1.0) ** (x + y + z) * (3 + 1j)
    expected[1, 2, 1] = 12 + 4j
    np.testing.assert_allclose(cube, expected, rtol=1e-6)
