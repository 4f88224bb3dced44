"""The picker in a window: what the mouse does where a pick is drawn is done to that pick."""

import shutil

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.interactions import mouse_move_callbacks, mouse_press_callbacks, mouse_release_callbacks
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QFont, QFontMetricsF
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.model import Alignment, ParticleSet, TiltSeries
from napari_tomoflow.gui.dock import TomoflowDock
from napari_tomoflow.gui.layers import from_layer
from napari_tomoflow.gui.opening import show_noun
from napari_tomoflow.gui.picker.acts import acts_of
from napari_tomoflow.gui.picker.controls import CANVAS_KEYS, KEYS
from napari_tomoflow.gui.picker.gestures import Gesture
from napari_tomoflow.gui.picker.opening import open_picker
from napari_tomoflow.gui.picker.picker import Picker
from napari_tomoflow.gui.picker.picks import CENTERS, QUATERNIONS, TYPE
from napari_tomoflow.gui.picker.planes import Plane, arrows, outlines, seen_radius
from napari_tomoflow.gui.picker.tilt_picks import places_on_tilt
from napari_tomoflow.project import Project, record_edit, run
from napari_tomoflow.project.finished import Made, record_finished

from .conftest import MAKE, MakeParams
from .test_picker_snapping import balls

LONG_MS = 60000
PLACES = np.array([[0.0, 0.0, 0.0], [0.0, 200.0, -150.0], [120.0, 0.0, 100.0]])


@pytest.fixture(scope="module")
def made_project(tmp_path_factory):
    """Two series with tomograms of three balls of 120 Å; the first has picks with scores, too."""
    project = Project.create(tmp_path_factory.mktemp("made") / "balls")
    for name in ("TS_01", "TS_02"):
        made = run(project, MAKE, MakeParams(name=name))
        tomogram = balls(PLACES, noise=0.2, diameter_ang=120.0, origin_ang_zyx=(0.0, 0.0, 0.0)).replace(name=name)
        record_edit(project, name, [tomogram], note="Made up.", of_job=made.number)
    particles = ParticleSet(
        centers_ang_zyx=PLACES,
        tomogram=np.array("TS_01"),
        score=np.array([0.2, 0.5, 0.9]),
        features={"species": np.array(["ball"] * 3)},
        quality={"types": [{"name": "ball", "diameter_ang": 120.0, "box_ang": 180.0}]},
    )
    record_edit(project, "TS_01", [particles], note="Made up.", of_job=2)
    return project.folder


@pytest.fixture
def project(made_project, tmp_path):
    shutil.copytree(made_project, tmp_path / "balls")
    return Project.open(tmp_path / "balls")


@pytest.fixture
def picker(qtbot, project):
    """A picker whose viewer has no window: most of what it does needs none."""
    picker = Picker(ViewerModel(), project.folder)
    settle(picker, qtbot)
    yield picker
    settle(picker, qtbot)
    delete(picker)


def delete(picker):
    """Delete a widget now, as Qt does when its window is closed."""
    picker.deleteLater()
    QApplication.sendPostedEvents(picker, QEvent.Type.DeferredDelete.value)


@pytest.fixture
def shown_picker(make_napari_viewer, qtbot, project):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1400, 900)
    picker = open_picker(viewer, project, "TS_01")
    settle(picker, qtbot)
    yield picker
    settle(picker, qtbot)


def settle(picker, qtbot):
    qtbot.waitUntil(lambda: picker.is_settled, timeout=LONG_MS)


def gesture(picker, phase, pane, right, down, **more):
    return Gesture(phase, picker.board.plane(pane), right, down, 2.0, **more)


def click(picker, pane, right, down, **more):
    picker._handle(gesture(picker, "click", pane, right, down, **more))


def drag(picker, pane, start, end):
    taken = picker._handle(gesture(picker, "start", pane, *start))
    for place in np.linspace(start, end, 5):
        picker._handle(gesture(picker, "drag", pane, *place))
    picker._handle(gesture(picker, "end", pane, *end))
    return taken


