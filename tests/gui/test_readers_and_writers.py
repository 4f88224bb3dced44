"""Files become layers by what they hold, and layers become files that read back the same."""

import numpy as np
import pytest
from npe2 import PluginManifest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Labels, ParticleSet, RawStack, TiltSeries, Tomogram
from napari_tomoflow.gui.layers import to_layers
from napari_tomoflow.gui.readers import get_reader, read_layers, read_noun
from napari_tomoflow.gui.writers import write_image, write_labels, write_points
from napari_tomoflow.io.mrc import open_mrc, write_mrc
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


def test_layer_without_a_scale_is_not_written(tmp_path):
    with pytest.raises(DataError, match="set its units to angstrom"):
        write_image(str(tmp_path / "x.mrc"), np.zeros((2, 3, 4), np.float32), {"name": "mine"})
    assert list(tmp_path.iterdir()) == []


def test_napari_opens_and_saves_through_the_plugin(tmp_path, make_napari_viewer, volume, npe2pm):
    npe2pm.register(PluginManifest.from_distribution("napari-tomoflow"))
    write_mrc(tmp_path / "TS_01.mrc", volume, 13.5)
    viewer = make_napari_viewer()
    viewer.open(str(tmp_path / "TS_01.mrc"), plugin="napari-tomoflow")
    assert "13.5 Å per voxel" in viewer.canvas.overlays.text.text
    assert viewer.layers.save(str(tmp_path / "again.mrc"), plugin="napari-tomoflow") == [str(tmp_path / "again.mrc")]
    np.testing.assert_array_equal(np.asarray(open_mrc(tmp_path / "again.mrc")), volume)
