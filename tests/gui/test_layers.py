"""Nouns go into layers and come back whole; everything overlays in Å."""

from dataclasses import fields

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Layer, Points

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import (
    Alignment,
    DensityMap,
    FinishedMap,
    Frames,
    Labels,
    Movies,
    ParticleSet,
    RawStack,
    SubtiltSet,
    TiltSeries,
    Tomogram,
)
from napari_tomoflow.gui.layers import FROM_LAYER, TO_LAYER, contrast_limits, from_layer, to_layers


def through_a_viewer(noun, **options):
    """Send a noun through real layers, as napari hands them back to a writer."""
    layers = [Layer.create(*layer) for layer in to_layers(noun, **options)]
    return from_layer(layers[-1].as_layer_data_tuple())


def assert_same_noun(got, expected):
    assert type(got) is type(expected)
    for name, value in vars(expected).items():
        if name == "features":
            assert list(got.features) == list(value)
            for column in value:
                np.testing.assert_array_equal(got.features[column], value[column])
                assert got.features[column].dtype == value[column].dtype
        elif name == "quaternions_xyzw":  # made unit length once more
            np.testing.assert_allclose(got.quaternions_xyzw, value, atol=1e-15)
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(got, name), value)
        else:
            assert getattr(got, name) == value


@pytest.fixture
def density():
    return DensityMap(
        name="ball", volume=np.random.default_rng(7).normal(size=(8,) * 3), voxel_ang=5.0, contrast="dark"
    )


@pytest.fixture
def finished(density):
    volume = np.asarray(density.volume, np.float32)
    return FinishedMap(name="ball", volume=volume, voxel_ang=5.0, mask=np.ones_like(volume), halves=(volume, volume))


@pytest.fixture
def subtilts(particles):
    images = np.random.default_rng(8).normal(size=(6, 8, 8)).astype(np.float32)
    return SubtiltSet(particles=particles, particle=np.arange(6), tilt=np.zeros(6), pixel_ang=5.0, images=images)


@pytest.mark.parametrize("kind", ["tilt_series", "tomogram", "particles", "labels", "density", "finished", "subtilts"])
def test_noun_comes_back_whole(kind, request):
    noun = request.getfixturevalue(kind)
    assert_same_noun(through_a_viewer(noun), noun)


def test_every_noun_with_a_picture_has_both_ways():
    assert set(TO_LAYER) == set(FROM_LAYER) == {
        TiltSeries, Movies, Tomogram, ParticleSet, Labels, RawStack, DensityMap, FinishedMap, SubtiltSet,
    }  # fmt: skip


def test_noun_without_a_picture_has_no_layers(tilt_series, subtilts):
    assert to_layers(Alignment.nominal(tilt_series)) == []
    assert to_layers(subtilts.replace(images=None)) == []


def test_volumes_that_were_cut_out_are_shown_plane_by_plane(subtilts):
    volumes = np.random.default_rng(9).normal(size=(48, 8, 8)).astype(np.float32)
    cut = subtilts.replace(images=None, volumes=volumes, sampling=np.ones((48, 8, 5), np.float32))
    (layer,) = to_layers(cut)
    np.testing.assert_array_equal(np.asarray(Layer.create(*layer).data), volumes)
    assert from_layer(layer).volumes is volumes


def test_movies_are_shown_as_the_sums_of_their_frames(tilt_series):
    rng = np.random.default_rng(8)
    stacks = tuple(rng.poisson(2.0, (4, 24, 32)).astype(np.uint8) for _ in range(tilt_series.n_tilts))
    known = {one.name: getattr(tilt_series, one.name) for one in fields(TiltSeries)}
    movies = Movies(**known | {"images": Frames(stacks)})
    layer = Layer.create(*to_layers(movies)[0])
    np.testing.assert_array_equal(np.asarray(layer.data[3]), stacks[3].sum(axis=0))
    back = from_layer(layer.as_layer_data_tuple())
    assert isinstance(back, Movies)
    assert back.images is movies.images


def test_particles_keep_their_places_on_a_voxel_grid(particles):
    back = through_a_viewer(particles, grid_ang=13.68)
    np.testing.assert_allclose(back.centers_ang_zyx, particles.centers_ang_zyx, atol=1e-9)


@pytest.mark.parametrize("kind", ["tilt_series", "tomogram", "particles", "labels", "density", "finished", "subtilts"])
def test_layers_have_scale_units_and_axis_labels(kind, request):
    for data in to_layers(request.getfixturevalue(kind)):
        layer = Layer.create(*data)
        assert {str(unit) for unit in layer.units} == {"angstrom"}
        assert layer.axis_labels == (("tilt", "y", "x") if kind in ("tilt_series", "subtilts") else ("z", "y", "x"))
        assert len(set(layer.scale)) == 1


def test_all_kinds_together_have_one_set_of_units(tilt_series, tomogram, particles, labels):
    viewer = ViewerModel()
    for noun in (tilt_series, tomogram, particles, labels):
        for layer in to_layers(noun):
            viewer.add_layer(Layer.create(*layer))
    assert viewer.layers.units is not None


