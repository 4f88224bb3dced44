"""The benchmark runs, on a size that takes little time; its figures are for a quiet machine and a person."""

import pytest

from benchmarks.bench_match import FULL, describe, measure


def test_the_benchmark_measures_and_describes_everything():
    size = (128, 128, 40, 10.0)
    found = measure(*size)
    assert found["recall"] >= 0.9
    assert all(value > 0 for value in found.values())
    text = describe(*size, found)
    for word in ("orientations", "ceiling", "ratio", "recall"):
        assert word in text


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_fast_search_is_as_good_for_a_fraction_of_the_cost():
    found = measure(*FULL)
    assert found["recall"] >= 0.98
    # 2440 orientations only, seven-fold dihedral: the more there are, the larger the ratio.
    assert found["exhaustive"] / found["fast"] >= 10
