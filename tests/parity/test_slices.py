"""The slice kernels equal their reference twins, and insertion is the transpose of extraction."""

import numba
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tomoflow.core.kernels import slices as fast
from napari_tomoflow.core.ops.geometry import tilt_rotations
from reference import slices as slow

SIZES = st.sampled_from([4, 6, 10])
SCALES = st.sampled_from([1.0, 1.5, 2.0])
SEEDS = st.integers(0, 2**32 - 1)


def turned_axes(count, rng):
    """Axes of random views, one of them along the cells, which hits no corner and every edge."""
    axes = tilt_rotations(*rng.uniform(-180, 180, (3, count)))[:, :2].astype(np.float32)
    axes[0] = ((1, 0, 0), (0, 1, 0))
    return np.ascontiguousarray(axes)


def half_of(radius, scale):
    return int(radius * scale) + 2


def hermitian_cube(half, rng):
    """A random cube whose plane kx = 0 is its own opposite, as in the transform of a real map."""
    shape = (2 * half + 1, 2 * half + 1, half + 1)
    cube = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)
    cube[:, :, 0] += cube[::-1, ::-1, 0].conj()
    return cube


def images(count, n, rng):
    shape = (count, n, n // 2 + 1)
    values = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)
    # Column 0 holds both a sample and its opposite: the kernel takes one of them.
    values[:, :, 0] += np.roll(values[:, ::-1, 0], 1, axis=1).conj()
    power = rng.uniform(0, 2, shape).astype(np.float32)
    power[:, :, 0] += np.roll(power[:, ::-1, 0], 1, axis=1)
    return values, power, rng.uniform(0, 2, count).astype(np.float32)


def completed(cube):
    """Give the plane kx = 0 what fell on its opposite."""
    full = cube.copy()
    full[:, :, 0] += cube[::-1, ::-1, 0] * np.array([1, -1, 1, 1], np.float32)
    return full


@settings(deadline=None, max_examples=20)
@given(SIZES, SCALES, st.integers(1, 3), SEEDS)
def test_slices_are_taken_where_the_reference_takes_them(n, scale, count, seed):
    rng = np.random.default_rng(seed)
    cube, axes = hermitian_cube(half_of(n / 2, scale), rng), turned_axes(count, rng)
    got = np.full((count, n, n // 2 + 1), np.nan, np.complex64)
    expected = np.zeros(got.shape, np.complex128)
    fast.extract_slices(got, cube, axes, scale, n / 2)
    slow.extract_slices(expected, cube, axes, scale, n / 2)
    np.testing.assert_allclose(got, expected, atol=2e-5 * np.abs(cube).max())


@settings(deadline=None, max_examples=20)
@given(SIZES, SCALES, st.integers(1, 3), SEEDS)
def test_slices_land_where_the_reference_puts_them(n, scale, count, seed):
    rng = np.random.default_rng(seed)
    radius = n / 2 - 0.5
    half, axes = half_of(radius, scale), turned_axes(count, rng)
    given_images = images(count, n, rng)
    got = np.zeros((2 * half + 1, 2 * half + 1, half + 1, 4), np.float32)
    expected, weights = np.zeros((2 * half + 1,) * 3, np.complex128), np.zeros((2 * half + 1,) * 3)
    fast.insert_slices(got, *given_images, axes, scale, radius, 2)
    slow.insert_slices(expected, weights, *given_images, axes, scale, radius)
    ours = completed(got)
    tolerance = 2e-5 * np.abs(weights).max()
    np.testing.assert_allclose(ours[..., 0] + 1j * ours[..., 1], expected[:, :, half:], atol=tolerance)
    np.testing.assert_allclose(ours[..., 2], weights[:, :, half:], atol=tolerance)


@settings(deadline=None, max_examples=15)
@given(SIZES, SCALES, SEEDS)
def test_insertion_is_the_transpose_of_extraction(n, scale, seed):
    # ⟨E cube, images⟩ = ⟨cube, Eᵀ images⟩ over whole transforms: what an iterative solution rests on.
    rng = np.random.default_rng(seed)
    half, axes = half_of(n / 2, scale), turned_axes(3, rng)
    cube = hermitian_cube(half, rng)
    values, power, _ = images(3, n, rng)
    taken = np.zeros_like(values)
    fast.extract_slices(taken, cube, axes, scale, n / 2)
    inserted = np.zeros((*cube.shape, 4), np.float32)
    fast.insert_slices(inserted, values, power, np.ones(3, np.float32), axes, scale, n / 2, 1)
    put = completed(inserted)
    # Columns beyond the first stand for their opposites too. Row n / 2 lies outside the radius.
    twice = np.where(np.arange(n // 2 + 1) == 0, 1.0, 2.0)
    left = np.sum((taken.conj() * values).real * twice, dtype=np.float64)
    planes = np.where(np.arange(half + 1) == 0, 1.0, 2.0)
    products = cube.real * put[..., 0] + cube.imag * put[..., 1]
    right = np.sum(products * planes, dtype=np.float64)
    size = np.sum(np.abs(taken) * np.abs(values) * twice, dtype=np.float64)
    assert abs(left - right) <= 1e-6 * size


@settings(deadline=None, max_examples=10)
@given(SEEDS)
def test_cubes_are_rotated_as_the_reference_rotates_them(seed):
    rng = np.random.default_rng(seed)
    half = 5
    cube = hermitian_cube(half, rng)
    weights = rng.uniform(0, 1, cube.shape).astype(np.float32)
    weights[:, :, 0] += weights[::-1, ::-1, 0]
    rotation = tilt_rotations(*rng.uniform(-180, 180, 3)).astype(np.float32)
    together = np.stack([cube.real, cube.imag, weights, np.zeros_like(weights)], axis=-1)
    got = np.zeros_like(together)
    fast.add_rotated(got, together, rotation, half - 1)
    for ours, values in ((got[..., 0] + 1j * got[..., 1], cube), (got[..., 2], weights + 0j)):
        expected = np.zeros((2 * half + 1,) * 3, np.complex128)
        slow.add_rotated(expected, slow.whole(values), rotation, half - 1)
        np.testing.assert_allclose(ours, expected[:, :, half:], atol=3e-5)


def test_the_number_of_threads_and_bands_changes_no_bit():
    rng = np.random.default_rng(1)
    given_images, axes = images(6, 16, rng), turned_axes(6, rng)
    results, threads = [], numba.get_num_threads()
    try:
        for count, bands in ((1, 1), (threads, 2), (threads, 7)):
            numba.set_num_threads(count)
            results.append(np.zeros((35, 35, 18, 4), np.float32))
            fast.insert_slices(results[-1], *given_images, axes, 2.0, 7.5, bands)
    finally:
        numba.set_num_threads(threads)
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def test_nothing_beyond_the_radius_is_taken():
    rng = np.random.default_rng(2)
    cube, taken = hermitian_cube(8, rng), np.full((1, 12, 7), np.nan, np.complex64)
    fast.extract_slices(taken, cube, turned_axes(1, rng), 2.0, 3.0)
    v, u = np.fft.fftfreq(12)[:, None] * 12, np.arange(7)
    beyond = np.hypot(v, u) >= 3
    assert np.all(taken[0][beyond] == 0)
    assert np.all(taken[0][~beyond] != 0)
