"""The benchmark of averaging runs, on a size that takes no time."""

import pytest

from benchmarks.bench_averaging import describe, measure
from benchmarks.bench_averaging_cost import draw, measure_all


@pytest.mark.parametrize("search", ["everywhere", "local"])
def test_the_benchmark_measures_and_describes_a_search(search):
    found = measure(search, count=2, box_px=24)
    assert all(value > 0 for value in found)
    text = describe(search, found, reading_per_s=1e8)
    assert all(word in text for word in (search, "CPU-ms a particle", "Msamples/s", "the target allows"))


def test_the_cost_is_drawn_against_particles_box_and_workers(tmp_path):
    sizes = {"counts": (1, 2), "boxes": (24, 32), "workers": (1,)}
    found = measure_all(**sizes)
    assert all(value > 0 for value in found["workers"] + found["everywhere"][1] + found["local"][0])
    draw(found, tmp_path / "cost.png", **sizes)
    assert (tmp_path / "cost.png").stat().st_size > 10_000
