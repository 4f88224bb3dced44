"""The sum of shifted rows equals interpolating each row by itself."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tomoflow.core.kernels.shifted import sum_shifted


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 9), st.integers(1, 5), st.integers(1, 7), st.booleans(), st.integers(0, 2**16))
def test_shifted_rows_add_up_as_interpolated_ones_do(entries, rows, length, is_complex, seed):
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(rows, entries)).astype(np.float32)
    if is_complex:
        table = (table + 1j * rng.normal(size=table.shape)).astype(np.complex64)
    start = rng.uniform(-3, entries + 3, rows)
    total = np.ones(length, table.dtype)
    sum_shifted(total, table, start)
    places = np.arange(length) + start[:, None]
    expected = 1 + sum(np.interp(x, np.arange(entries), row) for x, row in zip(places, table, strict=True))
    np.testing.assert_allclose(total, expected, rtol=1e-4, atol=1e-4)
