import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tomoflow.core.kernels import splat as fast
from reference import splat as slow

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 33), st.integers(1, 34))
SEEDS = st.integers(0, 2**16)


def spots(shape, seed, count=12):
    """Spots in, across and beyond the borders; some exactly on a pixel."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-4, np.array(shape) + 4, (count, 3))
    points[::3] = np.round(points[::3])
    weights, sigmas = rng.normal(size=count), rng.uniform(0.7, 2.5, count)
    return [values.astype(np.float32) for values in (points, weights, sigmas)]


@pytest.mark.parametrize("name", ["splat_planes", "splat_volume"])
@settings(deadline=None, max_examples=60)
@given(shape=SHAPES, seed=SEEDS)
def test_splatting_equals_the_reference(name, shape, seed):
    points, weights, sigmas = spots(shape, seed)
    start = np.random.default_rng(seed).normal(size=shape)
    got, expected = start.astype(np.float32), start.copy()
    getattr(fast, name)(got, points, weights, sigmas)
    getattr(slow, name)(expected, points, weights, sigmas)
    # A tap at the very edge of a spot may fall on either side of it in single precision: 4e-5 of a peak.
    np.testing.assert_allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["splat_planes", "splat_volume"])
def test_any_number_of_threads_gives_the_same_bits(name):
    shape = (5, 61, 47)
    points, weights, sigmas = spots(shape, 3, count=500)
    results = []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        results.append(np.zeros(shape, np.float32))
        getattr(fast, name)(results[-1], points, weights, sigmas)
        numba.set_num_threads(before)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("name", ["splat_planes", "splat_volume"])
def test_a_point_that_is_nowhere_leaves_no_spot(name):
    planes = np.zeros((3, 9, 9), np.float32)
    points = np.array([[np.nan, 4, 4], [1, np.nan, 4], [1, 4, np.nan]], np.float32)
    getattr(fast, name)(planes, points, np.ones(3, np.float32), np.ones(3, np.float32))
    assert not planes.any()


def test_a_spot_keeps_its_weight_and_its_place():
    planes = np.zeros((4, 40, 40), np.float32)
    fast.splat_planes(
        planes, np.array([[1.25, 19.3, 20.8]], np.float32), np.array([2.0], np.float32), np.array([1.0], np.float32)
    )
    z, y, x = np.indices(planes.shape)
    assert planes.sum() == pytest.approx(2.0, rel=1e-4)
    centroid = [float((planes * axis).sum() / planes.sum()) for axis in (z, y, x)]
    np.testing.assert_allclose(centroid, [1.25, 19.3, 20.8], atol=1e-3)
