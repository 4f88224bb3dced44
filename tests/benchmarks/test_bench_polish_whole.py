"""The benchmark of polishing and classifying many particles runs, on a size that takes no time."""

import numpy as np

from benchmarks.bench_polish_whole import ALLOWED_MIN, describe, measure, watched


def test_memory_and_time_of_what_is_done_are_told():
    with watched() as used:
        held = np.ones(60_000_000)
        sum(held[::1000])
    assert used.memory_gb > 0.4
    assert used.wall_s > 0
    assert used.cpu_s > 0


def test_the_benchmark_measures_and_describes():
    used = measure("regularised", count=24, workers=1, n_tilts=5, n_series=1, pixel_ang=10.0)
    words = describe("regularised", 24, 1, used)
    assert all(word in words for word in ("s by the clock", "CPU-ms a particle", "6 allowed", "3 min allowed"))
    assert set(ALLOWED_MIN) == {"regularised", "subtilt"}