def centers(picker):
    return picker.session.picks[CENTERS][picker.session.picks.there()]


def test_opening_shows_the_newest_picks_with_their_type(picker):
    np.testing.assert_allclose(centers(picker), PLACES)
    ball = picker.session.types[0]
    assert (ball.name, ball.diameter_ang, ball.box_ang) == ("ball", 120.0, 180.0)
    assert [picker.panel.tomograms.itemText(i) for i in range(2)] == ["TS_01", "TS_02"]
    assert picker.panel.types.item(0, 5).text() == "3"
    assert "3 picks" in picker.panel.statistics.text()
    assert "nearest neighbour 156 Å (median)" in picker.panel.statistics.text()


def test_added_pick_lies_where_the_click_was_in_every_pane(picker):
    picker.set_tool("add")
    picker.scene.go_to((-100.0, -50.0, 40.0))
    click(picker, "xy", 150.0, 250.0)
    np.testing.assert_allclose(centers(picker)[-1], [-100.0, 250.0, 150.0])
    assert picker.scene.place_ang_zyx == (-100.0, 250.0, 150.0)
    click(picker, "xz", -200.0, 130.0)
    np.testing.assert_allclose(centers(picker)[-1], [130.0, 250.0, -200.0])
    click(picker, "yz", -130.0, -250.0)
    np.testing.assert_allclose(centers(picker)[-1], [-130.0, -250.0, -200.0])
    for spin, angle_deg in zip(picker.panel.frame, (20.0, 70.0, -50.0), strict=True):
        spin.setValue(angle_deg)
    picker.scene.go_to((20.0, 200.0, 200.0))
    click(picker, "oblique", 30.0, -80.0)
    frame = picker.board.frame
    expected = np.array([200.0, 200.0, 20.0]) + 30.0 * frame[:, 0] - 80.0 * frame[:, 1]
    np.testing.assert_allclose(centers(picker)[-1][::-1], expected, atol=1e-9)


def test_click_on_a_pick_selects_it_and_shift_adds_to_the_selection(picker):
    click(picker, "xy", 30.0, 20.0)
    np.testing.assert_array_equal(picker.session.selection, [0])
    click(picker, "xy", -150.0, 200.0, extends=True)
    np.testing.assert_array_equal(picker.session.selection, [0, 1])
    click(picker, "xy", 250.0, -250.0)
    assert not len(picker.session.selection)
    assert picker.scene.place_ang_zyx == (0.0, -250.0, 250.0)


def test_neighbour_that_touches_a_pick_can_be_added(picker):
    picker.set_tool("add")
    click(picker, "xy", 20.0, 0.0)
    np.testing.assert_array_equal(picker.session.selection, [0])
    click(picker, "xy", 50.0, 0.0)
    np.testing.assert_array_equal(picker.session.selection, [3])


def test_pick_out_of_the_slab_cannot_be_hit(picker):
    click(picker, "xy", 100.0, 0.0)
    assert not len(picker.session.selection), "120 Å above the slice a ball of 120 Å is not seen"


def test_drag_moves_the_selected_picks_within_the_plane_as_one_change(picker):
    picker.session.select([0, 1])
    assert drag(picker, "xz", (10.0, 10.0), (60.0, -30.0))
    np.testing.assert_allclose(centers(picker)[:2], PLACES[:2] + np.array([-40.0, 0.0, 50.0]))
    picker.undo()
    np.testing.assert_allclose(centers(picker), PLACES)
    assert not picker.session.can_undo


def test_drag_beside_picks_is_left_to_the_pane(picker):
    assert not drag(picker, "xy", (250.0, -250.0), (200.0, -200.0))
    assert not picker.session.can_undo


