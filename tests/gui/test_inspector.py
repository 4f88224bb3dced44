"""The alignment inspector: what it draws is where it is, and what is done to the picture is done to the alignment."""

import numpy as np
import pytest
from napari.utils.interactions import mouse_move_callbacks, mouse_press_callbacks, mouse_release_callbacks
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMessageBox

from napari_tomoflow.core.model import Alignment, TiltSeries, Tomogram
from napari_tomoflow.gui.dock import TomoflowDock
from napari_tomoflow.gui.inspector.controls import KEYS
from napari_tomoflow.gui.inspector.inspector import AlignmentInspector, open_inspector
from napari_tomoflow.gui.inspector.pictures import residual_arrows
from napari_tomoflow.gui.tilt_order import InTiltOrder
from napari_tomoflow.project import Project, record_edit, run

from .aligned_beads import POINTS, aligned, bead_tilts, truth
from .conftest import DAWDLE, MAKE, DawdleParams, MakeParams

LONG_MS = 60000


@pytest.fixture
def project(tmp_path):
    """A project with the series of beads and its alignment, the jobs 1 and 2."""
    project = Project.create(tmp_path / "beads")
    run(project, MAKE, MakeParams(name="beads"))
    series = bead_tilts()
    record_edit(project, "beads", [series, aligned(series)], note="Made up.", of_job=1)
    return project


@pytest.fixture
def inspector(make_napari_viewer, qtbot):
    yield from opened(make_napari_viewer(), qtbot)


@pytest.fixture
def shown_inspector(make_napari_viewer, qtbot):
    yield from opened(make_napari_viewer(show=True), qtbot)


def opened(viewer, qtbot):
    inspector = AlignmentInspector(viewer)
    viewer.window.add_dock_widget(inspector, name="Alignment inspector")
    series = bead_tilts()
    inspector.show_alignment(series, aligned(series))
    yield inspector
    inspector.background.cancel()
    qtbot.waitUntil(lambda: not inspector.background.is_busy, timeout=LONG_MS)
    inspector.close_alignment()


def wait(inspector, qtbot):
    qtbot.waitUntil(lambda: not inspector.background.is_busy, timeout=LONG_MS)


def press(inspector, key):
    """Do what a key is bound to on the layer that mouse and keys act on."""
    keymap = {str(binding): act for binding, act in inspector.viewer.layers.selection.active.keymap.items()}
    keymap[key](inspector.viewer.layers.selection.active)


def draw(inspector, qtbot):
    qtbot.wait(100)
    return inspector.viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)


def is_near(picture, colour):
    return np.abs(picture - np.array(colour)).max(axis=2) < 40


def test_layers_lie_over_the_tilts_in_the_order_of_angles(inspector):
    names = [layer.name for layer in inspector.viewer.layers]
    assert names == [f"beads {what}" for what in ("alignment", "tracks", "predicted", "residuals", "landmarks")]
    session = inspector.session
    series, landmarks = session.series, session.landmarks
    data = inspector.scene.layer("landmarks").data
    np.testing.assert_allclose(data[:, 1:], landmarks.position_ang_yx)
    first = int(np.argmin(series.tilt_deg))
    stack = np.asarray(inspector.scene.layer("stack").data)
    np.testing.assert_array_equal(stack[0], series.image(first))
    assert set(landmarks.tilt[data[:, 0] == 0]) == {first}


def test_bead_lies_under_its_landmark(inspector):
    stack, layer = inspector.scene.layer("stack"), inspector.scene.layer("landmarks")
    for place in layer.data[:20]:
        plane, y, x = np.round(stack.world_to_data(layer.data_to_world(place))).astype(int)
        image = np.asarray(stack.data[plane])
        assert image[y - 1 : y + 2, x - 1 : x + 2].mean() < image.mean() - 3 * image.std()


def test_images_are_sorted_without_being_read():
    images = np.arange(60).reshape(5, 3, 4)
    order = np.array([4, 0, 2, 1, 3])
    lazy = InTiltOrder(images, order)
    np.testing.assert_array_equal(lazy[1:4, 1], images[order][1:4, 1])
    np.testing.assert_array_equal(lazy[2], images[2])
    assert lazy[0:0].shape == (0, 3, 4)


