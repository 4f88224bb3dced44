"""The canvas says what it shows, and what is drawn is not blank."""

import numpy as np
import pytest
from napari.layers import Layer

from napari_tomoflow.core.model import TiltSeries, Tomogram
from napari_tomoflow.gui import pyramid as pyramid_module
from napari_tomoflow.gui.canvas import attend, tilt_text, volume_text
from napari_tomoflow.gui.layers import to_layers
from napari_tomoflow.gui.opening import show_noun


def blob(shape):
    """A bright ball on a dark, noisy ground."""
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"))
    noise = np.random.default_rng(1).normal(0, 0.05, shape)
    return (np.exp(-8 * np.sum(grid**2, axis=0)) + noise).astype(np.float32)


def test_tilt_angle_follows_the_slider(make_napari_viewer, tilt_series):
    viewer = make_napari_viewer()
    show_noun(viewer, tilt_series)
    text = viewer.canvas.overlays.text
    assert text.visible
    assert text.text == "TS_01    tilt 4 of 7    0.0°    9.0 e/Å² before"
    viewer.dims.set_current_step(0, 0)
    assert text.text == "TS_01    tilt 1 of 7    −60.0°    0.0 e/Å² before"
    viewer.dims.set_current_step(0, 6)
    assert text.text == "TS_01    tilt 7 of 7    +60.0°    18.0 e/Å² before    left out: grid bar"


def test_tilt_angle_is_right_beside_a_tomogram_of_other_voxels(make_napari_viewer, tilt_series, tomogram):
    viewer = make_napari_viewer()
    show_noun(viewer, tomogram)
    show_noun(viewer, tilt_series)
    assert "tilt 4 of 7" in viewer.canvas.overlays.text.text


def test_tomogram_says_its_voxel_and_size(make_napari_viewer, tomogram):
    viewer = make_napari_viewer()
    show_noun(viewer, tomogram)
    assert viewer.canvas.overlays.text.text == "TS_01    half1    10 Å per voxel    30 × 20 × 12 (x × y × z)"
    viewer.layers[0].visible = False
    assert viewer.canvas.overlays.text.text == ""


def test_text_goes_with_the_layer(make_napari_viewer, tomogram):
    viewer = make_napari_viewer()
    show_noun(viewer, tomogram)
    viewer.layers.clear()
    assert viewer.canvas.overlays.text.text == ""


def test_attending_twice_is_attending_once(make_napari_viewer, tomogram):
    viewer = make_napari_viewer()
    attend(viewer)
    before = len(viewer.dims.events.current_step.callbacks)
    attend(viewer)
    show_noun(viewer, tomogram)
    assert len(viewer.dims.events.current_step.callbacks) == before


def test_series_without_dose_says_none():
    series = TiltSeries(name="HAADF", images=np.zeros((2, 4, 4)), tilt_deg=[-90.0, 90.0], pixel_ang=180.0)
    assert tilt_text(series, 0) == "HAADF    tilt 1 of 2    −90.0°"
    assert tilt_text(series, 99) == "HAADF    tilt 2 of 2    +90.0°"


def test_whole_tomogram_names_no_half():
    assert volume_text(Tomogram(name="a", volume=np.zeros((2, 3, 4)), voxel_ang=13.678)) == (
        "a    13.68 Å per voxel    4 × 3 × 2 (x × y × z)"
    )


def test_user_layers_are_never_hidden(make_napari_viewer, tilt_series, tomogram):
    viewer = make_napari_viewer()
    mine = viewer.add_image(np.zeros((4, 5, 6)), name="mine")
    show_noun(viewer, tomogram)
    show_noun(viewer, tilt_series)
    assert mine.visible


def test_sliders_step_by_voxels_with_particles_in_view(make_napari_viewer, tomogram, particles):
    viewer = make_napari_viewer()
    show_noun(viewer, tomogram)
    show_noun(viewer, particles)
    assert viewer.dims.range[0].step == pytest.approx(tomogram.voxel_ang)


