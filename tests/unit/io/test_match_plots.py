"""Figures of a match."""

import numpy as np
import pytest

from napari_tomoflow.core.model import ParticleSet, Tomogram
from napari_tomoflow.io.plots import figures_of, save_figures


@pytest.fixture
def matched():
    edges = np.linspace(0, 12, 25)
    rng = np.random.default_rng(0)
    null, noise = rng.normal(4, 0.6, 500), np.append(rng.normal(4, 0.6, 500), rng.normal(9, 1, 20))
    quality = {
        "threshold_z": 6.2,
        "expected_false_positives": 1.0,
        "diameter_ang": 200.0,
        "scores": {
            "z_edges": edges.tolist(),
            "template": np.histogram(noise, edges)[0].tolist(),
            "null": np.histogram(null, edges)[0].tolist(),
        },
    }
    centers = np.array([[0.0, 100, -300], [10, -200, 250], [200, 0, 0]])
    return ParticleSet(centers_ang_zyx=centers, score=np.array([9.0, 8, 7]), quality=quality)


def a_tomogram():
    volume = np.random.default_rng(1).normal(size=(40, 80, 100)).astype(np.float32)
    return Tomogram(name="TS", volume=volume, voxel_ang=15.0)


def test_scores_and_slices_are_drawn(matched, tmp_path):
    paths = save_figures(matched, None, tmp_path, a_tomogram())
    assert [path.name for path in paths] == ["particles.png", "scores.png"]
    figure = figures_of(matched, None, a_tomogram())["scores"]
    assert [panel.get_title() for panel in figure.axes] == [
        "Scores of all peaks",
        "z = -15 nm",
        "z = 0 nm",
        "z = 15 nm",
    ]


def test_a_pick_is_drawn_at_its_place_in_the_slices_it_reaches(matched):
    _, below, middle, above = figures_of(matched, None, a_tomogram())["scores"].axes
    circles = [panel.collections[0].get_offsets() for panel in (below, middle, above)]
    np.testing.assert_allclose(circles[1], [[-30.0, 10.0], [25.0, -20.0]])
    np.testing.assert_allclose(circles[2], [[0.0, 0.0]])
    assert len(circles[0]) == 0


def test_without_the_tomogram_the_scores_are_drawn(matched):
    assert len(figures_of(matched)["scores"].axes) == 1
