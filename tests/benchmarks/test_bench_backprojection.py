"""The benchmark runs, on a size that takes no time; its figures are for a quiet machine and a person."""

from benchmarks.bench_backprojection import describe, measure


def test_the_benchmark_measures_and_describes_everything():
    size = (64, 65, 8, 5)
    found = measure(*size, rounds=1)
    assert all(value > 0 for name, value in found.items() if name != "beyond_gb")
    text = describe(*size, found)
    for word in ("back-projection", "ceiling", "% of", "naive numba loop", "iradon", "peak memory"):
        assert word in text
