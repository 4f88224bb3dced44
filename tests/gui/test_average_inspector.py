"""The averages inspector: what it shows is the average, and the particles chosen in it are saved as an edit."""

import numpy as np
import pytest

from napari_tomoflow.core.model import Average, Classes, DensityMap, FinishedMap, ParticleSet
from napari_tomoflow.gui.average_inspector.inspector import AverageInspector
from napari_tomoflow.gui.dock import TomoflowDock
from napari_tomoflow.project import Project, record_edit, run

from .conftest import MAKE, MakeParams

N = 24
SCORES = np.linspace(0.1, 0.5, 41)


def average():
    """Make a ball that is off centre, in two halves, of particles with rising scores."""
    z, y, x = np.mgrid[:N, :N, :N] - N // 2
    ball = ((z - 3) ** 2 + (y + 4) ** 2 + x**2 < 25).astype(np.float32)
    rng = np.random.default_rng(1)
    halves = tuple(ball + rng.normal(0, 0.2, ball.shape).astype(np.float32) for _ in range(2))
    k = np.arange(N // 2) / (N * 10.0)
    curve = np.clip(1.2 - 40 * k, 0, 1)
    iteration = {"search": "local", "angular_change_deg": [1.0, 2.0, 3.0], "shift_change_ang": [1.0, 2.5, 4.0]}
    quality = {
        "fsc": {"frequency_inv_ang": k.tolist()} | dict.fromkeys(
            ("unmasked", "masked", "randomised", "corrected"), curve.tolist()
        ),
        "resolution_ang": 38.0,
        "counted": 40,
        "iterations": [
            iteration | {"resolution_ang": found, "fsc": (curve / turn).tolist()}
            for turn, found in ((3, None), (2, 45.0), (1, 38.0))
        ],
        "directions": np.arange(18 * 9).reshape(9, 18).tolist(),
    }  # fmt: skip
    particles = ParticleSet(centers_ang_zyx=np.zeros((41, 3)), tomogram=np.array("TS_01"), score=SCORES)
    density = DensityMap(name="ball", volume=ball, voxel_ang=10.0, halves=(halves[0], halves[1]))
    return Average(map=density, particles=particles, quality=quality)


@pytest.fixture
def project(tmp_path):
    """A project with a series and an average, the jobs 1 and 2."""
    project = Project.create(tmp_path / "p")
    run(project, MAKE, MakeParams())
    record_edit(project, "TS_01", [average()], note="Made up.", of_job=1)
    return project


@pytest.fixture
def inspector(make_napari_viewer):
    viewer = make_napari_viewer()
    inspector = AverageInspector(viewer)
    viewer.window.add_dock_widget(inspector, name="Averages inspector")
    inspector.show_maps(average())
    return inspector


def test_it_says_what_the_average_is(inspector):
    text = inspector.about.text()
    for words in ("ball", "41 particles, 40 counted", "C1", "24 × 24 × 24", "38.0 Å"):
        assert words in text
    assert [inspector.volume.itemText(i) for i in range(inspector.volume.count())] == ["map", "half 1", "half 2"]


def test_slices_follow_a_click_in_one_of_them(inspector):
    inspector.slices.choose("xz", 12.4, 15.7)
    inspector.slices.choose("xy", 12.4, 8.2)
    expected = np.asarray(average().map.volume)
    np.testing.assert_array_equal(inspector.slices.images["xy"].image, expected[15])
    np.testing.assert_array_equal(inspector.slices.images["xz"].image, expected[:, 8])
    np.testing.assert_array_equal(inspector.slices.images["yz"].image, expected[:, :, 12])
    inspector.volume.setCurrentText("half 2")
    np.testing.assert_array_equal(inspector.slices.images["xy"].image, np.asarray(average().map.halves[1])[15])


def test_a_click_beyond_the_edge_stays_inside(inspector):
    inspector.slices.choose("yz", -3.0, 99.0)
    np.testing.assert_array_equal(inspector.slices.images["xy"].image, np.asarray(average().map.volume)[N - 1])


def test_the_curves_are_those_of_the_stage_and_an_iteration_is_laid_beside_them(inspector):
    k, corrected = inspector.fsc.curves["corrected"].getData()
    np.testing.assert_allclose(corrected, inspector.session.quality["fsc"]["corrected"])
    assert inspector.fsc.reach.value() == pytest.approx(1 / 38.0)
    inspector.convergence.choose(1)
    at, values = inspector.fsc.iteration.getData()
    np.testing.assert_allclose(at, k)
    np.testing.assert_allclose(values, corrected / 2)
    assert "Iteration 2: local search, 45.0 Å" in inspector.of_iteration.text()
    inspector.convergence.choose(0)
    assert "no resolution" in inspector.of_iteration.text()


def test_the_line_in_the_histogram_chooses_particles(inspector):
    assert inspector.choice.text() == "41 of 41 particles chosen"
    inspector.scores.line.setValue(0.305)
    assert inspector.choice.text() == "20 of 41 particles chosen"
    assert not inspector.save_button.isEnabled(), "there is no project to save in"
    drawn = sum(bars.opts["height"].sum() for bars in inspector.scores.bars.values())
    assert drawn == 41


def test_a_choice_is_saved_as_an_edit_of_the_job(make_napari_viewer, project):
    dock = TomoflowDock(make_napari_viewer(), project.folder)
    dock.open_cell("TS_01", "edit")
    widgets = dock.viewer.window.dock_widgets.values()
    (inspector,) = [widget for widget in widgets if isinstance(widget, AverageInspector)]
    inspector.scores.line.setValue(0.305)
    inspector.save_button.click()
    kept = project.load(ParticleSet, "TS_01")
    np.testing.assert_allclose(kept.score, SCORES[SCORES > 0.305])
    record = project.jobs()[-1]
    assert (record.stage, record.from_job) == ("edit", 2)
    assert "Left out 21 of 41 particles" in record.params["note"]
    assert "Saved as job 3" in inspector.choice.text()


def test_the_surface_lies_about_the_centre(inspector):
    inspector.show_surface()
    inspector.show_surface()
    (layer,) = inspector.viewer.layers
    assert (layer.name, layer.rendering, inspector.viewer.dims.ndisplay) == ("ball map", "iso", 3)
    np.testing.assert_allclose(layer.data_to_world((N // 2,) * 3), 0.0)


def test_a_map_without_record_and_particles_is_shown_all_the_same(inspector):
    bare = average()
    nobody = ParticleSet(centers_ang_zyx=np.zeros((0, 3)))
    inspector.show_maps(Average(map=bare.map.replace(halves=None), particles=nobody))
    assert "no resolution known" in inspector.about.text()
    assert len(inspector.fsc.curves["corrected"].getData()[0] or []) == 0
    assert inspector.choice.text() == "There are no particles to choose."
    inspector.convergence.choose(0)
    assert inspector.slices.images["xy"].image is not None


def test_classes_and_finished_maps_are_opened_too(inspector):
    made = average()
    maps = tuple(made.map.replace(volume=np.asarray(made.map.volume) * weight) for weight in (1, 2))
    inspector.show_maps(Classes(particles=made.particles, maps=maps))
    assert [inspector.volume.itemText(i) for i in range(inspector.volume.count())] == ["class 1", "class 2"]
    inspector.volume.setCurrentText("class 2")
    assert inspector.slices.images["xz"].image.max() == 2.0
    finished = FinishedMap(
        name="ball", volume=made.map.volume, voxel_ang=10.0, mask=made.map.volume, halves=made.map.halves,
        local_resolution_ang=np.full((N,) * 3, 20.0, np.float32), quality={"resolution_ang": 20.0},
    )  # fmt: skip
    inspector.show_maps(finished)
    names = [inspector.volume.itemText(i) for i in range(inspector.volume.count())]
    assert names == ["sharpened", "local resolution (Å)", "half 1", "half 2", "mask"]
    assert "20.0 Å" in inspector.about.text()
    assert "no particles" in inspector.choice.text()