def test_brush_erases_what_is_seen_under_it_as_one_change(picker):
    picker.set_tool("erase")
    picker.panel.brush.setValue(100.0)
    assert drag(picker, "xy", (-150.0, 200.0), (20.0, 0.0))
    np.testing.assert_allclose(centers(picker), PLACES[2:])
    picker.undo()
    np.testing.assert_allclose(centers(picker), PLACES)


def test_drag_at_the_rim_spins_a_pick_about_the_line_of_sight(picker):
    picker.set_tool("rotate")
    for pane in ("xy", "xz", "yz"):
        plane = Plane.of_pane(pane, (0.0, 0.0, 0.0))
        drag(picker, pane, (55.0, 0.0), (0.0, 55.0))
        matrix = Rotation.from_quat(picker.session.picks[QUATERNIONS][0]).as_matrix()
        np.testing.assert_allclose(matrix @ plane.axes_zyx[0, ::-1], plane.axes_zyx[1, ::-1], atol=1e-9)
        picker.undo()


def test_drag_in_the_middle_tilts_a_pick_after_the_mouse(picker):
    picker.set_tool("rotate")
    drag(picker, "xy", (0.0, 0.0), (30.0, 0.0))
    matrix = Rotation.from_quat(picker.session.picks[QUATERNIONS][0]).as_matrix()
    front = matrix @ [0.0, 0.0, -1.0]
    angle = 30.0 / 60.0
    np.testing.assert_allclose(front, [np.sin(angle), 0.0, -np.cos(angle)], atol=1e-9)
    assert picker.session.last_note.startswith("Turned 1 pick of ball")


def test_keys_turn_the_selected_picks_about_their_own_axes(picker):
    picker.session.select([1])
    acts = acts_of(picker)
    acts["Z"]()
    acts["Shift-X"]()
    expected = Rotation.from_euler("z", 5, degrees=True) * Rotation.from_euler("x", -5, degrees=True)
    found = Rotation.from_quat(picker.session.picks[QUATERNIONS][1])
    assert (found.inv() * expected).magnitude() < 1e-9


def test_oblique_plane_lies_in_the_selected_pick_and_follows_it(picker):
    picker.session.turn(np.array([1]), Rotation.from_euler("zyz", [20, 40, -70], degrees=True).as_quat())
    picker.go_to_pick(1)
    picker.lay_into_pick()
    turns = picker.session.picks[QUATERNIONS][1]
    np.testing.assert_allclose(picker.board.frame, Rotation.from_quat(turns).as_matrix(), atol=1e-9)
    picker.panel.follows.setChecked(True)
    picker.session.select([0])
    np.testing.assert_allclose(picker.board.frame, np.eye(3), atol=1e-9)


def test_snap_on_click_leads_to_the_middle(picker):
    picker.panel.snaps.setChecked(True)
    picker.delete_picks()
    picker.session.delete(np.array([0]))
    picker.set_tool("add")
    click(picker, "xy", 20.0, -15.0)
    np.testing.assert_allclose(centers(picker)[-1], PLACES[0], atol=3.0)
    picker.undo()
    np.testing.assert_allclose(centers(picker)[-1], [0.0, -15.0, 20.0])


def test_score_line_hides_and_deletes_what_is_below(picker):
    picker.panel.scores.line.setValue(0.4)
    assert len(picker.session.shown()) == 2
    picker.panel.drop_hidden.click()
    np.testing.assert_allclose(centers(picker), PLACES[1:])
    picker.undo()
    np.testing.assert_allclose(centers(picker), PLACES)


def test_type_table_changes_types_and_refuses_nonsense(picker):
    table = picker.panel.types
    table.item(0, 2).setText("250")
    assert picker.session.types[0].diameter_ang == 250.0
    table.item(0, 3).setText("wide")
    assert table.item(0, 3).text() == "180"
    picker.panel.add_type.click()
    picker.session.select([0, 2])
    acts_of(picker)["2"]()
    np.testing.assert_array_equal(picker.session.picks[TYPE][:3], [1, 0, 1])
    assert [table.item(row, 5).text() for row in (0, 1)] == ["1", "2"]


