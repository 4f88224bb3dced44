"""Kernels of back-projection and resampling against their slow twins."""

import numba
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tomoflow.core.kernels import backprojection as fast
from napari_tomoflow.core.kernels import resample
from reference import backprojection as slow

SHAPES = st.tuples(st.integers(1, 5), st.sampled_from([1, 2, 63, 64, 65]), st.sampled_from([1, 2, 7, 63, 64, 65, 70]))
SEEDS = st.integers(0, 2**16)


@numba.njit
def _spread_rows(lines, tile, offsets, weights):
    fast.spread_rows(lines, tile, offsets, weights)


def rays(shape_zyx, n_tilts, seed):
    """Random tilts whose rays stay on the line: (start_u, step_x, step_z, line length)."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(-np.pi / 2, np.pi / 2, n_tilts)
    step_x, step_z = np.cos(angle), np.sin(angle)
    nz, _, nx = shape_zyx
    half = int(np.ceil(np.hypot(nx, nz))) + 2
    return half - step_x * (nx // 2) - step_z * (nz // 2), step_x, step_z, 2 * half


@settings(deadline=None, max_examples=25)
@given(SHAPES, st.integers(1, 4), SEEDS)
def test_backproject_equals_its_reference(shape, n_tilts, seed):
    start_u, step_x, step_z, n_u = rays(shape, n_tilts, seed)
    lines = np.random.default_rng(seed).normal(size=(n_tilts, shape[1], n_u)).astype(np.float32)
    got, expected = np.full(shape, np.nan, np.float32), np.zeros(shape)
    fast.backproject(got, slow.blocks_of_lines(lines, fast.ROWS), start_u, step_x, step_z)
    slow.backproject(expected, lines, start_u, step_x, step_z)
    # float32 sums of a few unit numbers; the issue asks for 1e-4.
    np.testing.assert_allclose(got, expected, atol=1e-5)


@settings(deadline=None, max_examples=25)
@given(SHAPES, st.integers(1, 4), SEEDS)
def test_project_equals_its_reference_and_adds_to_what_is_there(shape, n_tilts, seed):
    start_u, step_x, step_z, n_u = rays(shape, n_tilts, seed)
    rng = np.random.default_rng(seed)
    volume = rng.normal(size=shape).astype(np.float32)
    expected = rng.normal(size=(n_tilts, shape[1], n_u))
    blocks = slow.blocks_of_lines(expected, fast.ROWS)
    fast.project(blocks, volume, start_u, step_x, step_z)
    slow.project(expected, volume, start_u, step_x, step_z)
    np.testing.assert_allclose(slow.lines_of_blocks(blocks, shape[1]), expected, atol=1e-5)


@settings(deadline=None, max_examples=25)
@given(st.sampled_from([(1, 1), (2, 5), (9, 8), (16, 3)]), st.sampled_from([(1, 1), (4, 7), (12, 9)]), SEEDS)
def test_sample_spline_equals_its_reference_inside_and_outside(shape, out_shape, seed):
    rng = np.random.default_rng(seed)
    coefficients = rng.normal(size=shape).astype(np.float32)
    affine = rng.uniform(-1.5, 1.5, (2, 3))
    affine[:, 2] = rng.uniform(-4, 12, 2)
    got, expected = np.empty(out_shape, np.float32), np.empty(out_shape)
    resample.sample_spline(got, coefficients, affine)
    slow.sample_spline(expected, coefficients, affine)
    np.testing.assert_allclose(got, expected, atol=1e-5)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 4), st.integers(1, 9), st.integers(1, 12), SEEDS)
def test_shift_rows_equals_its_reference(nz, ny, n_rows, seed):
    rng = np.random.default_rng(seed)
    planes = rng.normal(size=(nz, n_rows, 5)).astype(np.float32)
    starts, weights = rng.integers(-8, 14, nz), rng.normal(size=(nz, 6)).astype(np.float32)
    got, expected = np.full((nz, ny, 5), np.nan, np.float32), np.empty((nz, ny, 5))
    resample.shift_rows(got, planes, starts, weights)
    slow.shift_rows(expected, planes, starts, weights)
    np.testing.assert_allclose(got, expected, atol=1e-5)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 130), st.integers(1, 40), SEEDS)
def test_transpose_into_blocks_moves_every_number_and_clears_the_rest(n_lines, n_u, seed):
    lines = np.random.default_rng(seed).normal(size=(1, n_lines, n_u)).astype(np.float32)
    expected = slow.blocks_of_lines(lines, fast.ROWS)
    got = np.full((len(expected), 3, n_u, fast.ROWS), np.nan, np.float32)
    resample.transpose_into_blocks(got[:, 1], lines[0])
    np.testing.assert_array_equal(got[:, 1], expected[:, 0])


def test_the_number_of_threads_changes_nothing():
    shape, n_tilts = (3, 130, 66), 5
    start_u, step_x, step_z, n_u = rays(shape, n_tilts, 1)
    blocks = np.random.default_rng(1).normal(size=(3, n_tilts, n_u, fast.ROWS)).astype(np.float32)
    results, threads = [], numba.get_num_threads()
    try:
        for count in (1, threads):
            numba.set_num_threads(count)
            results.append(np.empty(shape, np.float32))
            fast.backproject(results[-1], blocks, start_u, step_x, step_z)
    finally:
        numba.set_num_threads(threads)
    np.testing.assert_array_equal(*results)


def test_a_row_sum_means_the_same_compiled_and_not():
    rng = np.random.default_rng(3)
    lines = rng.normal(size=9 * fast.ROWS).astype(np.float32)
    offsets, weights = rng.integers(0, 8, 5) * fast.ROWS, rng.random(5, np.float32)
    expected = np.empty(fast.ROWS, np.float32)
    fast.sum_rows(expected, lines, offsets, weights)
    # One tilt per row: the kernel's sum of five tilts on lines of nine samples.
    blocks = np.repeat(lines.reshape(1, 1, 9, fast.ROWS), 5, axis=1)
    got = np.empty((1, fast.ROWS, 1), np.float32)
    fast.backproject(got, blocks, offsets / fast.ROWS + weights, np.ones(5), np.zeros(5))
    np.testing.assert_allclose(got[0, :, 0], expected, atol=1e-5)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=64), SEEDS)
def test_columns_that_come_in_any_order_are_spread_to_their_rows(moves, seed):
    rng = np.random.default_rng(seed)
    lines = rng.normal(size=(10, fast.ROWS)).astype(np.float32)
    at = np.clip(np.cumsum(moves), 0, 8)
    weights, tile = rng.random(len(at)).astype(np.float32), rng.normal(size=(64, fast.ROWS)).astype(np.float32)
    expected = lines.astype(np.float64)
    for row, weight, values in zip(at, weights, tile, strict=False):
        expected[row] += (1.0 - weight) * values
        expected[row + 1] += weight * values.astype(np.float64)
    _spread_rows(lines.reshape(-1), tile, at * fast.ROWS, weights)
    np.testing.assert_allclose(lines, expected, atol=1e-4)
