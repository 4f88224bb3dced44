"""The kernels of agreement equal their reference twins, and slopes are what differences say."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tomoflow.core.kernels import agreement as fast
from parity.test_slices import SEEDS, half_of, hermitian_cube, images, turned_axes
from reference import agreement as slow


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([6, 8]), st.sampled_from([6, 10]), st.floats(1.0, 3.0), SEEDS)
def test_products_equal_the_reference(n, m, radius, seed):
    rng = np.random.default_rng(seed)
    cube, axes = hermitian_cube(half_of(radius, 1.5), rng), turned_axes(3, rng)
    seen, _, _ = images(3, n, rng)
    got = np.full((3, m, m // 2 + 1), np.nan, np.complex64)
    expected = np.empty(got.shape, np.complex128)
    fast.correlate_slices(got, seen, cube, axes, 1.5, radius)
    slow.correlate_slices(expected, seen, cube, axes, 1.5, radius)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def sampled(maps, places):
    values, slopes = np.empty(maps.shape[:2]), np.empty(places.shape)
    fast.sample_maps(values, slopes, maps, places)
    return values, slopes


@settings(deadline=None, max_examples=40)
@given(st.integers(5, 9), SEEDS)
def test_samples_equal_the_reference_within_the_map_and_beyond(w, seed):
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(2, 3, w, w)).astype(np.float32)
    places = rng.uniform(-w, w, (2, 2, 3))
    values, _ = sampled(maps, places)
    for t, p in np.ndindex(2, 3):
        np.testing.assert_allclose(values[t, p], slow.sample_map(maps[t, p], *places[t, :, p]), rtol=1e-4, atol=1e-4)


@settings(deadline=None, max_examples=40)
@given(st.integers(5, 9), SEEDS)
def test_slopes_are_those_of_the_samples(w, seed):
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(2, 3, w, w)).astype(np.float32)
    # Splines bend evenly between pixels, so a difference over little is exact but for rounding.
    places = np.floor(rng.uniform(-w, w, (2, 2, 3))) + rng.uniform(0.1, 0.9, (2, 2, 3))
    _, slopes = sampled(maps, places)
    for axis, step in enumerate(([0.05, 0.0], [0.0, 0.05])):
        moved = np.array(step)[:, None]
        difference = (sampled(maps, places + moved)[0] - sampled(maps, places - moved)[0]) / 0.1
        np.testing.assert_allclose(slopes[:, axis], difference, rtol=0, atol=2e-2)
