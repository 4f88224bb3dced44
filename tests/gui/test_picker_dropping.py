"""Tables of any program dropped on the picker: they become picks, with all they hold, and nothing is lost unsaid."""

import shutil

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication

from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.gui import units
from napari_tomoflow.gui.opening import show_noun
from napari_tomoflow.gui.picker.picker import Picker
from napari_tomoflow.io.particle_formats import FORMATS, TomogramFrame
from napari_tomoflow.io.particle_tables import read_particle_table, write_particle_table
from napari_tomoflow.project import Project, record_edit, run

from .conftest import MAKE, MakeParams
from .test_picker import delete, settle
from .test_picker_snapping import balls

PLACES = np.array([[0.0, 0.0, 0.0], [0.0, 200.0, -150.0], [120.0, 0.0, 100.0]])


@pytest.fixture(scope="module")
def made_project(tmp_path_factory):
    """Three series; the first two have tomograms."""
    project = Project.create(tmp_path_factory.mktemp("made") / "balls")
    for name in ("TS_01", "TS_02", "TS_03"):
        made = run(project, MAKE, MakeParams(name=name))
        if name != "TS_03":
            tomogram = balls(PLACES, noise=0.2, diameter_ang=120.0, origin_ang_zyx=(0.0, 0.0, 0.0)).replace(name=name)
            record_edit(project, name, [tomogram], note="Made up.", of_job=made.number)
    return project.folder


@pytest.fixture
def project(made_project, tmp_path):
    shutil.copytree(made_project, tmp_path / "balls")
    return Project.open(tmp_path / "balls")


@pytest.fixture
def said(monkeypatch):
    """All that is told to the person: errors, warnings and what was done."""
    told = []
    for where in ("telling.show_error", "tomograms_in_view.show_warning", "picker.dropping.show_info"):
        monkeypatch.setattr(f"napari_tomoflow.gui.{where}", told.append)
    return told


@pytest.fixture
def picker(qtbot, project, said):
    picker = Picker(ViewerModel(), project.folder)
    settle(picker, qtbot)
    yield picker
    settle(picker, qtbot)
    delete(picker)


def drop(widget, *paths):
    """Drag files over a widget and let them go there, as Qt does; tell whether they were let in."""
    files = QMimeData()
    files.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    how = (Qt.DropAction.CopyAction, files, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    enter = QDragEnterEvent(QPoint(20, 20), *how)
    enter.setAccepted(False)
    QApplication.sendEvent(widget, enter)
    if enter.isAccepted():
        QApplication.sendEvent(widget, QDropEvent(QPointF(20, 20), *how))
    return enter.isAccepted()


def particles(tomograms=("TS_01",) * 3, ids=(7, 8, 20)):
    rng = np.random.default_rng(2)
    k = len(tomograms)
    return ParticleSet(
        centers_ang_zyx=PLACES[np.arange(k) % 3],
        quaternions_xyzw=rng.normal(size=(k, 4)),
        tomogram=np.array(tomograms),
        ids=np.array(ids),
        score=np.linspace(0.2, 0.9, k),
        features={
            "species": np.array(["ribosome", "gold", "ribosome"])[np.arange(k) % 3],
            "rlnDefocusU": np.linspace(2e4, 3e4, k),
            "rlnMicrographName": np.array([f"mic_{n}" for n in range(k)]),
        },
    )


def table(path, holds, picker):
    frame = picker.picks.frame("TS_01")
    write_particle_table(path, holds, frames={"TS_01": frame, "TS_02": frame, "TS_03": frame, "lost": frame})
    return path


def assert_same(found, expected):
    np.testing.assert_allclose(found.centers_ang_zyx, expected.centers_ang_zyx, atol=1e-9)
    np.testing.assert_allclose(found.matrices, expected.matrices, atol=1e-9)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.score, expected.score)
    np.testing.assert_array_equal(found.class_ids, expected.class_ids)
    np.testing.assert_array_equal(found.half, expected.half)
    for name, column in expected.features.items():
        np.testing.assert_array_equal(found.features[name], column)


