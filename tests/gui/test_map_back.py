"""Averages in the viewer: surfaces where the particles are, in colours that tell, and a click that means a particle."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_tomoflow.core.model import MappedBack, ParticleSet, Tomogram
from napari_tomoflow.core.model.placement import LABEL
from napari_tomoflow.core.params import Params
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.core.stages.map_back import map_back
from napari_tomoflow.gui.dock import TomoflowDock
from napari_tomoflow.gui.map_back.meshes import Mesh, first_hit, mesh_of, placed_mesh, thinned
from napari_tomoflow.gui.map_back.scene import PlacedScene
from napari_tomoflow.gui.map_back.view import PlacedAverages
from napari_tomoflow.gui.picker.picker import Picker
from napari_tomoflow.io.placement_colours import colours_of
from napari_tomoflow.project import run
from unit.mapping_back import placed as sample

from .conftest import DAWDLE, DawdleParams


@pytest.fixture(scope="module")
def placed():
    return map_back(sample.tomogram(), sample.ensemble(9, ("hook", "proteasome")))


class PlaceParams(Params):
    """Nothing to choose."""


def place(tomogram: Tomogram, params: PlaceParams, report: Report = silent) -> MappedBack:
    """Place averages without averaging."""
    report(1, 1, "Placing")
    given = sample.ensemble(4, tomograms=(tomogram.name,))
    return map_back(sample.tomogram().replace(name=tomogram.name), given)


def strew(tomogram: Tomogram, params: PlaceParams, report: Report = silent) -> ParticleSet:
    """Pick what will be placed, 2 nm off and in the other order."""
    particles = sample.ensemble(4, tomograms=(tomogram.name,)).particles
    return particles.replace(centers_ang_zyx=np.add(particles.centers_ang_zyx, (0, 0, 20.0)))[::-1]


STREW, PLACE = (Stage.of(one, version=1) for one in (strew, place))


def test_mesh_of_an_average_is_its_surface_with_no_more_faces_than_allowed(placed):
    fine, coarse = (mesh_of(placed.maps["hook"], placed.levels["hook"], sample.VOXEL_ANG, n) for n in (10**6, 300))
    assert len(coarse.faces) <= 300 < len(fine.faces)
    assert coarse.faces.max() < len(coarse.corners_ang_zyx)
    np.testing.assert_allclose(coarse.corners_ang_zyx.min(0), fine.corners_ang_zyx.min(0), atol=12)
    np.testing.assert_allclose(coarse.corners_ang_zyx.max(0), fine.corners_ang_zyx.max(0), atol=12)
    molecule = sample.hook().points_ang_xyz[:, ::-1]
    np.testing.assert_allclose(fine.corners_ang_zyx.min(0), molecule.min(0), atol=12)
    np.testing.assert_allclose(fine.corners_ang_zyx.max(0), molecule.max(0), atol=12)


def test_thinning_keeps_no_face_twice_and_none_without_area(placed):
    fine = mesh_of(placed.maps["proteasome"], placed.levels["proteasome"], 10.0, 10**6)
    thin = thinned(fine, 30.0)
    assert len(np.unique(np.sort(thin.faces, axis=1), axis=0)) == len(thin.faces) > 20
    assert all(len(set(face)) == 3 for face in thin.faces.tolist())


def test_copies_lie_where_poses_put_them(placed):
    mesh = Mesh(np.float32([[1, 2, 3], [4, 5, 6], [7, 8, 10]]), np.int32([[0, 1, 2]]))
    particles = placed.particles
    copies = placed_mesh(mesh, particles.centers_ang_zyx, particles.matrices)
    assert len(copies.faces) == len(particles)
    for row, pose in enumerate(particles.matrices):
        expected = (mesh.corners_ang_zyx[:, ::-1] @ pose.T)[:, ::-1] + particles.centers_ang_zyx[row]
        np.testing.assert_allclose(copies.corners_ang_zyx[copies.faces[row]], expected, rtol=1e-4)


def test_ray_meets_the_nearest_face_or_none():
    square = np.float32([[0, 0, 0], [0, 0, 10], [0, 10, 0], [5, 0, 0], [5, 0, 10], [5, 10, 0]])
    mesh = Mesh(square, np.int32([[0, 1, 2], [3, 4, 5]]))
    up, down = np.array([1.0, 0, 0]), np.array([-1.0, 0, 0])
    assert first_hit(mesh, np.array([-100.0, 2, 2]), up) == pytest.approx(100.0)
    assert first_hit(mesh, np.array([100.0, 2, 2]), down) == pytest.approx(95.0)
    assert first_hit(mesh, np.array([-100.0, 8, 8]), up) == np.inf
    assert first_hit(mesh, np.array([-100.0, 2, 2]), np.array([0.0, 1, 0])) == np.inf


def test_every_particle_has_a_surface_and_a_label_in_its_colour(placed):
    scene = PlacedScene(ViewerModel(), placed, 5000)
    assert scene.n_faces <= 5000
    for by in ("species", "score", "neighbour"):
        scene.colour(by)
        expected = colours_of(placed, by)
        for row, centre in enumerate(placed.particles.centers_ang_zyx):
            corners = np.asarray(scene.surfaces.vertices)
            nearest = np.argmin(np.linalg.norm(corners - centre, axis=1))
            if placed.neighbours.distance_ang[placed.neighbours.of == row].min() > 160:
                np.testing.assert_allclose(scene.surfaces.vertex_colors[nearest][:3], expected[row], atol=1e-6)
            label = placed.particles.features[LABEL][row]
            np.testing.assert_allclose(scene.labels.get_color(int(label))[:3], expected[row], atol=0.01)


def test_labels_and_surfaces_lie_over_each_other_in_the_world(placed):
    scene = PlacedScene(ViewerModel(), placed, 5000)
    inside = np.argwhere(placed.labels == 1)
    world = np.array([scene.labels.data_to_world(index) for index in inside])
    assert next(iter(scene.meshes)) == placed.species[0], "the first particle is the first in the layer"
    corners = np.asarray(scene.surfaces.vertices)[: len(scene.meshes[placed.species[0]].corners_ang_zyx)]
    np.testing.assert_allclose(world.min(0), corners.min(0), atol=2.5 * sample.VOXEL_ANG)
    np.testing.assert_allclose(world.max(0), corners.max(0), atol=2.5 * sample.VOXEL_ANG)


def test_slices_show_labels_and_space_shows_surfaces(placed):
    viewer = ViewerModel()
    scene = PlacedScene(viewer, placed, 5000)

    def seen():
        return [layer.visible for layer in (scene.painted, scene.labels, scene.surfaces)]

    assert seen() == [False, True, False]
    viewer.dims.ndisplay = 3
    assert seen() == [False, False, True]
    scene.show_painted(True)
    assert seen() == [True, False, False]
    scene.close()
    assert len(viewer.layers) == 0
    viewer.dims.ndisplay = 2
    assert not scene.is_in_view


def test_ray_through_a_particle_finds_the_first_of_those_behind_each_other(placed):
    scene = PlacedScene(ViewerModel(), placed, 5000)
    hooks = np.flatnonzero(placed.species == "hook")
    for row in hooks:
        centre = placed.particles.centers_ang_zyx[row]
        # From just outside its own reach, nothing else is met before.
        others = np.delete(placed.particles.centers_ang_zyx, row, axis=0) - centre
        way = -others.mean(axis=0) / np.linalg.norm(others.mean(axis=0))
        found = scene.particle_on_ray(centre + 60.0 * way, -way)
        assert found is not None
        assert np.linalg.norm(placed.particles.centers_ang_zyx[found] - centre) < 160
    far = np.array([1e4, 1e4, 1e4])
    assert scene.particle_on_ray(far, np.array([1.0, 0, 0])) is None
    assert scene.particle_at(far) is None
    assert scene.particle_at(placed.particles.centers_ang_zyx[3] + 5.0) == 3


def click(view, viewer, position, direction=None, moves=0):
    """Press and release the mouse, as napari tells its callbacks."""

    class Event:
        type = "mouse_press"

    event = Event()
    event.position, event.view_direction = position, direction
    callback = view._take_press(viewer, event)
    next(callback)
    for kind in [*["mouse_move"] * moves, "mouse_release"]:
        event.type = kind
        next(callback, None)


@pytest.fixture
def view(qtbot, placed):
    view = PlacedAverages(ViewerModel())
    qtbot.addWidget(view)
    view.open_placed(placed, n_faces=5000)
    return view


def test_click_chooses_the_particle_goes_there_and_says_what_it_is(view, placed):
    viewer = view.viewer
    centre = placed.particles.centers_ang_zyx[3]
    click(view, viewer, centre + 3.0)
    assert view.row == 3
    np.testing.assert_allclose(viewer.dims.point, centre, atol=sample.VOXEL_ANG)
    assert f"<b>{placed.particles.ids[3]}</b>" in view.about.text()
    assert str(placed.species[3]) in view.about.text()
    viewer.dims.ndisplay = 3
    row = int(np.flatnonzero(placed.species == "hook")[0])
    centre = placed.particles.centers_ang_zyx[row]
    along = np.array([1.0, 0.0, 0.0])
    click(view, viewer, centre - 1e4 * along, along)
    expected = view.scene.particle_on_ray(centre - 1e4 * along, along)
    assert view.row == expected is not None
    assert view.scene.chosen.visible
    np.testing.assert_allclose(np.asarray(view.scene.chosen.vertices).mean(0), centre, atol=200)


def test_press_that_moves_turns_the_view_and_chooses_nothing(view, placed):
    click(view, view.viewer, placed.particles.centers_ang_zyx[3], moves=2)
    assert view.row is None
    assert not view.to_neighbour.isEnabled()


def test_neighbour_button_goes_from_neighbour_to_neighbour(view, placed):
    view.choose(0)
    view.to_neighbour.click()
    found = placed.neighbours
    assert view.row == found.other[(found.of == 0) & (found.rank == 1)][0]


def test_colour_and_painted_volume_are_chosen_in_the_panel(view, placed):
    view.by.setCurrentText("score")
    assert "…" in view.legend.text()
    shown = np.unique(np.asarray(view.scene.surfaces.vertex_colors)[:, :3], axis=0)
    assert len(shown) == len(np.unique(colours_of(placed, "score"), axis=0))
    view.painted.setChecked(True)
    assert view.scene.painted.visible
    view.close_placed()
    assert len(view.viewer.layers) == 0


def test_result_opens_from_the_table_with_its_tomogram_and_leads_to_its_pick(make_napari_viewer, qtbot, project):
    run(project, DAWDLE, DawdleParams(), series=("TS_01",))
    for stage in (STREW, PLACE):
        run(project, stage, PlaceParams(), series=("TS_01",))
    viewer = make_napari_viewer()
    dock = TomoflowDock(viewer, project.folder)
    viewer.window.add_dock_widget(dock, name="Tomoflow")
    dock.open_cell("TS_01", "place")
    names = [layer.name for layer in viewer.layers]
    assert names == ["TS_01", "TS_01 painted", "TS_01 labels", "TS_01 averages", "TS_01 chosen"]
    (view,) = (each for each in viewer.window.dock_widgets.values() if isinstance(each, PlacedAverages))
    view.choose(1)
    assert view.to_pick.isEnabled()
    view.to_pick.click()
    (picker,) = (each for each in viewer.window.dock_widgets.values() if isinstance(each, Picker))
    qtbot.waitUntil(lambda: picker.is_settled, timeout=20000)
    assert picker.session.tomogram == "TS_01"
    assert picker.session.selection.tolist() == [2]


def test_surfaces_are_drawn_where_their_particles_are(make_napari_viewer, placed):
    viewer = make_napari_viewer(show=True)
    scene = PlacedScene(viewer, placed, 20000)
    viewer.dims.ndisplay = 3
    viewer.reset_view()
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
    bright = picture.max(axis=2) > 60
    assert 0.005 < bright.mean() < 0.6
    seen = {tuple(np.round(colour / colour.max(), 1)) for colour in picture[bright]}
    for colour in np.unique(colours_of(placed), axis=0):
        assert any(np.allclose(one, colour / colour.max(), atol=0.15) for one in seen)
    scene.close()
    empty = viewer.screenshot(canvas_only=True, flash=False)[..., :3]
    assert not np.any(empty.max(axis=2) > 60)
