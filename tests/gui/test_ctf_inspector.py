"""The CTF inspector: what it shows is the tilt in view, and what is done to it is done to the CTF."""

import numpy as np
import pytest

from imaged_noise import DEFOCUS_ANG, noise_ctf, noise_series
from napari_tomoflow.core.model import CtfSeries, TiltSeries
from napari_tomoflow.gui.ctf_inspector.inspector import CtfInspector
from napari_tomoflow.gui.ctf_inspector.panel import KEYS
from napari_tomoflow.gui.dock import TomoflowDock
from napari_tomoflow.project import Project, record_edit, run

from .conftest import MAKE, MakeParams

LONG_MS = 60000
WRONG = 3


@pytest.fixture
def project(tmp_path):
    """A project with a series and its CTF, the jobs 1 and 2."""
    project = Project.create(tmp_path / "noise")
    run(project, MAKE, MakeParams(name="noise"))
    record_edit(project, "noise", [noise_series(), noise_ctf()], note="Made up.", of_job=1)
    return project


@pytest.fixture
def inspector(make_napari_viewer, qtbot):
    viewer = make_napari_viewer()
    inspector = CtfInspector(viewer)
    viewer.window.add_dock_widget(inspector, name="CTF inspector")
    inspector.show_ctf(noise_series(), noise_ctf())
    wait(inspector, qtbot)
    yield inspector
    close(inspector, qtbot)


def wait(inspector, qtbot):
    """Wait until the tilt in view is measured and nothing else is computed."""

    def is_done():
        return inspector.one is not None and not inspector.looking.is_busy and not inspector.background.is_busy

    qtbot.waitUntil(is_done, timeout=LONG_MS)


def close(inspector, qtbot):
    inspector.close_ctf()
    qtbot.waitUntil(lambda: not inspector.looking.is_busy and not inspector.background.is_busy, timeout=LONG_MS)


def press(inspector, key):
    layer = inspector.scene.layer("stack")
    {str(binding): act for binding, act in layer.keymap.items()}[key](layer)


def test_tilts_are_shown_in_the_order_of_angles_with_their_defocus(inspector):
    assert [layer.name for layer in inspector.viewer.layers] == ["noise CTF"]
    inspector.scene.go_to_tilt(WRONG)
    text = inspector.viewer.canvas.overlays.text.text
    assert text == "noise    tilt 5 of 5    +40.0°    defocus 3.320 µm    rings to 9.0 Å"
    assert inspector.panel.defocus.value() == pytest.approx(3.320)


def test_slider_and_plots_follow_each_other(inspector):
    inspector.scene.go_to_tilt(2)
    for plot in inspector.panel.tilt_plots:
        assert plot.mark.value() == pytest.approx(-20.0)
    inspector.panel.tilt_plots[1].mark.setValue(19.0)
    assert inspector.scene.tilt == 1
    inspector.panel.tilt_plots[0].tilt_chosen.emit(4)
    assert inspector.scene.tilt == 4


def test_spectrum_of_the_tilt_in_view_is_measured(inspector, qtbot):
    first = np.array(inspector.panel.spectrum.picture.image)
    inspector.scene.go_to_tilt(WRONG)
    wait(inspector, qtbot)
    assert inspector.one.tilt == WRONG
    assert not np.array_equal(inspector.panel.spectrum.picture.image, first)
    _, fitted = inspector.panel.spectrum.fitted.getData()
    np.testing.assert_allclose(fitted, inspector.one.curve(33200.0).fitted)


def test_curves_of_the_fit_are_there_before_the_spectrum_is_measured(make_napari_viewer, qtbot):
    stored = {"tilts": [0, 1], "k_inv_ang": [0.02, 0.04, 0.06], "measured": [[0, 1, 0], [1, 0, 1]]}
    inspector = CtfInspector(make_napari_viewer())
    inspector.show_ctf(noise_series(), noise_ctf(spectra=stored | {"fitted": [[0, 2, 0], [2, 0, 2]]}))
    np.testing.assert_array_equal(inspector.panel.spectrum.fitted.getData()[1], [0, 2, 0])
    inspector.scene.go_to_tilt(1)
    np.testing.assert_array_equal(inspector.panel.spectrum.fitted.getData()[1], [2, 0, 2])
    close(inspector, qtbot)
    inspector.deleteLater()


def test_curve_follows_the_field_before_anything_is_set(inspector):
    one = inspector.one
    inspector.panel.defocus.setValue(2.5)
    _, fitted = inspector.panel.spectrum.fitted.getData()
    np.testing.assert_allclose(fitted, one.curve(25000.0).fitted)
    assert inspector.session.notes == ()