def test_caption_tells_angle_image_dose_and_residual(inspector):
    text = inspector.viewer.canvas.overlays.text
    inspector.scene.go_to_tilt(3)
    residual_nm = inspector.session.tilt_residuals_ang()[3] / 10
    assert text.text == (
        f"beads    tilt 8 of 11    +20.0°    9.0 e/Å² before    image 4    residual {residual_nm:.2f} nm"
    )
    inspector.toggle_tilt()
    assert "left out: left out by hand" in text.text


def test_slider_and_plot_follow_each_other(inspector):
    inspector.scene.go_to_tilt(5)
    assert inspector.plot.mark.value() == pytest.approx(30.0)
    inspector.plot.mark.setValue(-41.0)
    assert inspector.scene.tilt == 8
    assert inspector.tilt_button.text() == "Leave out -40.0°"
    inspector.plot.tilt_chosen.emit(1)
    assert inspector.scene.tilt == 1


def test_every_tilt_has_grey_values_of_its_own_until_somebody_sets_them(make_napari_viewer):
    inspector = AlignmentInspector(make_napari_viewer())
    series = bead_tilts()
    darker = series.replace(images=series.images - 100.0 * np.arange(series.n_tilts)[:, None, None])
    inspector.show_alignment(darker, aligned(series))
    stack = inspector.scene.layer("stack")
    for tilt in (2, 9):
        inspector.scene.go_to_tilt(tilt)
        low, high = stack.contrast_limits
        assert low < darker.images[tilt].mean() < high
        assert high - low < 20
    stack.contrast_limits = (low - 50, high)
    inspector.scene.go_to_tilt(4)
    assert tuple(stack.contrast_limits) == (low - 50, high)
    inspector.close_alignment()
    inspector.deleteLater()


def test_arrows_point_from_the_measurement_to_its_prediction(inspector):
    session = inspector.session
    arrows = residual_arrows(session, 50.0)
    predicted = truth().project(POINTS)[0][session.landmarks.tilt, session.landmarks.point]
    np.testing.assert_allclose(arrows[:, 0, 1:] + arrows[:, 1, 1:] / 50.0, predicted, atol=1e-6)
    inspector.arrows.setValue(7)
    np.testing.assert_allclose(inspector.scene.layer("residuals").data, residual_arrows(session, 7.0))


def test_walk_goes_from_the_largest_residual_down(inspector):
    session = inspector.session
    worst = session.largest_residuals()
    for step in range(3):
        press(inspector, "N")
        assert inspector.scene.tilt == session.landmarks.tilt[worst[step]]
        y, x = session.landmarks.position_ang_yx[worst[step]]
        np.testing.assert_allclose(inspector.viewer.scene.camera.center[1:], (y, x))
        assert list(inspector.scene.selected) == [worst[step]]
    press(inspector, "B")
    assert list(inspector.scene.selected) == [worst[1]]
    assert "Residual 2 of" in inspector.last.text()


def test_tilt_is_left_out_by_its_key_and_taken_in_by_undo(inspector):
    inspector.scene.go_to_tilt(6)
    press(inspector, "X")
    assert not inspector.session.alignment.kept[6]
    assert inspector.tilt_button.text() == "Take in -30.0°"
    press(inspector, "Ctrl+Z")
    assert inspector.session.alignment.kept[6]
    press(inspector, "Ctrl+Shift+Z")
    assert not inspector.session.alignment.kept[6]


def test_landmark_dragged_with_the_mouse_is_moved_in_one_step(inspector, qtbot, MouseEvent):
    layer = inspector.scene.layer("landmarks")
    number = int(np.flatnonzero(inspector.session.landmarks.tilt == inspector.scene.tilt)[2])
    start = np.array(layer.data_to_world(layer.data[number]))
    view = {"view_direction": None, "dims_displayed": [1, 2], "dims_point": inspector.viewer.dims.point}
    event = MouseEvent(type="", is_dragging=False, position=start, **view)
    event.modifiers = ()
    for kind, offset, callbacks in (
        ("mouse_press", 0.0, mouse_press_callbacks),
        ("mouse_move", 20.0, mouse_move_callbacks),
        ("mouse_move", 35.0, mouse_move_callbacks),
        ("mouse_release", 35.0, mouse_release_callbacks),
    ):
        event.type, event.is_dragging, event.position = kind, "move" in kind, start + np.array([0.0, offset, 0.0])
        callbacks(layer, event)
    qtbot.waitUntil(lambda: len(inspector.session.notes) > 0)
    assert len(inspector.session.notes) == 1
    moved = inspector.session.landmarks.position_ang_yx[number]
    np.testing.assert_allclose(moved, start[1:] + np.array([35.0, 0.0]), atol=1e-6)
    assert "not solved yet" in inspector.title.text()
    inspector.undo()
    np.testing.assert_allclose(layer.data[number], start / layer.scale, atol=1e-6)


