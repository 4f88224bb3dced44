import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.kernels import placing as fast
from reference import placing as slow

SEEDS = st.integers(0, 2**16)


def copies(shape, seed, count=6, n=12):
    """Copies of two references in, across and beyond the borders; some exactly on a voxel and not turned."""
    rng = np.random.default_rng(seed)
    references = rng.normal(1, 1, (2, 2, n, n, n)).astype(np.float32)
    centres = rng.uniform(-4, np.array(shape) + 4, (count, 3))
    turns = Rotation.random(count, random_state=rng).as_matrix() * rng.uniform(0.7, 2.5, (count, 1, 1))
    centres[::3], turns[::3] = np.round(centres[::3]), np.eye(3)
    return references, rng.integers(0, 2, count), centres, turns


@pytest.mark.parametrize("is_sum", [False, True])
@settings(deadline=None, max_examples=40)
@given(shape=st.tuples(st.integers(1, 9), st.integers(1, 14), st.integers(1, 15)), seed=SEEDS)
def test_placing_equals_the_reference(is_sum, shape, seed):
    given_copies = copies(shape, seed)
    painted, owners = np.full(shape, 9.0, np.float32), np.full(shape, 9, np.int32)
    expected, owned = np.full(shape, 9.0), np.full(shape, 9, np.int32)
    fast.place_copies(painted, owners, *given_copies, is_sum)
    slow.place_copies(expected, owned, *given_copies, is_sum)
    np.testing.assert_allclose(painted, expected, atol=1e-4)
    np.testing.assert_array_equal(owners, owned)


def test_any_number_of_threads_gives_the_same_bits():
    shape = (13, 31, 27)
    given_copies = copies(shape, 3, count=60)
    results = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        painted, owners = np.empty(shape, np.float32), np.empty(shape, np.int32)
        fast.place_copies(painted, owners, *given_copies, True)
        results.append((painted, owners))
        numba.set_num_threads(before)
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_a_copy_that_is_not_turned_is_the_reference_itself():
    rng = np.random.default_rng(1)
    references = np.ones((1, 2, 16, 16, 16), np.float32)
    references[0, 0] = rng.uniform(1, 2, (16, 16, 16))
    painted, owners = np.empty((30, 30, 30), np.float32), np.empty((30, 30, 30), np.int32)
    fast.place_copies(painted, owners, references, np.zeros(1, int), np.array([[14.0, 15, 16]]), np.eye(3)[None], False)
    inside = owners == 0
    np.testing.assert_allclose(
        painted[6:22, 7:23, 8:24][inside[6:22, 7:23, 8:24]], references[0, 0][inside[6:22, 7:23, 8:24]], rtol=1e-6
    )
    z, y, x = np.indices(inside.shape)
    np.testing.assert_array_equal(inside, (z - 14) ** 2 + (y - 15) ** 2 + (x - 16) ** 2 <= 6.5**2)
