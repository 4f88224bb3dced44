"""The benchmark of costs runs, on sizes that take no time; its figures are for a quiet machine and a person."""

import pytest

from benchmarks import bench_cost


def test_the_costs_are_measured_and_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(bench_cost, "METHODS", {"wbp": {}})
    sizes, tilts = (32, 40, 48), (5, 7, 9)
    monkeypatch.setattr(bench_cost, "USUAL_SIZE", 32)
    found = bench_cost.measure(sizes, tilts)
    assert all(cost > 0 for costs in found["wbp"] for cost in costs)
    bench_cost.draw(found, tmp_path / "cost.png", sizes, tilts)
    assert (tmp_path / "cost.png").stat().st_size > 1000


def test_a_cost_that_doubles_with_the_work_has_exponent_one():
    assert bench_cost.growth([9.0, 2.0, 4.0, 8.0], [1.0, 2.0, 4.0, 8.0]) == pytest.approx(1.0)
