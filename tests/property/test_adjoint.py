"""An iterative method converges only if projection is the exact transpose of back-projection."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tomoflow.core.kernels.backprojection import ROWS, backproject, project


@settings(deadline=None, max_examples=30)
@given(st.tuples(st.integers(1, 9), st.integers(1, 70), st.integers(1, 70)), st.integers(1, 7), st.integers(0, 2**16))
def test_projection_and_back_projection_are_adjoint(shape_zyx, n_tilts, seed):
    rng = np.random.default_rng(seed)
    nz, ny, nx = shape_zyx
    angle = rng.uniform(-np.pi / 2, np.pi / 2, n_tilts)
    half = nx + nz + 2
    rays = half - np.cos(angle) * (nx // 2) - np.sin(angle) * (nz // 2), np.cos(angle), np.sin(angle)
    volume = rng.normal(size=shape_zyx).astype(np.float32)
    lines = rng.normal(size=(-(-ny // ROWS), n_tilts, 2 * half, ROWS)).astype(np.float32)
    projected, spread = np.zeros_like(lines), np.empty_like(volume)
    project(projected, volume, *rays)
    backproject(spread, lines, *rays)
    left = np.vdot(projected.astype(np.float64), lines)
    right = np.vdot(volume.astype(np.float64), spread)
    # Both are sums of float32 roundings, so the bound scales with the size of the terms.
    assert abs(left - right) <= 1e-6 * np.linalg.norm(projected) * np.linalg.norm(lines) + 1e-5
