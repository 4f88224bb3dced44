"""Figures of particles."""

import numpy as np
import pytest

from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.ops.so3 import fibonacci
from napari_tomoflow.core.stages.pick import PickParams, pick
from napari_tomoflow.io.plots import figures_of, save_figures


@pytest.fixture(scope="module")
def picked():
    rng = np.random.default_rng(0)
    balls = [300.0 * fibonacci(20) + rng.normal(0, 8, (20, 3)), 200.0 * fibonacci(15) + np.array([0.0, 700, 300])]
    points = ParticleSet(
        centers_ang_zyx=np.vstack(balls),
        tomogram=np.array("TS"),
        features={"model": np.repeat([1, 2], [20, 15]), "species": np.full(35, "virus")},
    )
    return pick(points, params=PickParams(spacing_nm=8))


def panels_of(figure):
    return {panel.get_title(): panel for panel in figure.axes}


def test_picks_are_drawn_with_their_shapes(picked, tmp_path):
    (path,) = save_figures(picked, None, tmp_path)
    assert path.name == "particles.png"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_every_view_has_every_particle_and_its_z_axis(picked):
    panels = panels_of(figures_of(picked)["particles"])
    for view, places in (("x and y", [2, 1]), ("x and z", [2, 0]), ("z and y", [0, 1])):
        dots = np.vstack([line.get_xydata() for line in panels[view].lines if line.get_marker() == "."])
        np.testing.assert_allclose(dots, picked.centers_ang_zyx[:, places] / 10.0)
        assert len([line for line in panels[view].lines if line.get_marker() == "None"]) == len(picked)


def test_the_residual_of_every_shape_is_drawn(picked):
    panel = panels_of(figures_of(picked)["particles"])["Points off their shape"]
    heights = [bar.get_height() for bar in panel.patches]
    assert heights == [one["residual_ang"] for one in picked.quality["models"]]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["virus 1", "virus 2"]


def test_particles_from_elsewhere_are_drawn_without_shapes():
    alone = figures_of(ParticleSet(centers_ang_zyx=[[1.0, 2, 3]]))["particles"]
    assert any(text.get_text() == "no shapes were fitted" for text in panels_of(alone)["Points off their shape"].texts)


def test_no_particles_make_no_figure():
    assert figures_of(ParticleSet(centers_ang_zyx=np.zeros((0, 3)))) == {}
