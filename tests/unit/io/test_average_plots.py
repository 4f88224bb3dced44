"""Figures of an average show its halves, how far they agree, and how it came about."""

import numpy as np

from napari_tomoflow.core.model import Average, DensityMap, ParticleSet
from napari_tomoflow.io import results
from napari_tomoflow.io.plots import save_figures
from napari_tomoflow.io.plots.average import average_figures

N = 12


def an_average(**quality):
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, N, N, N)).astype(np.float32)
    density = DensityMap(name="ribosome", volume=first + second, voxel_ang=10.0, halves=(first, second))
    return Average(map=density, particles=ParticleSet(centers_ang_zyx=np.zeros((4, 3))), quality=quality)


def a_record(resolution_ang):
    """What `refine` leaves."""
    curve = np.linspace(1, 0, 7).tolist()
    names = ("unmasked", "masked", "randomised", "corrected")
    one = {
        "resolution_ang": resolution_ang,
        "angular_change_deg": [0.5, 1.0, 2.0],
        "shift_change_ang": [1.0, 2.0, 3.0],
    }
    return {
        "resolution_ang": resolution_ang,
        "fsc": {"frequency_inv_ang": np.linspace(0, 0.05, 7).tolist(), **dict.fromkeys(names, curve)},
        "iterations": [one, one],
        "score": {"counts": [1, 3], "edges": [0.1, 0.2, 0.3]},
        "directions": np.eye(3, 4).tolist(),
    }


def test_an_average_without_a_record_is_drawn_as_slices(tmp_path):
    assert [path.name for path in save_figures(an_average(), None, tmp_path)] == ["slices.png"]
    figure = average_figures(an_average())["slices"]
    assert [panel.get_title() for panel in figure.axes[:3]] == ["map, xy", "map, xz", "map, yz"]
    assert len(figure.axes) == 9


def test_the_record_of_a_refinement_is_drawn(tmp_path):
    figures = average_figures(an_average(**a_record(21.0)))
    assert sorted(figures) == ["convergence", "fsc", "slices"]
    assert figures["fsc"].axes[0].get_title() == "Resolution 21.0 Å"
    np.testing.assert_allclose(figures["convergence"].axes[0].lines[0].get_ydata(), [21.0, 21.0])


def test_no_resolution_is_said_and_not_drawn():
    figures = average_figures(an_average(**a_record(None)))
    assert figures["fsc"].axes[0].get_title().startswith("No resolution")
    assert np.isnan(figures["convergence"].axes[0].lines[0].get_ydata()).all()


def test_an_average_comes_back_from_its_folder_with_its_record(tmp_path):
    average = an_average(**a_record(21.0))
    results.save(average, tmp_path)
    again = results.load(Average, tmp_path)
    np.testing.assert_allclose(again.map.volume, average.map.volume)
    assert len(again.particles) == 4
    assert again.quality["resolution_ang"] == 21.0