def test_saving_makes_a_job_of_every_changed_tomogram(picker, qtbot, project):
    picker.set_tool("add")
    click(picker, "xy", 200.0, -200.0)
    picker.step_tomogram(1)
    assert picker.session.tomogram == "TS_02"
    click(picker, "xy", 0.0, 0.0)
    with qtbot.waitSignal(picker.saved, timeout=LONG_MS):
        picker.panel.save.click()
    saved = {name: project.load(ParticleSet, name) for name in ("TS_01", "TS_02")}
    assert [len(saved[name]) for name in ("TS_01", "TS_02")] == [4, 1]
    np.testing.assert_array_equal(saved["TS_01"].score, [0.2, 0.5, 0.9, np.nan])
    record = project.jobs()[-1]
    assert record.inputs["TS_02"].keys() == {"TiltSeries", "Tomogram"}
    assert "Added 1 pick of ball" in record.params["note"]
    assert not picker.panel.save.isEnabled()


def test_saved_session_begins_afresh_and_unsaved_one_goes_on(picker, qtbot, project):
    picker.set_tool("add")
    click(picker, "xy", 200.0, -200.0)
    picker.close_project()
    picker.open_project(project.folder)
    assert picker.session.can_undo
    assert len(centers(picker)) == 4
    with qtbot.waitSignal(picker.saved, timeout=LONG_MS):
        picker.save()
    picker.close_project()
    picker.open_project(project.folder)
    assert not picker.session.can_undo
    assert len(centers(picker)) == 4


def test_tomogram_without_any_pick_left_is_saved_and_opened_again(picker, qtbot, project):
    picker.select_all()
    picker.delete_picks()
    with qtbot.waitSignal(picker.saved, timeout=LONG_MS):
        picker.save()
    assert len(project.load(ParticleSet, "TS_01")) == 0
    picker.close_project()
    picker.open_project(project.folder)
    assert not len(centers(picker))


def test_opening_the_same_project_again_changes_nothing(picker, project):
    picker.set_tool("add")
    click(picker, "xy", 200.0, -200.0)
    picker.open_project(project.folder)
    assert picker.session.can_undo
    assert len(centers(picker)) == 4


def test_wheel_with_control_steps_through_the_slices_of_a_pane(picker):
    picker._handle(gesture(picker, "step", "xz", 1.0, 0.0))
    assert picker.scene.place_ang_zyx == (0.0, 10.0, 0.0)
    picker.panel.look.thickness.setValue(5)
    picker._handle(gesture(picker, "step", "xy", -1.0, 0.0))
    assert picker.scene.place_ang_zyx == (-50.0, 10.0, 0.0)


def test_slider_of_the_viewer_moves_the_panes(picker, qtbot):
    settle(picker, qtbot)
    picker.viewer.dims.set_point(0, 50.0)
    settle(picker, qtbot)
    assert picker.scene.place_ang_zyx == (50.0, 0.0, 0.0)
    np.testing.assert_array_equal(picker.board.images["xy"].image, picker.tomogram.volume[25])


def test_undo_leads_back_to_the_tomogram_it_was_done_in(picker):
    picker.set_tool("add")
    click(picker, "xy", 200.0, -200.0)
    picker.step_tomogram(1)
    picker.undo()
    assert picker.session.tomogram == picker.panel.tomograms.currentText() == "TS_01"
    assert picker.tomogram.name == "TS_01"


def test_second_picker_on_a_project_is_refused_until_the_first_is_gone(qtbot, project, monkeypatch):
    picker = Picker(ViewerModel(), project.folder)
    settle(picker, qtbot)
    said = []
    monkeypatch.setattr("napari_tomoflow.gui.telling.show_error", said.append)
    other = Picker(ViewerModel(), project.folder)
    assert other.picks is None
    assert "are open in process" in said[0]
    delete(picker)
    other.open_project(project.folder)
    settle(other, qtbot)
    assert len(centers(other)) == 3, "the first has let go"
    delete(other)