@pytest.mark.parametrize("on", ["panes", "panel", "types", "scores"])
def test_a_table_dropped_anywhere_on_the_picker_becomes_picks(picker, tmp_path, on):
    path = table(tmp_path / "found.star", particles(), picker)
    places = {
        "panes": picker.board.viewport(), "panel": picker.panel, "types": picker.panel.types.viewport(),
        "scores": picker.panel.scores.viewport(),
    }  # fmt: skip
    assert drop(places[on], path)
    expected = read_particle_table(path, frames=picker.picks.frame("TS_01"))
    assert_same(picker.session.particle_set("TS_01"), expected)
    assert {one.name for one in picker.session.types} == {"ribosome", "gold"}
    assert picker.session.unsaved() == ("TS_01",)


@pytest.mark.parametrize("program", FORMATS, ids=lambda program: program.name)
def test_tables_of_every_program_are_taken_as_their_reader_reads_them(picker, tmp_path, program, said):
    holds = particles()
    if program.one_species:
        holds = holds.replace(features={name: column for name, column in holds.features.items() if name != "species"})
    path = tmp_path / f"found{program.suffixes[0]}"
    frame = picker.picks.frame("TS_01")
    write_particle_table(path, holds, frames=frame, program=program.name)
    expected = read_particle_table(path, frames=frame, tomogram="TS_01")
    assert drop(picker.board.viewport(), path)
    found = picker.session.particle_set("TS_01")
    assert len(found) == 3, said
    assert_same(found, expected)


def test_a_drop_is_a_change_that_is_undone_redone_and_outlives_the_program(picker, tmp_path, project, qtbot):
    picker.session.add([[1.0, 2.0, 3.0]])
    path = table(tmp_path / "found.star", particles(), picker)
    drop(picker.board.viewport(), path)
    together = picker.session.particle_set("TS_01")
    assert picker.panel.last.text() == "Took 3 picks from found.star."
    picker.undo()
    assert len(picker.session.particle_set("TS_01")) == 1
    picker.redo()
    assert_same(picker.session.particle_set("TS_01"), together)
    picker.close_project()
    path.unlink()
    picker.open_project(project.folder)
    settle(picker, qtbot)
    assert_same(picker.session.particle_set("TS_01"), together)
    picker.undo()
    assert len(picker.session.particle_set("TS_01")) == 1


def test_dropped_picks_are_saved_with_all_their_columns(picker, tmp_path, project, qtbot):
    drop(picker.board.viewport(), table(tmp_path / "found.star", particles(), picker))
    with qtbot.waitSignal(picker.saved, timeout=20000):
        picker.save()
    kept = project.load(ParticleSet, "TS_01")
    assert_same(kept, picker.session.particle_set("TS_01"))
    assert "found.star" in project.jobs()[-1].params["note"]


def test_what_was_undone_leaves_its_ids_free_and_ids_that_are_taken_are_kept_aside(picker, tmp_path):
    path = table(tmp_path / "found.star", particles(), picker)
    drop(picker.board.viewport(), path)
    picker.undo()
    drop(picker.board.viewport(), path)
    first = picker.session.particle_set("TS_01").ids.copy()
    np.testing.assert_array_equal(first, read_particle_table(path, frames=picker.picks.frame("TS_01")).ids)
    drop(picker.board.viewport(), path)
    both = picker.session.particle_set("TS_01")
    np.testing.assert_array_equal(both.ids[:3], first)
    assert len(set(both.ids)) == 6
    np.testing.assert_array_equal(both.features["id_before"][3:], first)
    assert "numbered afresh" in picker.panel.last.text()


def test_each_tomogram_gets_its_own_and_others_are_told(picker, tmp_path, said):
    names = ("TS_01", "TS_02", "lost", "TS_02", "TS_03", "TS_02")
    drop(picker.board.viewport(), table(tmp_path / "all.star", particles(names, range(1, 7)), picker))
    assert picker.session.tomogram == "TS_01"
    assert [len(picker.session.particle_set(name)) for name in ("TS_01", "TS_02")] == [1, 3]
    assert picker.session.unsaved() == ("TS_01", "TS_02")
    warned, done = said
    assert warned == "all.star: 2 of 6 particles were left out: balls has no tomogram of TS_03, lost."
    assert "1 pick of TS_01, 3 picks of TS_02 from all.star" in done
    picker.undo()
    assert (picker.session.tomogram, picker.session.unsaved()) == ("TS_01", ("TS_02",))
    picker.undo()
    assert (picker.session.tomogram, picker.session.unsaved()) == ("TS_02", ())


