"""Three linked slabs of a tomogram: they show what they say, where they say, and so does the other tomogram."""

import numpy as np
import pytest

from napari_tomoflow.core.model import Tomogram
from napari_tomoflow.core.ops.deconvolution import deconvolve
from napari_tomoflow.gui.opening import show_noun
from napari_tomoflow.gui.tomogram_view.slabs import (
    CONTRASTS,
    Filter,
    extent_ang,
    grey_levels,
    index_of,
    oblique_slab,
    slab,
)
from napari_tomoflow.gui.tomogram_view.view import TomogramView

VOXEL_ANG = 10.0
ORIGIN_ANG = (50.0, 0.0, -20.0)


def noise(name="before", seed=1):
    volume = np.random.default_rng(seed).normal(size=(12, 20, 30)).astype(np.float32)
    return Tomogram(name=name, volume=volume, voxel_ang=VOXEL_ANG, origin_ang_zyx=ORIGIN_ANG)


def place_of(z, y, x):
    """Return where a voxel of `noise` lies."""
    index = np.array([z, y, x]) - np.array([12, 20, 30]) // 2
    return tuple((index * VOXEL_ANG + ORIGIN_ANG).tolist())


@pytest.fixture
def view(make_napari_viewer, qtbot):
    viewer = make_napari_viewer()
    show_noun(viewer, noise())
    show_noun(viewer, noise("after", 2))
    view = TomogramView(viewer)
    viewer.window.add_dock_widget(view, name="Tomogram view")
    view.chooser.setCurrentText("before")
    view.other.setCurrentText("after")
    view.go_to(place_of(5, 7, 11))
    settle(view, qtbot)
    yield view
    settle(view, qtbot)


def settle(view, qtbot):
    qtbot.waitUntil(lambda: view.is_drawn, timeout=10000)


def shown(view, pane):
    return view.panes.images[pane].image


