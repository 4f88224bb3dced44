"""The benchmark of mapping back runs, on sizes that take no time."""

from benchmarks.bench_map_back import describe, painting


def test_painting_beats_turning_averages_one_by_one():
    stage_s, rates = painting(20, (40, 120, 120))
    assert rates["kernel"] > 2 * rates["scipy"]
    assert "20 ribosomes" in describe(20, stage_s, rates)
