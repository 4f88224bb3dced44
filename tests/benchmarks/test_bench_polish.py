"""The benchmark of polishing runs, on a size that takes no time."""

from benchmarks.bench_polish import describe, measure


def test_the_benchmark_measures_and_describes():
    found = measure(count=24, n_tilts=5)
    assert all(value > 0 for value in found)
    assert all(word in describe(found) for word in ("CPU-ms a particle", "the target allows", "peak memory"))