@pytest.mark.parametrize(("thickness", "planes"), [(1, 1), (2, 1), (3, 3), (6, 5), (7, 7)])
def test_slab_averages_the_planes_around_its_middle(thickness, planes):
    tomogram = noise()
    z = 6
    found = slab(tomogram, 0, place_of(z, 0, 0)[0], thickness * VOXEL_ANG)
    expected = tomogram.volume[z - planes // 2 : z + planes // 2 + 1].mean(axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_slab_at_the_end_of_the_volume_averages_what_is_there():
    tomogram = noise()
    found = slab(tomogram, 2, extent_ang(tomogram, 2)[1] + 500.0, 5 * VOXEL_ANG)
    np.testing.assert_allclose(found, tomogram.volume[:, :, -3:].mean(axis=2), rtol=1e-5, atol=1e-6)


def test_places_count_from_the_middle_voxel():
    tomogram = noise()
    assert [index_of(tomogram, axis, place_of(2, 3, 4)[axis]) for axis in (0, 1, 2)] == [2, 3, 4]
    low, high = extent_ang(tomogram, 1)
    assert (low, high) == (-105.0, 95.0)


def test_level_oblique_slab_is_the_slab_itself():
    tomogram = noise()
    axes = np.eye(3)[[2, 1, 0]]
    found = oblique_slab(tomogram, np.array(place_of(5, 10, 15)), axes, 10 * VOXEL_ANG, 3 * VOXEL_ANG)
    np.testing.assert_allclose(found, tomogram.volume[4:7, 5:16, 10:21].mean(axis=0), atol=1e-5)


def test_oblique_slab_shows_what_lies_in_its_plane():
    z, y, x = (np.arange(n) - n // 2 for n in (40, 50, 60))
    ramp = (1.0 * z[:, None, None] + 2.0 * y[:, None] + 3.0 * x).astype(np.float32)
    tomogram = Tomogram(name="ramp", volume=ramp, voxel_ang=VOXEL_ANG, origin_ang_zyx=ORIGIN_ANG)
    right, down = np.array([0.6, 0.0, 0.8]), np.array([0.0, 1.0, 0.0])
    center = np.array(place_of(6, 10, 15)) + 10.0
    found = oblique_slab(tomogram, center, np.stack([right, down, np.cross(right, down)]), 8 * VOXEL_ANG, 3 * VOXEL_ANG)
    span = np.arange(-4, 5)
    middle = (center - ORIGIN_ANG) / VOXEL_ANG @ [1.0, 2.0, 3.0]
    expected = middle + 2.0 * span[:, None] + (0.6 + 2.4) * span
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_low_pass_keeps_the_mean_and_falls_to_one_half_where_it_says():
    x = np.arange(120) * VOXEL_ANG
    wave = np.tile(np.cos(2 * np.pi * x / 60.0), (120, 1)).astype(np.float32) + 5.0
    found = Filter(kind="low-pass", lowpass_ang=60.0).apply(wave, VOXEL_ANG)
    middle = found[40:80, 40:80]
    assert found.mean() == pytest.approx(wave.mean(), abs=1e-3)
    assert np.ptp(middle) == pytest.approx(0.5 * np.ptp(wave), rel=0.02)


def test_deconvolution_is_the_one_of_the_core():
    image = noise().volume[0]
    chosen = Filter(kind="deconvolve", defocus_ang=2e4, strength=0.7)
    padded = np.pad(image, [(0, n) for n in image.shape], mode="symmetric") - image.mean()
    expected = deconvolve(padded, VOXEL_ANG, 2e4, chosen.optics, strength=0.7)[: len(image), : image.shape[1]]
    np.testing.assert_allclose(chosen.apply(image, VOXEL_ANG), expected + image.mean(), atol=1e-5)


def test_presets_clip_more_and_more():
    image = noise().volume[0]
    widths = [np.diff(grey_levels(image, contrast))[0] for contrast in CONTRASTS]
    assert widths == sorted(widths, reverse=True)
    low, high = grey_levels(np.full((4, 4), 3.0, np.float32), "normal")
    assert low < high


def test_panes_show_the_slices_through_the_place(view):
    volume = noise().volume
    np.testing.assert_array_equal(shown(view, "xy"), volume[5])
    np.testing.assert_array_equal(shown(view, "xz"), volume[:, 7])
    np.testing.assert_array_equal(shown(view, "yz"), volume[:, :, 11].T)
    assert "x 11, y 7, z 5" in view.about.text()


def test_slices_lie_where_the_crosshair_says(view):
    image = view.panes.images["yz"]
    z, y, _ = place_of(5, 7, 11)
    at = image.mapFromParent(z, y)
    assert (int(at.x()), int(at.y())) == (5, 7)


def test_viewers_slider_moves_the_view_and_back(view, qtbot):
    view.viewer.dims.set_point(0, place_of(9, 0, 0)[0])
    settle(view, qtbot)
    np.testing.assert_array_equal(shown(view, "xy"), noise().volume[9])
    assert view.panes.place_ang_zyx[1:] == place_of(5, 7, 11)[1:]
    view.panes.moved.emit(place_of(3, 2, 1))
    settle(view, qtbot)
    assert view.viewer.dims.point[0] == pytest.approx(place_of(3, 2, 1)[0])
    np.testing.assert_array_equal(shown(view, "yz"), noise().volume[:, :, 1].T)


def test_dragged_crosshair_moves_the_other_panes(view, qtbot):
    upright, _ = view.panes._lines["xy"]
    upright.setValue(place_of(0, 0, 20)[2])
    settle(view, qtbot)
    np.testing.assert_array_equal(shown(view, "yz"), noise().volume[:, :, 20].T)
    np.testing.assert_array_equal(shown(view, "xy"), noise().volume[5])


def test_swapping_shows_the_other_tomogram_at_the_same_place(view, qtbot):
    view.swap_button.click()
    settle(view, qtbot)
    np.testing.assert_array_equal(shown(view, "xz"), noise("after", 2).volume[:, 7])
    view.swap()
    settle(view, qtbot)
    np.testing.assert_array_equal(shown(view, "xz"), noise().volume[:, 7])


def test_thickness_filter_and_contrast_are_applied(view, qtbot):
    view.look.thickness.setValue(3)
    view.look.kind.setCurrentText("low-pass")
    view.look.lowpass.setValue(50.0)
    view.look.contrast.setCurrentText("strong")
    view.look.inverted.setChecked(True)
    settle(view, qtbot)
    expected = Filter(kind="low-pass", lowpass_ang=50.0).apply(noise().volume[4:7].mean(axis=0), VOXEL_ANG)
    np.testing.assert_allclose(shown(view, "xy"), expected, atol=1e-5)
    low, high = grey_levels(shown(view, "xy"), "strong")
    np.testing.assert_allclose(view.panes.images["xz"].levels, (high, low))


def test_tomogram_that_is_closed_is_no_longer_offered(view, qtbot):
    view.viewer.layers.remove("before")
    settle(view, qtbot)
    assert [view.chooser.itemText(i) for i in range(view.chooser.count())] == ["after"]
    np.testing.assert_array_equal(shown(view, "xy"), noise("after", 2).volume[5])
    view.viewer.layers.clear()
    settle(view, qtbot)
    assert "Open a tomogram" in view.about.text()


def test_what_is_drawn_is_the_slice(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    volume = np.zeros((16, 16, 16), np.float32)
    volume[:, :8] = 1.0
    show_noun(viewer, Tomogram(name="half", volume=volume, voxel_ang=VOXEL_ANG))
    view = TomogramView(viewer)
    viewer.window.add_dock_widget(view, name="Tomogram view")
    view.go_to((0.0, 0.0, 0.0))
    settle(view, qtbot)
    qtbot.wait(200)
    picture = view.panes.grab().toImage()
    corner = view.panes.images["xy"].mapRectToScene(view.panes.images["xy"].boundingRect())
    upper, lower = (
        picture.pixelColor(int(corner.left() + 5), int(corner.top() + part * corner.height())).lightness()
        for part in (0.25, 0.75)
    )
    assert upper > 240
    assert lower < 15
