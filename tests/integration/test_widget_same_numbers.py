"""The form in the viewer gives the very numbers the Python call gives."""

import numpy as np
import pytest

from napari_tomoflow.core.model import Alignment, TiltSeries, Tomogram
from napari_tomoflow.core.stages.align import AlignParams, align
from napari_tomoflow.core.stages.import_ import ImportParams, import_
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct
from napari_tomoflow.gui.dock import TomoflowDock
from napari_tomoflow.gui.layers import from_layer
from napari_tomoflow.gui.running import DetachedJob
from napari_tomoflow.io.sources import read_raw_stack
from napari_tomoflow.project import Project

from .command_line import make_stack

IMPORT = ImportParams(axis_deg=0.0, voltage_kv=300.0, dose_per_tilt=2.5)
ALIGN = AlignParams(axis_range_deg=3.0)
RECONSTRUCT = ReconstructParams(bin=1, thickness_ang=160.0, cutoff_per_px=0.3)


@pytest.fixture
def dock(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    dock = TomoflowDock(viewer, Project.create(tmp_path / "project").folder)
    viewer.window.add_dock_widget(dock, name="Tomoflow")
    return dock


def run_in_the_dock(dock, qtbot, stage, params):
    """Fill the form of a stage as a person would and press Run."""
    dock.panel.choose(stage)
    dock.panel.form.show_values(params)
    with qtbot.waitSignal(dock.panel.ended, timeout=120_000) as ended:
        dock.panel.run_button.click()
    (ending,) = ended.args
    assert ending.record is not None, ending.problem
    assert ending.record.status == "done", ending.record.failures
    return ending.record


def test_widget_and_call_give_the_same_bits(dock, qtbot, tmp_path):
    stack = make_stack(tmp_path / "TS_01.mrc")
    dock.panel.choose("import")
    dock.panel.files.add([stack])
    run_in_the_dock(dock, qtbot, "import", IMPORT)
    run_in_the_dock(dock, qtbot, "align", ALIGN)
    run_in_the_dock(dock, qtbot, "reconstruct", RECONSTRUCT)

    series = import_(read_raw_stack(stack), params=IMPORT)
    alignment = align(series, params=ALIGN)
    tomogram = reconstruct(series, alignment, params=RECONSTRUCT)

    project = dock.project
    loaded = project.load(TiltSeries, "TS_01")
    np.testing.assert_array_equal(np.asarray(loaded.images), np.asarray(series.images))
    for name in ("tilt_deg", "dose_before_e_ang2", "kept"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(series, name))
    written = project.load(Alignment, "TS_01")
    for name in ("tilt_deg", "axis_deg", "xtilt_deg", "shift_ang_yx", "kept"):
        np.testing.assert_array_equal(getattr(written, name), getattr(alignment, name))
    np.testing.assert_array_equal(np.asarray(project.load(Tomogram, "TS_01").volume), tomogram.volume)


def test_detached_job_shows_up_in_the_table(dock, qtbot, tmp_path):
    dock.panel.files.add([make_stack(tmp_path / "TS_01.mrc")])
    dock.panel.form.show_values(IMPORT)
    dock.panel.run_detached()
    qtbot.waitUntil(lambda: not DetachedJob.alive, timeout=60_000)
    dock.refresh()
    assert dock.table.rows.series == ["TS_01"]


def test_layer_shows_the_numbers_of_the_result(dock, qtbot, tmp_path):
    stack = make_stack(tmp_path / "TS_01.mrc")
    dock.panel.files.add([stack])
    run_in_the_dock(dock, qtbot, "import", IMPORT)
    run_in_the_dock(dock, qtbot, "reconstruct", RECONSTRUCT)
    shown = from_layer(dock.viewer.layers["TS_01"].as_layer_data_tuple())
    np.testing.assert_array_equal(np.asarray(shown.volume), np.asarray(dock.project.load(Tomogram, "TS_01").volume))
    assert dock.project.job(2).params["cutoff_per_px"] == RECONSTRUCT.cutoff_per_px
