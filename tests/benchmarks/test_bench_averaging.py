"""The benchmark of averaging runs, on a size that takes no time."""

import pytest

from benchmarks.bench_averaging import describe, measure


@pytest.mark.parametrize("search", ["everywhere", "local"])
def test_the_benchmark_measures_and_describes_a_search(search):
    found = measure(search, count=2, box_px=24)
    assert all(value > 0 for value in found)
    text = describe(search, found, reading_per_s=1e8)
    assert all(word in text for word in (search, "CPU-ms a particle", "Msamples/s", "the target allows"))
