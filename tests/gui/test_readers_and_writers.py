"""Files become layers by what they hold, and layers become files that read back the same."""

import numpy as np
import pytest
from npe2 import PluginManifest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import FinishedMap, Labels, ParticleSet, RawStack, TiltSeries, Tomogram
from napari_tomoflow.gui import readers, tomograms_in_view, units
from napari_tomoflow.gui.layers import to_layers
from napari_tomoflow.gui.readers import get_reader, read_layers, read_noun
from napari_tomoflow.gui.writers import write_image, write_labels, write_points
from napari_tomoflow.io.mrc import open_mrc, write_mrc
from napari_tomoflow.io.particle_formats import FORMATS, TomogramFrame
from napari_tomoflow.io.particle_tables import write_particle_table
from napari_tomoflow.io.results import save


@pytest.fixture
def volume():
    return np.random.default_rng(8).normal(size=(6, 10, 12)).astype(np.float32)


@pytest.mark.parametrize("name", ["TS_01.mrc", "TS_01.rec", "TS_01.map"])
def test_volume_opens_as_a_tomogram(name, tmp_path, volume):
    write_mrc(tmp_path / name, volume, 13.5)
    noun = read_noun(tmp_path / name)
    assert isinstance(noun, Tomogram)
    assert (noun.name, noun.voxel_ang) == ("TS_01", 13.5)
    np.testing.assert_array_equal(np.asarray(noun.volume), volume)


@pytest.mark.parametrize("name", ["TS_01.mrc", "TS_01.st"])
def test_stack_with_angles_beside_it_opens_as_a_tilt_series(name, tmp_path, volume):
    write_mrc(tmp_path / name, volume, 8.0, stack=True)
    (tmp_path / "TS_01.rawtlt").write_text("\n".join(map(str, range(-30, 30, 10))))
    noun = read_noun(tmp_path / name)
    assert isinstance(noun, TiltSeries)
    np.testing.assert_array_equal(noun.tilt_deg, range(-30, 30, 10))


def test_stack_without_angles_opens_as_it_is(tmp_path, volume):
    write_mrc(tmp_path / "bare.st", volume, 8.0, stack=True)
    assert isinstance(read_noun(tmp_path / "bare.st"), RawStack)


def test_results_of_a_project_open_as_what_they_are(tmp_path, tilt_series, particles):
    save(tilt_series, tmp_path)
    save(particles, tmp_path)
    assert isinstance(read_noun(tmp_path / "tilt_series.star"), TiltSeries)
    assert isinstance(read_noun(tmp_path / "particles.star"), ParticleSet)


def test_particles_of_relion_open(shared_data):
    path = shared_data("relion5_hiv_project")
    found = [star for star in path.rglob("*.star") if b"_rlnCenteredCoordinateXAngst" in star.read_bytes()]
    noun = read_noun(found[0])
    assert isinstance(noun, ParticleSet)
    assert len(noun) > 0


def test_real_tilt_series_opens(shared_data):
    (layer,) = read_layers(str(shared_data("real_tilt_etspy_needle") / "HAADF.dm3"))
    assert layer[0].shape == (91, 64, 64)
    assert layer[1]["axis_labels"] == ("tilt", "y", "x")


def test_damaged_file_is_told_in_one_sentence(tmp_path):
    (tmp_path / "broken.mrc").write_bytes(b"")
    with pytest.raises(DataError, match=r"broken\.mrc"):
        read_noun(tmp_path / "broken.mrc")


def test_several_files_open_one_after_the_other(tmp_path, volume):
    for name in ("a.mrc", "b.mrc"):
        write_mrc(tmp_path / name, volume, 10.0)
    layers = get_reader("a.mrc")([str(tmp_path / "a.mrc"), str(tmp_path / "b.mrc")])
    assert [layer[1]["name"] for layer in layers] == ["a", "b"]


def test_tomogram_written_and_read_is_the_same(tmp_path, tomogram):
    data, attributes, _ = to_layers(tomogram)[0]
    path = str(tmp_path / "saved.mrc")
    assert write_image(path, data, attributes) == [path]
    back = read_noun(tmp_path / "saved.mrc")
    np.testing.assert_array_equal(np.asarray(back.volume), tomogram.volume)
    assert back.voxel_ang == tomogram.voxel_ang
    np.testing.assert_allclose(back.origin_ang_zyx, tomogram.origin_ang_zyx, atol=1e-3)