def test_selected_measurements_are_deleted_by_naparis_own_key(inspector, qtbot):
    layer = inspector.scene.layer("landmarks")
    before = len(layer.data)
    layer.selected_data = {3, 8}
    layer.remove_selected()
    qtbot.waitUntil(lambda: len(inspector.session.notes) > 0)
    assert len(inspector.session.landmarks.tilt) == before - 2
    inspector.undo()
    assert len(layer.data) == before


def test_landmark_is_deleted_with_all_its_measurements(inspector):
    layer = inspector.scene.layer("landmarks")
    point = inspector.session.landmarks.point[9]
    layer.selected_data = {9}
    press(inspector, "Shift+D")
    assert not (inspector.session.landmarks.point == point).any()
    assert len(inspector.scene.layer("predicted").data) == (len(POINTS) - 1) * inspector.session.series.n_tilts


def test_bead_that_is_clicked_is_followed_through_all_tilts(inspector, qtbot):
    tilt = 3
    inspector.session.delete_point(0)
    inspector.refresh()
    press(inspector, "M")
    layer = inspector.scene.layer("landmarks")
    assert layer.mode == "add"
    place = truth().project(POINTS)[0][tilt, 0]
    inspector.scene.go_to_tilt(tilt)
    layer.add([inspector.session.rank[tilt], *(place + 15.0)])
    qtbot.waitUntil(lambda: inspector.background.is_busy, timeout=5000)
    wait(inspector, qtbot)
    landmarks = inspector.session.landmarks
    assert np.linalg.norm(landmarks.points_ang_zyx[-1] - POINTS[0]) < 5.0
    assert inspector.session.notes[-1].startswith(f"Added landmark {len(POINTS)} at z =")
    assert layer.mode == "select"
    assert len(layer.data) == len(landmarks.tilt)


def test_click_on_nothing_is_told_and_leaves_no_point(inspector, qtbot):
    layer = inspector.scene.layer("landmarks")
    before = len(layer.data)
    inspector.mark()
    layer.add([inspector.session.rank[inspector.scene.tilt], 600.0, -600.0])
    qtbot.waitUntil(lambda: bool(inspector.background.problem), timeout=LONG_MS)
    assert "choose" in inspector.background.problem
    assert len(layer.data) == before
    assert inspector.session.notes == ()


def test_solved_again_the_alignment_fits_what_was_moved(inspector, qtbot):
    session = inspector.session
    tilt = 4
    which = np.flatnonzero(session.landmarks.tilt == tilt)
    session.move(which, session.landmarks.position_ang_yx[which] + 40.0)
    before = session.tilt_residuals_ang()[tilt]
    press(inspector, "R")
    wait(inspector, qtbot)
    assert session.tilt_residuals_ang()[tilt] < 0.2 * before
    np.testing.assert_allclose(session.alignment.shift_ang_yx[tilt] - truth().shift_ang_yx[tilt], 40.0, atol=8.0)
    assert "not solved" not in inspector.title.text()


def test_solving_is_cancelled(inspector, qtbot):
    inspector.solve()
    qtbot.mouseClick(inspector.background.cancel_button, Qt.MouseButton.LeftButton)
    wait(inspector, qtbot)
    assert inspector.session.notes == ()
    assert inspector.solve_button.isEnabled()


def test_tomogram_before_and_after_are_shown_in_turns(inspector, qtbot):
    inspector.scene.go_to_tilt(3)
    inspector.toggle_tilt()
    press(inspector, "T")
    wait(inspector, qtbot)
    visible = [layer.name for layer in inspector.viewer.layers if layer.visible]
    assert visible == ["beads after"]
    assert inspector.viewer.canvas.overlays.text.text.startswith("after the changes")
    inspector.toggle_preview()
    wait(inspector, qtbot)
    assert [layer.name for layer in inspector.viewer.layers if layer.visible] == ["beads before"]
    before = inspector.viewer.layers["beads before"].metadata["tomoflow"]
    assert before.quality["tilts_used"] == 11
    inspector.show_tilts()
    assert inspector.scene.tilt == 3
    assert "beads before" not in inspector.viewer.layers
    assert all(layer.visible for layer in inspector.viewer.layers)


