"""The benchmark of alignment's cost shows the same specimen at every size, and draws what it measured."""

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.bench_align import Row, enlarged, plot


def test_an_image_made_larger_passes_through_its_own_pixels():
    image = gaussian_filter(np.random.default_rng(0).normal(100.0, 20.0, (64, 64)), 2.0, mode="wrap").astype(np.float32)
    larger = enlarged(image, 256)
    assert larger.shape == (256, 256)
    np.testing.assert_allclose(larger[::4, ::4], image, atol=1e-3)


def test_time_and_memory_are_drawn_against_the_size(tmp_path):
    rows = [Row(41, size, 1e-5 * size**2, 2e-5 * size**2, 0.4, 0.2, 41, "") for size in (512, 1024, 2048)]
    plot(rows, tmp_path / "cost.png")
    assert (tmp_path / "cost.png").stat().st_size > 5_000
    assert "1024²: 10.5 s (21.0 CPU-s), at most 0.40 GB" in str(rows[1])