def test_big_volume_is_prepared_in_the_background(make_napari_viewer, monkeypatch, qtbot):
    monkeypatch.setattr(pyramid_module, "COARSEST_SIZE", 8**3)
    viewer = make_napari_viewer()
    attend(viewer)
    layer = Layer.create(*to_layers(Tomogram(name="big", volume=blob((32, 32, 32)), voxel_ang=10.0))[0])
    viewer.add_layer(layer)
    qtbot.waitUntil(lambda: "100 %" in str(viewer.status), timeout=5000)
    viewer.dims.ndisplay = 3
    assert layer.data_level == len(layer.data) - 1


def test_contrast_in_2d_and_in_3d_are_kept_apart(make_napari_viewer):
    viewer = make_napari_viewer()
    (layer,) = show_noun(viewer, Tomogram(name="ball", volume=-blob((24, 48, 48)), voxel_ang=10.0))
    layer.contrast_limits = (-0.5, 0.1)
    viewer.dims.ndisplay = 3
    low, high = layer.contrast_limits
    assert low < -0.7
    assert -0.2 < high < 0.1
    layer.contrast_limits = (-0.8, 0.0)
    viewer.dims.ndisplay = 2
    assert tuple(layer.contrast_limits) == (-0.5, 0.1)
    viewer.dims.ndisplay = 3
    assert tuple(layer.contrast_limits) == (-0.8, 0.0)


@pytest.mark.parametrize("contrast", ["dark", "bright"])
@pytest.mark.parametrize("ndisplay", [2, 3])
def test_tomogram_is_drawn(make_napari_viewer, qtbot, contrast, ndisplay):
    viewer = make_napari_viewer(show=True)
    volume = blob((24, 48, 48)) * (1 if contrast == "bright" else -1)
    show_noun(viewer, Tomogram(name="ball", volume=volume, voxel_ang=10.0, contrast=contrast))
    viewer.dims.ndisplay = ndisplay
    viewer.canvas.overlays.text.visible = viewer.canvas.overlays.scale_bar.visible = False
    viewer.reset_view()
    qtbot.wait(50)
    pixels = viewer.screenshot(flash=False)[..., :3].astype(float).mean(axis=2)
    rows, columns = pixels.shape
    middle = pixels[rows // 2 - 5 : rows // 2 + 5, columns // 2 - 5 : columns // 2 + 5].mean()
    around = pixels[rows // 2 - 5 : rows // 2 + 5, columns // 2 + rows // 4 : columns // 2 + rows // 4 + 10].mean()
    assert (middle - around) * (1 if contrast == "bright" else -1) > 60


def settled_picture(viewer, qtbot):
    """Draw the canvas once the window, slow on a busy machine, has found its size."""
    pictures = [viewer.screenshot(flash=False)]

    def is_settled():
        pictures.append(viewer.screenshot(flash=False))
        return pictures[-1].shape == pictures[-2].shape

    qtbot.wait(200)
    qtbot.waitUntil(is_settled)
    return pictures[-1]


def test_tilts_are_drawn_with_their_text(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    series = TiltSeries(name="TS", images=blob((5, 48, 48)), tilt_deg=np.linspace(-60, 60, 5), pixel_ang=8.0)
    show_noun(viewer, series)
    with_text = settled_picture(viewer, qtbot)
    assert with_text[..., 0].std() > 10
    viewer.canvas.overlays.text.visible = False
    assert np.any(settled_picture(viewer, qtbot) != with_text)


def test_particles_are_drawn_over_the_tomogram(make_napari_viewer, qtbot, particles):
    viewer = make_napari_viewer(show=True)
    show_noun(viewer, Tomogram(name="ball", volume=blob((24, 48, 48)), voxel_ang=10.0, contrast="bright"))
    qtbot.wait(50)
    gray = viewer.screenshot(flash=False)[..., :3].astype(int)
    assert np.ptp(gray, axis=2).max() == 0
    show_noun(viewer, particles.replace(centers_ang_zyx=particles.centers_ang_zyx * [0, 1, 1]))
    qtbot.wait(50)
    assert np.ptp(viewer.screenshot(flash=False)[..., :3].astype(int), axis=2).max() > 60