def test_picks_on_a_tilt_lie_where_the_alignment_projects_them(picker, project):
    series = project.load(TiltSeries, "TS_01")
    alignment = Alignment.nominal(series)
    picker.toggle_tilts()
    tilts = picker.scene.tilts
    for tilt in (0, 3):
        rank = int(np.flatnonzero(np.argsort(series.tilt_deg) == tilt)[0])
        picker.viewer.dims.set_point(0, rank * series.pixel_ang)
        picker.scene.show_on_canvas()
        expected = alignment.project(PLACES)[0][tilt]
        world = np.array([tilts.points.data_to_world(place) for place in tilts.points.data])
        np.testing.assert_allclose(world[:, 1:], expected, atol=1e-3)
        np.testing.assert_allclose(places_on_tilt(alignment, tilt, PLACES), expected)
    picker.toggle_tilts()
    assert picker.viewer.layers["TS_01"].visible
    assert picker.scene.place_ang_zyx == (0.0, 0.0, 0.0)


def test_canvas_of_the_viewer_takes_clicks_and_drags_too(picker, qtbot, MouseEvent):
    def mouse(*places):
        view = {"view_direction": None, "dims_displayed": [1, 2], "dims_point": picker.viewer.dims.point}
        event = MouseEvent(type="mouse_press", is_dragging=False, position=places[0], **view)
        event.modifiers, event.button = (), 1
        mouse_press_callbacks(picker.viewer, event)
        is_handled = event.handled
        for event.position in places[1:]:
            event.type, event.is_dragging = "mouse_move", True
            mouse_move_callbacks(picker.viewer, event)
        event.type, event.is_dragging = "mouse_release", False
        mouse_release_callbacks(picker.viewer, event)
        return is_handled

    assert mouse((0.0, 10.0, 10.0), (0.0, 30.0, 10.0), (0.0, 50.0, 40.0))
    np.testing.assert_allclose(centers(picker)[0], [0.0, 40.0, 30.0])
    picker.set_tool("add")
    assert not mouse((0.0, -200.0, 200.0))
    np.testing.assert_allclose(centers(picker)[-1], [0.0, -200.0, 200.0])
    settle(picker, qtbot)
    assert len(picker.viewer.layers["picks in view"].data) == 3


def test_every_key_that_is_told_does_something(picker):
    assert set(KEYS) <= set(acts_of(picker))
    bound = {str(key) for key in picker.viewer.layers["picks in view"].keymap}
    assert {key.replace("Control", "Ctrl").replace("-", "+") for key in KEYS} <= bound


def test_text_on_the_canvas_tells_the_keys(picker):
    text = picker.viewer.canvas.overlays.text.text
    assert text.startswith("TS_01    10 Å per voxel")
    assert "S select   A add   E erase" in text


@pytest.mark.parametrize("width_px", [220, 300, 600])
def test_text_on_a_narrow_canvas_is_broken_so_that_none_of_it_is_cut_off(picker, width_px):
    picker.viewer.canvas.size = (800, width_px)
    overlay = picker.viewer.canvas.overlays.text
    metrics = QFontMetricsF(QFont(QApplication.font().family(), int(overlay.font_size)))
    lines = overlay.text.splitlines()
    assert max(metrics.horizontalAdvance(line) for line in lines) * 96 / 72 < width_px - 10
    assert " ".join(overlay.text.split()).endswith(" ".join(CANVAS_KEYS.split()))
    assert len(lines) < 14