def test_a_tomogram_not_opened_yet_keeps_the_picks_it_has(picker, tmp_path, project):
    tomogram_job = next(job.number for job in project.jobs() if job.stage == "edit" and "TS_02" in job.items)
    record_edit(project, "TS_02", [particles(("TS_02",) * 2, (1, 2))], note="Made up.", of_job=tomogram_job)
    drop(picker.board.viewport(), table(tmp_path / "all.star", particles(("TS_01", "TS_02"), (3, 4)), picker))
    assert len(picker.session.particle_set("TS_02")) == 3
    picker.open_tomogram("TS_02")
    picker.undo()
    picker.undo()
    np.testing.assert_array_equal(picker.session.particle_set("TS_02").ids, (1, 2))


def test_a_table_of_nothing_that_is_here_changes_nothing_and_says_so(picker, tmp_path, said):
    path = table(tmp_path / "others.star", particles(("lost", "TS_03", "lost")), picker)
    assert drop(picker.board.viewport(), path)
    (problem,) = said
    for words in (str(path), "TS_03, lost", "TS_01, TS_02", "reconstruct what is missing"):
        assert words in problem
    assert not picker.session.can_undo


def test_a_table_by_one_name_that_means_nothing_here_is_that_of_the_tomogram_in_view(picker, tmp_path, said):
    drop(picker.board.viewport(), table(tmp_path / "found.star", particles(("lost",) * 3), picker))
    assert len(picker.session.particle_set("TS_01")) == 3
    assert said[0] == "found.star: it is about lost, which means nothing in balls; taken for TS_01."


@pytest.mark.parametrize(("unit", "x_ang"), [("px", None), ("ang", 3.0)])
def test_a_table_of_unknown_unit_asks_for_it(picker, tmp_path, monkeypatch, said, unit, x_ang):
    path = tmp_path / "clicks.csv"
    path.write_text("x,y,z\n3,5,2\n")
    monkeypatch.setattr(units.napari, "current_viewer", object)
    monkeypatch.setattr(units, "asked_unit", lambda path: unit)
    drop(picker.board.viewport(), path)
    frame = picker.picks.frame("TS_01")
    expected = frame.voxel_ang * (3 - frame.shape_zyx[2] // 2) if x_ang is None else x_ang
    assert picker.session.particle_set("TS_01").centers_ang_zyx[0, 2] == pytest.approx(expected)
    monkeypatch.setattr(units, "asked_unit", lambda path: None)
    drop(picker.board.viewport(), path)
    assert len(picker.session.particle_set("TS_01")) == 1
    assert "does not say what its positions are counted in" in said[-1]


def test_particles_outside_the_tomogram_are_told(picker, tmp_path, said):
    path = table(tmp_path / "far.star", particles().replace(centers_ang_zyx=np.add(PLACES, (0, 0, 1e4))), picker)
    drop(picker.board.viewport(), path)
    assert "far.star: 3 of 3 particles lie outside the tomogram TS_01" in said[0]


def test_a_damaged_table_is_told_by_name_and_the_others_are_taken(picker, tmp_path, said):
    broken = tmp_path / "broken.tbl"
    broken.write_text("1 2 three\n")
    good = table(tmp_path / "found.star", particles(), picker)
    drop(picker.board.viewport(), broken, good)
    assert str(broken) in said[0]
    assert len(picker.session.particle_set("TS_01")) == 3


def test_files_that_are_no_tables_are_left_to_the_viewer(picker, tmp_path):
    path = tmp_path / "TS_09.mrc"
    path.write_bytes(b"")
    assert not drop(picker.board.viewport(), path)


def test_tables_are_taken_without_a_project_too(make_napari_viewer, qtbot, tmp_path, said):
    viewer = make_napari_viewer()
    tomogram = balls(PLACES, noise=0.2, diameter_ang=120.0, origin_ang_zyx=(0.0, 0.0, 0.0)).replace(name="alone")
    picker = Picker(viewer)
    show_noun(viewer, tomogram)
    settle(picker, qtbot)
    path = tmp_path / "found.coords"
    write_particle_table(path, particles(("alone",) * 3), frames=TomogramFrame.of(tomogram))
    drop(picker.board.viewport(), path)
    np.testing.assert_allclose(picker.session.particle_set("alone").centers_ang_zyx, PLACES, atol=0.6)
    settle(picker, qtbot)
    delete(picker)
