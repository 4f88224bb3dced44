"""The dock shows what the job folders hold, runs stages, stops them, and opens results."""

import shlex
import subprocess
import sys
import time

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_tomoflow.core.stages import STAGES
from napari_tomoflow.gui import dock as dock_module
from napari_tomoflow.gui.dock import TomoflowDock
from napari_tomoflow.gui.running import DetachedJob, RunningJob
from napari_tomoflow.project import Project, run

from .conftest import DAWDLE, MAKE, DawdleParams, MakeParams


class FakeDock(TomoflowDock):
    """The dock with stages that cost nothing."""

    stages = (MAKE, DAWDLE)


@pytest.fixture
def dock(make_napari_viewer, project, qtbot):
    viewer = make_napari_viewer()
    dock = FakeDock(viewer, project.folder)
    viewer.window.add_dock_widget(dock, name="Tomoflow")
    dock.panel.choose("dawdle")
    yield dock
    dock.panel.cancel()
    qtbot.waitUntil(lambda: RunningJob.current is None, timeout=5000)


def cell_texts(dock):
    model = dock.table.rows
    return {
        (series, stage): model.data(model.index(row, column))
        for row, series in enumerate(model.series)
        for column, stage in enumerate(model.stages)
        if model.data(model.index(row, column)) is not None
    }


def tooltip_of(dock, series, stage):
    model = dock.table.rows
    index = model.index(model.series.index(series), model.stages.index(stage))
    return model.data(index, Qt.ItemDataRole.ToolTipRole)


def select(dock, series, stage):
    model = dock.table.rows
    dock.table.setCurrentIndex(model.index(model.series.index(series), model.stages.index(stage)))


def run_to_the_end(dock, qtbot, **values):
    dock.panel.form.show_values(DawdleParams(**values))
    with qtbot.waitSignal(dock.panel.ended, timeout=10000) as ended:
        dock.panel.run()
    return ended.args[0]


def test_table_shows_what_the_job_folders_hold(dock):
    assert cell_texts(dock) == {("TS_01", "make"): "✔ done", ("TS_02", "make"): "✔ done"}
    assert "sharpness: <b>0.5</b>" in tooltip_of(dock, "TS_01", "make")


def test_table_shows_jobs_started_elsewhere(dock, project):
    run(Project.open(project.folder), DAWDLE, DawdleParams(), series=["TS_02"])
    dock.refresh()
    assert cell_texts(dock)["TS_02", "dawdle"] == "✔ done"
    assert ("TS_01", "dawdle") not in cell_texts(dock)


def test_table_is_polled(dock, qtbot, project):
    dock.viewer.window.show()
    run(Project.open(project.folder), DAWDLE, DawdleParams(), series=["TS_02"])
    qtbot.waitUntil(lambda: ("TS_02", "dawdle") in cell_texts(dock), timeout=5000)


def test_stale_result_says_so(dock, project):
    run(project, DAWDLE, DawdleParams(), series=["TS_01"])
    run(project, MAKE, MakeParams(name="TS_01", n_tilts=4))
    dock.refresh()
    assert cell_texts(dock)["TS_01", "dawdle"] == "↻ stale"
    assert "run this stage again" in tooltip_of(dock, "TS_01", "dawdle")


def test_run_makes_the_job_and_opens_its_result(dock, qtbot, project):
    ending = run_to_the_end(dock, qtbot)
    assert ending.record.status == "done"
    assert list(ending.record.items) == ["TS_01", "TS_02"]
    assert cell_texts(dock)["TS_02", "dawdle"] == "✔ done"
    assert [layer.name for layer in dock.viewer.layers] == ["TS_01"]
    assert "2 of 2 series done" in dock.panel.status.text()


def test_only_selected_series_are_worked_on(dock, qtbot):
    select(dock, "TS_02", "make")
    assert dock.panel.works_on.text() == "Works on the selected series: TS_02"
    assert list(run_to_the_end(dock, qtbot).record.items) == ["TS_02"]


def test_cancel_answers_within_a_second(dock, qtbot, project):
    dock.panel.form.show_values(DawdleParams(steps=10000))
    dock.panel.run()
    qtbot.waitUntil(lambda: RunningJob.current.gauge.read()[0] > 3, timeout=5000)
    qtbot.waitUntil(lambda: "Dawdling" in dock.panel.status.text())
    assert dock.panel.bar.value() >= 0
    start = time.monotonic()
    with qtbot.waitSignal(dock.panel.ended, timeout=3000) as ended:
        qtbot.mouseClick(dock.panel.cancel_button, Qt.MouseButton.LeftButton)
    assert time.monotonic() - start < 1.0
    assert ended.args[0].record.status == "cancelled"
    assert project.jobs()[-1].status == "cancelled"
    assert "cancelled" in dock.panel.status.text()


def test_viewer_stays_usable_while_a_job_runs(dock, qtbot):
    dock.panel.form.show_values(DawdleParams(steps=10000))
    dock.panel.run()
    ticks = []
    for _ in range(20):
        start = time.monotonic()
        QApplication.processEvents()
        ticks.append(time.monotonic() - start)
        time.sleep(0.01)
    assert max(ticks) < 0.5
    assert not dock.panel.run_button.isEnabled()
    assert "running" in dock.panel.run_button.toolTip()


def test_what_a_person_can_mend_is_told_in_words(dock, qtbot, tmp_path):
    (dock.project.job_folder(1) / "TS_01" / "tilt_series.star").unlink()
    select(dock, "TS_01", "make")
    ending = run_to_the_end(dock, qtbot)
    assert ending.record.status == "failed"
    assert "tilt_series.star" in tooltip_of(dock, "TS_01", "dawdle")


