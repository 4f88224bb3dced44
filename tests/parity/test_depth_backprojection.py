"""Back-projection of versions equals its reference twin, and plain back-projection where there is one version."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tomoflow.core.kernels import backprojection as plain
from napari_tomoflow.core.kernels import depth_backprojection as fast
from reference import depth_backprojection as slow
from reference.backprojection import blocks_of_lines

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 70), st.integers(1, 9))


def rays(shape, n_tilts, rng):
    nz, _, nx = shape
    step_x, step_z = rng.uniform(0.2, 1.0, n_tilts), rng.uniform(-1.0, 1.0, n_tilts)
    start_u = 1.0 + np.maximum(0.0, -step_z) * nz
    return np.column_stack([start_u, step_x, step_z]), nx + 2 * nz + 4


@settings(deadline=None, max_examples=20)
@given(SHAPES, st.integers(1, 4), SEEDS)
def test_versions_are_chosen_as_by_the_reference(shape, n_tilts, seed):
    rng = np.random.default_rng(seed)
    lines, n_u = rays(shape, n_tilts, rng)
    counts = rng.integers(1, 4, n_tilts)
    first = np.cumsum(counts) - counts
    # Depths in 64ths: exact in any order of summing, so that both sides round down alike.
    depths = rng.integers(-64, 128, (n_tilts, 4)) * np.array([1 / 64, 1 / 64, 1 / 1024, 1 / 64])
    values = rng.normal(size=(counts.sum(), shape[1], n_u)).astype(np.float32)
    got, expected = np.full(shape, np.nan, np.float32), np.empty(shape)
    fast.backproject_versions(got, blocks_of_lines(values, plain.ROWS), lines, depths, first, first + counts - 1)
    slow.backproject_versions(expected, values, lines, depths, first, first + counts - 1)
    np.testing.assert_allclose(got, expected, atol=2e-5)


def test_with_one_version_each_it_is_plain_back_projection():
    rng = np.random.default_rng(2)
    shape, n_tilts = (3, 130, 70), 5
    lines, n_u = rays(shape, n_tilts, rng)
    blocks = blocks_of_lines(rng.normal(size=(n_tilts, shape[1], n_u)).astype(np.float32), plain.ROWS)
    got, expected = np.empty(shape, np.float32), np.empty(shape, np.float32)
    own = np.arange(n_tilts)
    fast.backproject_versions(got, blocks, lines, rng.normal(size=(n_tilts, 4)), own, own)
    plain.backproject(expected, blocks, *lines.T.copy())
    np.testing.assert_array_equal(got, expected)