def test_what_is_drawn_is_the_pick(shown_picker, qtbot):
    picker = shown_picker
    picker.panel.arrows.setChecked(False)
    picker.session.change_type(0, colour="#ff0000")
    settle(picker, qtbot)
    qtbot.wait(200)
    image = picker.board.grab().toImage()
    box = picker.board._boxes["xy"]
    for angle in (0.5, 2.0, 4.0):
        spot = picker.board.mapFromScene(box.mapViewToScene(QPointF(60.0 * np.cos(angle), 60.0 * np.sin(angle))))
        colours = [image.pixelColor(spot.x() + dx, spot.y() + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
        assert max(one.red() - one.green() for one in colours) > 150


def test_spheres_shrink_away_from_a_slab():
    found = seen_radius(np.array([0.0, 20.0, 80.0, 111.0, -80.0]), np.full(5, 100.0), 20.0)
    np.testing.assert_allclose(found, [100.0, np.sqrt(1e4 - 100.0), np.sqrt(1e4 - 4900.0), 0.0, np.sqrt(1e4 - 4900.0)])


def test_outlines_are_closed_and_apart():
    x, y, goes_on = outlines(np.array([[0.0, 0.0], [50.0, 10.0]]), np.array([10.0, 20.0]), "box")
    np.testing.assert_allclose(np.abs(x[:5]), 10.0)
    np.testing.assert_allclose([x[5:].min(), x[5:].max(), y[5:].min(), y[5:].max()], [30.0, 70.0, -10.0, 30.0])
    assert goes_on.tolist() == [True] * 4 + [False] + [True] * 4 + [False]
    x, y, _ = outlines(np.array([[3.0, 4.0]]), np.array([10.0]), "sphere")
    np.testing.assert_allclose(np.hypot(x - 3.0, y - 4.0), 10.0)
    x, y, _ = arrows(np.array([[1.0, 2.0]]), np.array([[10.0, 0.0]]))
    assert (x[1], y[1]) == (11.0, 2.0)


def test_picks_saved_by_hand_open_in_the_picker_from_the_dock(make_napari_viewer, qtbot, project):
    viewer = make_napari_viewer()
    dock = TomoflowDock(viewer, project.folder)
    viewer.window.add_dock_widget(dock, name="Tomoflow")
    dock.open_cell("TS_01", "edit")
    (picker,) = [one for one in viewer.window.dock_widgets.values() if isinstance(one, Picker)]
    settle(picker, qtbot)
    assert picker.session.tomogram == "TS_01"
    np.testing.assert_allclose(centers(picker), PLACES)


def test_double_click_on_picks_of_any_stage_opens_just_those(qtbot, make_napari_viewer, project):
    matched = ParticleSet(
        centers_ang_zyx=PLACES[:2], tomogram=np.array("TS_01"), features={"diameter_ang": np.full(2, 105.0)}
    )
    job = record_finished(project, "match", 1, MakeParams(), {"TS_01": Made([matched], {})}).number
    record_edit(project, "TS_01", [matched[:1]], note="Took one out.", of_job=job)
    viewer = make_napari_viewer(show=True)
    dock = TomoflowDock(viewer, project.folder)
    viewer.window.add_dock_widget(dock, name="Tomoflow", area="right")
    dock.refresh()
    column = dock.table.rows.stages.index("match")
    spot = dock.table.visualRect(dock.table.rows.index(0, column)).center()
    for press in (QTest.mouseClick, QTest.mouseDClick):
        press(dock.table.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, spot)
    (picker,) = [one for one in viewer.window.dock_widgets.values() if isinstance(one, Picker)]
    settle(picker, qtbot)
    np.testing.assert_allclose(centers(picker), PLACES[:2])
    assert picker.session.types[0].diameter_ang == 105.0
    picker.open_tomogram("TS_01")
    np.testing.assert_allclose(centers(picker), PLACES[:1])
    picker.open_tomogram("TS_01", job)
    np.testing.assert_allclose(centers(picker), PLACES[:2])
    assert picker.session.last_note == f"Took the 2 picks of job {job}."
    picker.undo()
    np.testing.assert_allclose(centers(picker), PLACES[:1])
    settle(picker, qtbot)


def test_picks_of_a_job_do_not_take_the_place_of_what_was_not_saved_unseen(picker, project):
    other = ParticleSet(centers_ang_zyx=PLACES[:1], tomogram=np.array("TS_01"))
    job = record_edit(project, "TS_01", [other], note="Made up.", of_job=2).number
    picker.session.add((10.0, 20.0, 30.0))
    picker.open_tomogram("TS_01", job)
    assert len(centers(picker)) == 1
    assert picker.session.unsaved() == ("TS_01",)
    picker.undo()
    assert len(centers(picker)) == 4


def test_the_window_stays_as_narrow_as_it_was_and_the_tomogram_is_seen_whole(shown_picker):
    assert shown_picker.window().width() == 1400
    shares = []
    for pane, box in shown_picker.board._boxes.items():
        image = shown_picker.board.images[pane]
        place, view = image.mapRectToParent(image.boundingRect()), box.viewRect()
        assert view.adjusted(-1.0, -1.0, 1.0, 1.0).contains(place)
        if pane != "oblique":
            shares.append(max(place.width() / view.width(), place.height() / view.height()))
    assert max(shares) > 0.95


def test_one_pane_gets_all_the_room_and_gives_it_back(shown_picker, qtbot):
    board = shown_picker.board
    before = {pane: box.rect().width() * box.rect().height() for pane, box in board._boxes.items()}
    shown_picker.board._hover(board._boxes["yz"].sceneBoundingRect().center())
    QTest.keyClick(board, Qt.Key.Key_F)
    settle(shown_picker, qtbot)
    assert [pane for pane, box in board._boxes.items() if box.isVisible()] == ["yz"]
    alone = board._boxes["yz"].rect()
    assert alone.width() * alone.height() > 0.8 * board.width() * board.height()
    click(shown_picker, "yz", 150.0, -250.0)
    np.testing.assert_allclose(shown_picker.scene.place_ang_zyx[:2], (150.0, -250.0), atol=1e-6)
    QTest.keyClick(board, Qt.Key.Key_F)
    settle(shown_picker, qtbot)
    assert {pane: box.rect().width() * box.rect().height() for pane, box in board._boxes.items()} == before


def test_the_panes_leave_their_room_to_the_tilts_on_the_canvas(shown_picker, qtbot):
    shown_picker.toggle_tilts()
    assert shown_picker.seen.isHidden()
    shown_picker.toggle_tilts()
    assert shown_picker.seen.isVisible()
    settle(shown_picker, qtbot)


def test_tomogram_of_a_file_is_picked_without_a_project(qtbot, make_napari_viewer):
    viewer = make_napari_viewer()
    picker = Picker(viewer)
    assert picker.picks is None
    show_noun(viewer, balls(PLACES, diameter_ang=120.0, origin_ang_zyx=(0.0, 0.0, 0.0)).replace(name="dropped"))
    qtbot.waitUntil(lambda: picker.session.tomogram == "dropped", timeout=LONG_MS)
    settle(picker, qtbot)
    picker.set_tool("add")
    click(picker, "xy", 30.0, 10.0)
    assert picker.panel.save.text() == "Make layers"
    picker.save()
    settle(picker, qtbot)
    (layer,) = [layer for layer in viewer.layers if isinstance(layer.metadata.get("tomoflow"), ParticleSet)]
    found = from_layer(layer.as_layer_data_tuple())
    np.testing.assert_allclose(found.centers_ang_zyx, [[0.0, 10.0, 30.0]])
    assert set(found.tomogram) == {"dropped"}
    assert not picker.session.unsaved()
    delete(picker)
    again = Picker(viewer)
    qtbot.waitUntil(lambda: again.session.tomogram == "dropped", timeout=LONG_MS)
    np.testing.assert_allclose(centers(again), [[0.0, 10.0, 30.0]])
    settle(again, qtbot)
    delete(again)
