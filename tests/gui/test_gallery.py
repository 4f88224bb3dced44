"""The gallery: tiles show the picks they stand for, in the order asked for, and a click means that pick."""

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.model import Tomogram
from napari_tomoflow.gui.gallery.gallery import Gallery
from napari_tomoflow.gui.gallery.tiles import DIRECTIONS, columns, sorted_rows, tile
from napari_tomoflow.gui.picker.picker import Picker
from napari_tomoflow.gui.picker.picks import CENTERS, IS_THERE, TYPE
from napari_tomoflow.gui.picker.session import Session

from .test_picker import LONG_MS, PLACES, delete, made_project, project, settle

__all__ = ["made_project", "project"]  # fixtures

UPRIGHT = np.array([0.0, 0.0, 0.0, 1.0])


@pytest.fixture
def gallery(qtbot, project):
    picker = Picker(ViewerModel(), project.folder)
    settle(picker, qtbot)
    gallery = Gallery(None, picker)
    gallery.resize(500, 500)
    gallery.show()
    wait(gallery, qtbot)
    yield gallery
    wait(gallery, qtbot)
    settle(picker, qtbot)
    delete(gallery)
    delete(picker)


def wait(gallery, qtbot):
    qtbot.wait(20)  # the tiles in view are asked for when they are painted
    qtbot.waitUntil(lambda: gallery.is_settled, timeout=LONG_MS)


def bar():
    """Return a bright bar along x, 200 Å long and 40 Å thick, at (20, -30, 50) Å."""
    z, y, x = (np.arange(n) - n // 2 for n in (40, 40, 40))
    volume = np.zeros((40, 40, 40), np.float32)
    volume[np.ix_(np.abs(z - 2) <= 2, np.abs(y + 3) <= 2, np.abs(x - 5) <= 10)] = 1.0
    return Tomogram(name="bar", volume=volume, voxel_ang=10.0, contrast="bright"), np.array([20.0, -30.0, 50.0])


def extent(image):
    """Return height and width of what is brighter than half, voxels."""
    where = np.argwhere(image > 200)
    return tuple((np.ptp(where, axis=0) + 1).tolist())


@pytest.mark.parametrize(("direction", "seen"), [("along z", (5, 21)), ("along y", (5, 21)), ("along x", (5, 5))])
def test_tile_shows_the_particle_from_where_it_says(direction, seen):
    tomogram, center = bar()
    assert extent(tile(tomogram, center, UPRIGHT, direction, 300.0, 200.0)) == seen


def test_tile_in_the_frame_of_the_particle_is_turned_with_it():
    tomogram, center = bar()
    about_z = Rotation.from_euler("z", 90, degrees=True).as_quat()
    assert extent(tile(tomogram, center, about_z, "along its own z", 300.0, 200.0)) == (21, 5)
    along_x = Rotation.from_euler("y", 90, degrees=True).as_quat()
    assert extent(tile(tomogram, center, along_x, "along its own z", 300.0, 200.0)) == (5, 5)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_tile_at_the_edge_and_of_nothing_is_grey(direction):
    tomogram, _ = bar()
    image = tile(tomogram, np.array([-190.0, 190.0, -190.0]), UPRIGHT, direction, 200.0, 100.0)
    assert set(np.unique(image)) == {127}


def test_picks_are_sorted_by_any_column_and_nothing_comes_last():
    session = Session()
    session.open("TS_01")
    rows = session.add([[0.0, 0.0, 30.0], [0.0, 0.0, -10.0], [0.0, 0.0, 20.0]])
    session.picks["score"][rows] = [np.nan, 0.2, 0.9]
    for falls, expected, texts in ((True, [2, 1, 0], ["0.9", "0.2", "–"]), (False, [1, 2, 0], ["0.2", "0.9", "–"])):
        found, said = sorted_rows(session, "score", falls, None)
        assert (found.tolist(), said) == (expected, texts)
    assert sorted_rows(session, "x (Å)", False, None)[1] == ["-10", "20", "30"]
    assert sorted_rows(session, "nearest pick (Å)", True, None)[0].tolist()[0] == 1
    session.delete(np.array([2]))
    session.add_type()
    session.retype(np.array([1]), 1)
    assert sorted_rows(session, "score", True, 1)[0].tolist() == [1]
    assert {"score", "number", "species", "z (Å)"} <= columns(session).keys()


def test_tiles_are_cut_out_for_what_is_in_view(gallery):
    assert gallery.model.rows.tolist() == [2, 1, 0], "the best score first"
    assert gallery.model.n_tiles == 3
    icon = gallery.model.data(gallery.model.index(0), Qt.ItemDataRole.DecorationRole).pixmap(96, 96).toImage()
    middle, corner = icon.pixelColor(48, 48).lightness(), icon.pixelColor(12, 12).lightness()
    assert middle < 80 < corner, "a dark ball on grey"
    assert gallery.model.data(gallery.model.index(0), Qt.ItemDataRole.DisplayRole) == "0.9"


def test_click_goes_there_or_deletes_or_makes_another_type(gallery, qtbot):
    picker = gallery.picker
    gallery.tiles.clicked.emit(gallery.model.index(0))
    np.testing.assert_allclose(picker.scene.place_ang_zyx, PLACES[2])
    picker.session.add_type()
    wait(gallery, qtbot)
    gallery.click.setCurrentText("makes it type 1")
    gallery.tiles.clicked.emit(gallery.model.index(1))
    assert picker.session.picks[TYPE][:3].tolist() == [0, 1, 0]
    wait(gallery, qtbot)
    gallery.click.setCurrentText("deletes the pick")
    gallery.tiles.clicked.emit(gallery.model.index(2))
    assert picker.session.picks[IS_THERE][:3].tolist() == [False, True, True]
    wait(gallery, qtbot)
    assert gallery.model.rows.tolist() == [2, 1]
    picker.undo()
    wait(gallery, qtbot)
    assert gallery.model.rows.tolist() == [2, 1, 0]


def test_selection_is_that_of_the_picker(gallery):
    gallery.picker.session.select([0, 1])
    assert sorted(one.row() for one in gallery.tiles.selectedIndexes()) == [1, 2]
    gallery.tiles.setCurrentIndex(gallery.model.index(0))
    assert gallery.picker.session.selection.tolist() == [2]


def test_thousands_of_picks_are_cut_out_only_where_one_looks(gallery, qtbot):
    rng = np.random.default_rng(0)
    gallery.picker.session.add(rng.uniform(-200, 200, (5000, 3)))
    wait(gallery, qtbot)
    assert gallery.model.rowCount() == 5003
    first = gallery.model.n_tiles
    assert first < 100
    gallery.tiles.scrollToBottom()
    wait(gallery, qtbot)
    assert first < gallery.model.n_tiles < first + 100
    moved = gallery.picker.session.picks[CENTERS][:1] + 5.0
    gallery.picker.session.move(np.array([0]), moved)
    wait(gallery, qtbot)
    assert gallery.tiles.verticalScrollBar().value() > 0, "what was in view stays in view"
