"""The benchmark of tiles runs, on a size that takes no time."""

from benchmarks.bench_tiles import describe, measure


def test_the_benchmark_measures_and_describes_both_methods():
    found, n_tiles = measure(64, 64, 32, 5)
    assert n_tiles == 16
    assert all(seconds > 0 for pair in found.values() for seconds in pair)
    text = describe((64, 64, 32, 5), found, n_tiles)
    assert all(word in text for word in ("wbp: ", "tiles: ", "CPU-s", "peak memory"))