def test_defocus_is_set_and_taken_back(inspector):
    inspector.panel.defocus.setValue(2.5)
    inspector.panel.set_button.click()
    assert inspector.session.ctf.defocus_ang[0] == pytest.approx(25000.0)
    assert inspector.panel.tilt_plots[0].dots.getData()[1][0] == pytest.approx(2.5)
    press(inspector, "Ctrl+Z")
    assert inspector.session.ctf.defocus_ang[0] == pytest.approx(DEFOCUS_ANG[0])
    assert inspector.panel.defocus.value() == pytest.approx(3.0)
    press(inspector, "Ctrl+Shift+Z")
    assert inspector.session.ctf.defocus_ang[0] == pytest.approx(25000.0)


def test_doubtful_tilt_is_found_by_its_key_and_mended(inspector, qtbot):
    press(inspector, "N")
    assert inspector.scene.tilt == WRONG
    assert "from its neighbours" in inspector.panel.tilt.text()
    wait(inspector, qtbot)
    press(inspector, "F")
    wait(inspector, qtbot)
    assert inspector.session.ctf.defocus_ang[WRONG] == pytest.approx(DEFOCUS_ANG[WRONG], abs=200.0)
    assert inspector.session.notes[0].startswith("Fitted tilt 3 (+40.0°): 3.320 µm became 3.1")
    assert not inspector.panel.by_key["N"].isEnabled()


def test_two_tilts_can_be_changed_one_after_the_other(inspector, qtbot):
    inspector.panel.defocus.setValue(2.5)
    inspector.set_defocus()
    inspector.scene.go_to_tilt(1)
    wait(inspector, qtbot)
    inspector.panel.defocus.setValue(2.6)
    inspector.set_defocus()
    np.testing.assert_allclose(inspector.session.ctf.defocus_ang[:2], [25000.0, 26000.0])


def test_impossible_defocus_is_told_and_changes_nothing(inspector, monkeypatch):
    told = []
    monkeypatch.setattr("napari_tomoflow.gui.ctf_inspector.inspector.show_error", told.append)
    inspector.panel.defocus.setValue(0.001)
    inspector.set_defocus()
    assert "more than half its astigmatism" in told[0]
    assert inspector.session.notes == ()


def test_tilt_is_left_out_by_its_key(inspector):
    inspector.scene.go_to_tilt(4)
    press(inspector, "X")
    assert not inspector.session.kept[4]
    assert inspector.panel.by_key["X"].text() == "Take in"
    assert "left out by hand" in inspector.viewer.canvas.overlays.text.text


def test_series_is_fitted_again_with_a_given_hand(inspector, qtbot):
    assert inspector.session.ctf.hand == 0
    inspector.panel.hand_buttons[0].click()
    wait(inspector, qtbot)
    assert inspector.session.ctf.hand == -1
    assert inspector.panel.hand.text().startswith("Defocus hand -1; the images do not decide")
    qtbot.waitUntil(lambda: inspector.one is not None and inspector.one.ctf is inspector.session.ctf, timeout=LONG_MS)


def test_double_click_opens_the_inspector_and_saving_makes_a_job(make_napari_viewer, project, qtbot):
    viewer = make_napari_viewer()
    dock = TomoflowDock(viewer, project.folder)
    viewer.window.add_dock_widget(dock, name="Tomoflow")
    dock.table.cell_opened.emit("noise", "edit")
    (inspector,) = (one for one in viewer.window.dock_widgets.values() if isinstance(one, CtfInspector))
    wait(inspector, qtbot)
    assert not inspector.panel.save_button.isEnabled()
    inspector.scene.go_to_tilt(WRONG)
    wait(inspector, qtbot)
    inspector.panel.defocus.setValue(3.12)
    inspector.set_defocus()
    inspector.toggle_tilt()
    with qtbot.waitSignal(inspector.saved, timeout=LONG_MS) as saved:
        inspector.panel.save_button.click()
    assert saved.args[0].number == 3
    assert saved.args[0].params["note"].splitlines()[1] == "Left out tilt 3 (+40.0°)."
    assert project.load(CtfSeries, "noise").defocus_ang[WRONG] == pytest.approx(31200.0, abs=0.5)
    assert not project.load(TiltSeries, "noise").kept[WRONG]
    assert "job 3" in inspector.panel.title.text()
    assert inspector.scene.tilt == WRONG
    wait(inspector, qtbot)
    close(inspector, qtbot)


def test_removing_the_layer_ends_the_inspection(inspector, qtbot):
    inspector.viewer.layers.remove("noise CTF")
    qtbot.waitUntil(lambda: inspector.scene is None)
    assert "Double-click a CTF" in inspector.panel.title.text()


def test_every_key_that_is_told_does_something(inspector):
    bound = {str(binding) for binding in inspector.scene.layer("stack").keymap}
    assert {key.replace("Control", "Ctrl").replace("-", "+") for key in KEYS} <= bound