def test_voxel_n_half_lies_at_the_origin_of_the_volume(tomogram):
    layer = Layer.create(*to_layers(tomogram)[0])
    np.testing.assert_allclose(layer.data_to_world((6, 10, 15)), tomogram.origin_ang_zyx)


def test_particle_and_voxel_at_the_same_place_overlay(tomogram):
    particle = ParticleSet(centers_ang_zyx=[[50.0, 30.0, -40.0]])
    points, volume = (Layer.create(*to_layers(noun)[0]) for noun in (particle, tomogram))
    np.testing.assert_allclose(volume.world_to_data(points.data_to_world(points.data[0])), (6, 13, 13))


def test_orientation_arrows_are_the_turned_axes(particles):
    arrows = Layer.create(*to_layers(particles)[0])
    directions = arrows.data[:, 1].reshape(-1, 3, 3)
    expected = particles.matrices.transpose(0, 2, 1)[:, :, ::-1]
    np.testing.assert_allclose(directions / np.linalg.norm(directions, axis=2, keepdims=True), expected, atol=1e-6)


def test_particles_that_are_not_turned_have_no_arrows():
    assert len(to_layers(ParticleSet(centers_ang_zyx=np.zeros((2, 3))))) == 1


def test_added_and_deleted_particles_come_back(particles):
    layer = Layer.create(*to_layers(particles)[-1])
    layer.selected_data = {0, 1}
    layer.remove_selected()
    layer.add([[1.0, 2.0, 3.0]])
    back = from_layer(layer.as_layer_data_tuple())
    assert len(back) == 5
    np.testing.assert_array_equal(back.ids[:4], particles.ids[2:])
    assert len(set(back.ids)) == 5
    np.testing.assert_allclose(back.centers_ang_zyx[-1], (1, 2, 3))
    np.testing.assert_array_equal(back.quaternions_xyzw[-1], (0, 0, 0, 1))
    assert np.isnan(back.score[-1])


def test_no_particles_at_all_come_back():
    assert len(through_a_viewer(ParticleSet(centers_ang_zyx=np.zeros((0, 3))))) == 0


def test_painted_labels_come_back(labels):
    layer = Layer.create(*to_layers(labels)[0])
    layer.data[0, 0, 0] = 7
    assert from_layer(layer.as_layer_data_tuple()).volume[0, 0, 0] == 7
    assert labels.volume[0, 0, 0] == 0


def test_plain_image_with_a_scale_in_nanometres_becomes_a_tomogram():
    layer = Image(np.zeros((3, 4, 5)), name="mine", scale=(1.2,) * 3, units=("nm",) * 3)
    tomogram = from_layer(layer.as_layer_data_tuple())
    assert (tomogram.name, tomogram.voxel_ang) == ("mine", pytest.approx(12.0))


def test_plain_points_in_angstrom_become_particles():
    layer = Points([[1.0, 2.0, 3.0]], scale=(2.0,) * 3, translate=(1.0, 0.0, 0.0), units=("angstrom",) * 3)
    np.testing.assert_allclose(from_layer(layer.as_layer_data_tuple()).centers_ang_zyx, [[3.0, 4.0, 6.0]])


def test_layer_in_pixels_is_refused_with_its_name():
    with pytest.raises(DataError, match="'mine' has its scale in pixel; set its units"):
        from_layer(Image(np.zeros((3, 4, 5)), name="mine").as_layer_data_tuple())


def test_layer_of_another_kind_is_refused():
    with pytest.raises(DataError, match="of type shapes holds nothing"):
        from_layer(([], {"name": "box"}, "shapes"))


def test_stack_without_pixel_size_counts_in_pixels():
    raw = RawStack(name="bare", source="bare.st", images=np.zeros((3, 4, 5), np.float32))
    _, attributes, _ = to_layers(raw)[0]
    assert attributes["units"] == ("pixel",) * 3
    assert_same_noun(through_a_viewer(raw), raw)


def test_contrast_ignores_gold_and_padding():
    rng = np.random.default_rng(7)
    volume = rng.normal(100, 5, (20, 200, 200)).astype(np.float32)
    volume[:, :20] = 0
    volume[:, 100:104, 100:104] = -5000
    low, high = contrast_limits(volume)
    assert 80 < low < 95
    assert 105 < high < 120


def test_contrast_of_a_flat_or_empty_volume_is_a_range():
    assert contrast_limits(np.full((3, 8, 8), 4.0)) == (4.0, 5.0)
    assert contrast_limits(np.full((3, 8, 8), np.nan)) == (0.0, 1.0)


def test_contrast_reads_only_a_few_planes():
    class Counting:
        shape, dtype = (1000, 64, 64), np.dtype(np.float32)
        planes = 0

        def __getitem__(self, key):
            self.planes += 1
            return np.zeros((64, 64), np.float32) + self.planes

    counting = Counting()
    contrast_limits(counting)
    assert counting.planes <= 7
