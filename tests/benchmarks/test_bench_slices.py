"""The benchmark of slices runs, on sizes that take no time."""

from benchmarks.bench_slices import average_seconds, describe, rates


def test_the_benchmark_measures_and_describes_every_way():
    found = rates(8, n_particles=1)
    assert all(rate > 0 for rate in found.values())
    text = describe(8, found)
    assert all(word in text for word in ("extract", "insert", "scipy", "Msamples/s", "µs a slice"))


def test_the_whole_average_is_measured_too():
    assert all(seconds > 0 for seconds in average_seconds(8, n_particles=2))