def test_tilt_series_is_written_as_a_stack(tmp_path, tilt_series):
    data, attributes, _ = to_layers(tilt_series)[0]
    write_image(str(tmp_path / "saved.st"), data, attributes)
    stack = open_mrc(tmp_path / "saved.st")
    np.testing.assert_array_equal(np.asarray(stack), tilt_series.images)
    assert stack.header.pixel_ang == pytest.approx(8.0)


def test_particles_written_and_read_are_the_same(tmp_path, particles):
    particles = particles.replace(features={"species": particles.features["species"]})
    data, attributes, _ = to_layers(particles)[-1]
    write_points(str(tmp_path / "picks.star"), data, attributes)
    back = read_noun(tmp_path / "picks.star")
    np.testing.assert_allclose(back.centers_ang_zyx, particles.centers_ang_zyx)
    np.testing.assert_allclose(back.quaternions_xyzw, particles.quaternions_xyzw, atol=1e-12)
    np.testing.assert_array_equal(back.tomogram, particles.tomogram)
    np.testing.assert_array_equal(back.ids, particles.ids)
    np.testing.assert_array_equal(back.features["species"], particles.features["species"])


def test_labels_written_and_read_are_the_same(tmp_path, labels):
    data, attributes, _ = to_layers(labels)[0]
    write_labels(str(tmp_path / "seg.mrc"), data, attributes)
    stack = open_mrc(tmp_path / "seg.mrc")
    np.testing.assert_array_equal(np.asarray(stack), labels.volume)
    assert isinstance(labels, Labels)


def test_finished_map_is_written_with_its_voxel(tmp_path):
    volume = np.random.default_rng(3).normal(size=(8,) * 3).astype(np.float32)
    finished = FinishedMap(name="ball", volume=volume, voxel_ang=5.0, mask=volume, halves=(volume, volume))
    ((data, attributes, _),) = to_layers(finished)
    write_image(str(tmp_path / "ball.mrc"), data, attributes)
    saved = read_noun(tmp_path / "ball.mrc")
    np.testing.assert_array_equal(np.asarray(saved.volume), volume)
    assert saved.voxel_ang == pytest.approx(5.0)


def test_layer_without_a_scale_is_not_written(tmp_path):
    with pytest.raises(DataError, match="set its units to angstrom"):
        write_image(str(tmp_path / "x.mrc"), np.zeros((2, 3, 4), np.float32), {"name": "mine"})
    assert list(tmp_path.iterdir()) == []


FRAME = TomogramFrame((20, 30, 40), 10.0)


@pytest.fixture
def tomogram_viewer(make_napari_viewer):
    """Open a viewer on the tomogram TS_01."""
    viewer = make_napari_viewer()
    open_ = Tomogram(name="TS_01", volume=np.zeros(FRAME.shape_zyx, np.float32), voxel_ang=FRAME.voxel_ang)
    for data, attributes, _ in to_layers(open_):
        viewer.add_image(data, **attributes)
    return viewer


def picks(n=9):
    rng = np.random.default_rng(3)
    return ParticleSet(
        centers_ang_zyx=rng.uniform(-0.9, 0.9, (n, 3)) * [100, 150, 200],
        quaternions_xyzw=rng.normal(size=(n, 4)),
        tomogram=np.array("TS_01"),
    )


def assert_same_heights(heights_ang, particles):
    np.testing.assert_allclose(np.sort(heights_ang), np.sort(particles.centers_ang_zyx[:, 0]), atol=1e-3)


def test_every_table_dropped_on_a_tomogram_is_understood_by_it(tomogram_viewer, tmp_path):
    for chosen in FORMATS:
        path = tmp_path / f"{chosen.name}{'_info' if chosen.name == 'eman2' else ''}{chosen.suffixes[0]}"
        write_particle_table(path, picks(), frames=FRAME, program=chosen.name)
        (*_, (data, attributes, kind)) = get_reader(str(path))(str(path))
        assert (kind, len(data)) == ("points", 9), chosen.name
        assert attributes["scale"] == (FRAME.voxel_ang,) * 3
        assert set(attributes["features"]["tomogram"]) == {"TS_01"}
        assert_same_heights(data[:, 0] * FRAME.voxel_ang, picks())


def test_a_table_that_needs_a_tomogram_asks_for_it_to_be_opened(make_napari_viewer, tmp_path):
    make_napari_viewer()
    write_particle_table(tmp_path / "picks.tbl", picks(), frames=FRAME)
    with pytest.raises(DataError, match="open or import the tomogram first"):
        read_layers(str(tmp_path / "picks.tbl"))