def test_bug_is_told_with_where_to_find_its_log(dock, qtbot):
    with qtbot.captureExceptions():
        ending = run_to_the_end(dock, qtbot, fails=True)
    assert ending.is_bug
    assert "ZeroDivisionError: the bug" in dock.panel.status.text()
    assert "report" in dock.panel.status.text()
    dock.tabs.setCurrentWidget(dock.log)
    dock.viewer.window.show()
    dock.refresh()
    assert "ZeroDivisionError" in dock.log.toPlainText()


def test_disabled_buttons_say_why(make_napari_viewer):
    dock = FakeDock(make_napari_viewer())
    for button in (dock.panel.run_button, dock.panel.detach_button, dock.panel.copy_button):
        assert not button.isEnabled()
        assert "Open or make a project first." in button.toolTip()
    assert "Nothing is running." in dock.panel.cancel_button.toolTip()
    dock.deleteLater()


def test_wrong_value_keeps_the_run_button_shut(dock):
    dock.panel.choose("make")
    dock.panel.form.rows["name"].widget.value = ""
    dock.panel.form.rows["n_tilts"].widget.value = 3
    assert dock.panel.run_button.isEnabled()
    dock.panel.choose("dawdle")
    assert dock.panel.run_button.isEnabled()


def test_dock_that_comes_back_shows_the_job_still_running(dock, qtbot, project):
    dock.panel.form.show_values(DawdleParams(steps=10000))
    dock.panel.run()
    again = FakeDock(dock.viewer, project.folder)
    assert again.panel.cancel_button.isEnabled()
    with qtbot.waitSignal(again.panel.ended, timeout=3000):
        again.panel.cancel()
    again.deleteLater()


def test_command_that_is_copied_names_project_series_and_changes(dock):
    select(dock, "TS_02", "make")
    dock.panel.form.show_values(DawdleParams(steps=5))
    dock.panel.copy_command()
    words = shlex.split(QApplication.clipboard().text())
    assert words == ["tomoflow", "dawdle", str(dock.project.folder), "--series", "TS_02", "--steps", "5"]


def test_project_that_cannot_be_opened_changes_nothing(dock, project, tmp_path):
    dock.open_project(tmp_path / "nowhere")
    assert dock.project.folder == project.folder


def test_new_project_is_made_and_shown(dock, tmp_path):
    dock.new_project(tmp_path / "fresh")
    assert dock.title.text() == "fresh"
    assert cell_texts(dock) == {}
    assert "no series yet" in dock.panel.works_on.text()


def test_details_tell_everything_of_the_selected_cell(dock):
    dock.viewer.window.show()
    dock.tabs.setCurrentWidget(dock.details)
    select(dock, "TS_02", "make")
    assert "sharpness: 0.5" in dock.details.toPlainText()
    assert "TS_02" in dock.details.toPlainText()


def test_double_click_opens_the_cell(dock, qtbot):
    dock.table.cell_opened.emit("TS_02", "make")
    (layer,) = dock.viewer.layers
    assert layer.name == "TS_02 tilts"
    assert layer.axis_labels == ("tilt", "y", "x")


def test_opening_twice_gives_one_layer(dock):
    dock.open_cell("TS_01", "make")
    dock.open_cell("TS_01", "make")
    assert len(dock.viewer.layers) == 1


def test_tilts_and_volumes_are_not_shown_together(dock, qtbot):
    run_to_the_end(dock, qtbot)
    dock.open_cell("TS_01", "make")
    assert {layer.name: layer.visible for layer in dock.viewer.layers} == {"TS_01": False, "TS_01 tilts": True}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_stage_has_a_dock_of_its_own(stage, dock, qtbot, project):
    own = getattr(dock_module, stage.function.__name__)(dock.viewer)
    assert own.panel.stage is stage
    assert own.panel.chooser.isHidden()
    assert own.project.folder == project.folder
    own.deleteLater()


def test_module_has_no_dock_for_what_is_no_stage():
    with pytest.raises(AttributeError, match="no_such_stage"):
        _ = dock_module.no_such_stage


_CLOSE_WHILE_RUNNING = """
import sys, time
import napari
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.core.params import Params
from napari_tomoflow.core.report import silent, watched
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.gui.dock import TomoflowDock
from napari_tomoflow.project import Project

class DawdleParams(Params):
    pass

def dawdle(params: DawdleParams, report=silent) -> TiltSeries:
    "Take one's time."
    for _ in watched(range(10000), report, "Dawdling"):
        time.sleep(0.01)

class OneStageDock(TomoflowDock):
    stages = (Stage.of(dawdle, version=1),)

viewer = napari.Viewer()
dock = OneStageDock(viewer, Project.create(sys.argv[1]).folder)
viewer.window.add_dock_widget(dock, name="Tomoflow")
dock.panel.run()

def close():
    global closed_s
    closed_s = time.monotonic()
    QApplication.quit()

QTimer.singleShot(1000, close)
napari.run()
print(time.monotonic() - closed_s)
"""


def test_closing_napari_stops_a_job_in_good_order(tmp_path):
    words = [sys.executable, "-c", _CLOSE_WHILE_RUNNING, str(tmp_path / "project")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 2.0
    (record,) = Project.open(tmp_path / "project").jobs()
    assert record.status == "cancelled"


def test_detached_job_tells_what_the_program_said(qtbot, tmp_path):
    job = DetachedJob(["tomoflow", "status", str(tmp_path / "nowhere")])
    qtbot.waitUntil(lambda: job.problem() is not None, timeout=30000)
    assert "nowhere" in job.problem()
