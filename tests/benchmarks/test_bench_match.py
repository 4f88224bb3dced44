"""The benchmark runs, on a size that takes little time; its figures are for a quiet machine and a person."""

import pytest

from benchmarks.bench_match import FULL, KINDS, describe, measure, measure_fast


def test_the_benchmark_measures_and_describes_everything():
    size = (128, 128, 40, 10.0)
    found = measure(*size)
    assert found["recall"] >= 0.9
    assert all(value > 0 for value in found.values())
    text = describe(*size, found)
    for word in ("orientations", "ceiling", "ratio", "recall"):
        assert word in text


def test_the_fast_search_alone_is_told_with_its_memory_and_what_it_found():
    size = (96, 96, 40, 30.0)
    found = measure_fast(*size)
    assert found["recall"] == found["precision"] == 1.0
    assert 0.1 < found["peak_gb"] < 4.0
    text = describe(*size, found)
    for word in ("wall", "memory", "ratio", "recall of 4 particles"):
        assert word in text


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("kind", "step_deg", "ratio"), [("proteasome", 7.5, 10.0), ("ribosome", 10.0, 20.0)])
def test_the_fast_search_is_as_good_for_a_fraction_of_the_cost(kind, step_deg, ratio):
    found = measure(*FULL, step_deg, KINDS[kind])
    assert found["recall"] >= 0.98
    # Proteasomes have 2440 orientations only, seven-fold dihedral: the more there are, the larger the ratio.
    assert found["exhaustive"] / found["fast"] >= ratio