def test_double_click_opens_the_inspector_and_saving_makes_a_job(make_napari_viewer, project, qtbot):
    viewer = make_napari_viewer()
    dock = TomoflowDock(viewer, project.folder)
    viewer.window.add_dock_widget(dock, name="Tomoflow")
    dock.table.cell_opened.emit("beads", "edit")
    (inspector,) = (one for one in viewer.window.dock_widgets.values() if isinstance(one, AlignmentInspector))
    assert "beads" in inspector.title.text()
    assert not inspector.save_button.isEnabled()
    inspector.scene.go_to_tilt(10)
    inspector.toggle_tilt()
    assert "Solve again first" in inspector.save_button.toolTip()
    inspector.solve()
    wait(inspector, qtbot)
    assert inspector.save_button.isEnabled()
    with qtbot.waitSignal(inspector.saved, timeout=LONG_MS) as saved:
        inspector.save()
    record = saved.args[0]
    assert record.number == 3
    assert record.params["note"].startswith("Left out tilt 10 (-50.0°).\nSolved again")
    assert not project.load(Alignment, "beads").kept[10]
    assert not project.load(TiltSeries, "beads").kept[10]
    assert "job 3" in inspector.title.text()
    assert inspector.scene.tilt == 10
    tomogram = run(project, DAWDLE, DawdleParams(), series=["beads"])
    assert tomogram.inputs["beads"]["series"].job == 3
    assert project.find(Tomogram, "beads") is not None
    inspector.close_alignment()


def test_solution_overtaken_by_another_change_is_dropped(inspector, qtbot):
    inspector.solve()
    inspector.toggle_tilt()  # not while something is computed
    assert inspector.session.notes == ()
    inspector.session.delete_point(2)
    wait(inspector, qtbot)
    assert inspector.session.notes == ("Deleted landmark 2.",)


@pytest.mark.parametrize(("answer", "is_kept"), [("Cancel", True), ("Discard", False)])
def test_changes_that_are_not_saved_are_not_lost_unasked(make_napari_viewer, project, monkeypatch, answer, is_kept):
    viewer = make_napari_viewer()
    inspector = open_inspector(viewer, project, "beads", 2)
    inspector.toggle_tilt()
    asked = []
    buttons = QMessageBox.StandardButton
    monkeypatch.setattr(QMessageBox, "question", lambda *words: asked.append(words) or getattr(buttons, answer))
    assert open_inspector(viewer, project, "beads", 2) is inspector
    assert len(asked) == 1
    assert bool(inspector.session.notes) == is_kept
    inspector.close_alignment()


def test_removing_one_layer_ends_the_inspection(inspector, qtbot):
    viewer = inspector.viewer
    viewer.layers.remove("beads residuals")
    qtbot.waitUntil(lambda: inspector.scene is None)
    assert len(viewer.layers) == 0
    assert "Double-click an alignment" in inspector.title.text()
    viewer.dims.set_point(0, 0.0)


def test_every_key_that_is_told_does_something(inspector):
    bound = {str(binding) for binding in inspector.viewer.layers.selection.active.keymap}
    told = {key.replace("Control", "Ctrl").replace("-", "+") for key in KEYS} - {"Delete"}
    assert told <= bound


def test_landmarks_are_drawn_around_their_beads(shown_inspector, qtbot):
    inspector = shown_inspector
    picture = draw(inspector, qtbot)
    green = is_near(picture, (89, 255, 115))
    assert green.sum() > 100
    inspector.scene.layer("landmarks").visible = False
    picture = draw(inspector, qtbot)
    assert is_near(picture, (89, 255, 115)).sum() < 0.1 * green.sum()


def test_rejected_measurements_are_drawn_red(shown_inspector, qtbot):
    inspector = shown_inspector
    assert is_near(draw(inspector, qtbot), (255, 107, 89)).sum() == 0
    inspector.toggle_tilt()
    assert is_near(draw(inspector, qtbot), (255, 107, 89)).sum() > 100