def test_of_several_tomograms_the_one_a_table_is_called_after_is_meant_or_else_the_selected_one(
    tomogram_viewer, tmp_path
):
    larger = Tomogram(name="TS_02", volume=np.zeros((40, 60, 80), np.float32), voxel_ang=10.0)
    ((data, attributes, _),) = to_layers(larger)
    tomogram_viewer.add_image(data, **attributes)
    for name in ("TS_01", "picks"):
        (tmp_path / f"{name}.coords").write_text("20 15 10\n")
    assert read_noun(tmp_path / "TS_01.coords").tomogram[0] == "TS_01"
    np.testing.assert_allclose(read_noun(tmp_path / "TS_01.coords").centers_ang_zyx, [[0, 0, 0]])
    assert read_noun(tmp_path / "picks.coords").tomogram[0] == "TS_02"
    np.testing.assert_allclose(read_noun(tmp_path / "picks.coords").centers_ang_zyx, [[-100, -150, -200]])


def test_what_to_know_of_a_table_is_shown(tomogram_viewer, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(tomograms_in_view, "show_warning", shown.append)
    (tmp_path / "picks.coords").write_text("20 15 10\n99 15 10\n")
    read_layers(str(tmp_path / "picks.coords"))
    assert "picks.coords: 1 of 2 particles lie outside" in shown[0]


@pytest.mark.parametrize(
    ("name", "text"), [("notes.txt", "Some notes\n"), ("a.json", "{}"), ("b.csv", "when,who\n1,2\n")]
)
def test_files_that_are_no_tables_are_left_to_other_readers(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert get_reader(str(tmp_path / name)) is None


def test_points_are_saved_as_the_table_their_ending_tells(tomogram_viewer, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(tomograms_in_view, "show_warning", shown.append)
    data, attributes, _ = to_layers(picks().replace(tomogram=np.array("")), FRAME.voxel_ang)[-1]
    for suffix in dict.fromkeys(chosen.suffixes[0] for chosen in FORMATS):
        path = tmp_path / f"saved{suffix}"
        assert write_points(str(path), data, attributes) == [str(path)]
        back = read_noun(path)
        assert set(back.tomogram) == {"TS_01"}, suffix
        assert_same_heights(back.centers_ang_zyx[:, 0], picks())
    without_orientations = {text.partition(":")[0] for text in shown}
    assert without_orientations == {"saved.mod", "saved.cbox", "saved.coords", "saved.box"}


def test_points_of_the_only_tomogram_cannot_be_saved_in_voxels_without_it(tmp_path):
    data, attributes, _ = to_layers(picks())[-1]
    with pytest.raises(DataError, match="shape and the voxel size of the tomogram TS_01"):
        write_points(str(tmp_path / "saved.tbl"), data, attributes)
    assert list(tmp_path.iterdir()) == []


def test_napari_opens_and_saves_through_the_plugin(tmp_path, make_napari_viewer, volume, npe2pm):
    npe2pm.register(PluginManifest.from_distribution("napari-tomoflow"))
    write_mrc(tmp_path / "TS_01.mrc", volume, 13.5)
    viewer = make_napari_viewer()
    viewer.open(str(tmp_path / "TS_01.mrc"), plugin="napari-tomoflow")
    assert "13.5 Å per voxel" in viewer.canvas.overlays.text.text
    assert viewer.layers.save(str(tmp_path / "again.mrc"), plugin="napari-tomoflow") == [str(tmp_path / "again.mrc")]
    np.testing.assert_array_equal(np.asarray(open_mrc(tmp_path / "again.mrc")), volume)


@pytest.mark.parametrize(("said", "x_ang"), [("px", (3 - 6) * 10.0), ("ang", 3.0), ("ang-corner", 3.0 - 60.0)])
def test_a_dropped_table_that_does_not_say_its_unit_asks_for_it(said, x_ang, tmp_path, monkeypatch, volume):
    (tmp_path / "clicks.csv").write_text("x,y,z\n3,5,2\n")
    view = tomograms_in_view.FramesInView({"": TomogramFrame(volume.shape, 10.0)}, "TS_01")
    monkeypatch.setattr(readers, "frames_in_view", lambda: view)
    monkeypatch.setattr(units.napari, "current_viewer", lambda: object())
    monkeypatch.setattr(units, "asked_unit", lambda path: said)
    particles = read_noun(tmp_path / "clicks.csv")
    assert particles.centers_ang_zyx[0, 2] == pytest.approx(x_ang)
    monkeypatch.setattr(units, "asked_unit", lambda path: None)
    with pytest.raises(DataError, match="does not say what its positions are counted in"):
        read_noun(tmp_path / "clicks.csv")
