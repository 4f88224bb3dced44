"""Fourier inversion in tiles: as good as the whole volume at once, seamless, as dense as back-projection."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tomoflow.core.model import Alignment, TiltSeries
from napari_tomoflow.core.reconstruction import tiles
from napari_tomoflow.core.reconstruction.density_store import DensityStore
from napari_tomoflow.core.reconstruction.images import VoxelImageMaker
from napari_tomoflow.core.reconstruction.params import ReconstructParams
from napari_tomoflow.core.reconstruction.setting import Setting
from napari_tomoflow.core.reconstruction.wbp import weighted_backprojection
from napari_tomoflow.core.report import silent
from napari_tomoflow.core.stages.reconstruct import reconstruct
from truth import imaged_points

PIXEL_ANG = 10.0
SHAPE_ZYX = (32, 96, 96)
SIGMA_PX = 1.5
PARAMS = ReconstructParams(weighting="ramp", normalise=False)


def specimen_setting(seed=3, n_tilts=41, max_tilt_deg=60.0, **geometry):
    """Image 400 blobs in a slab, and around it as far as the steepest tilt sees: (setting, true density)."""
    rng = np.random.default_rng(seed)
    points_zyx = rng.uniform(-0.5, 0.5, (1200, 3)) * np.array([24, 120, 300]) * PIXEL_ANG
    alignment = Alignment(
        shift_ang_yx=rng.normal(0, 20, (n_tilts, 2)),
        **({"axis_deg": 5.0, "tilt_deg": np.linspace(-max_tilt_deg, max_tilt_deg, n_tilts)} | geometry),
    )  # fmt: skip
    images = np.zeros((n_tilts, 100, 110), np.float32)
    for image, points_yx in zip(images, alignment.project(points_zyx)[0] / PIXEL_ANG, strict=True):
        along_y, along_x = (
            np.exp(-((np.arange(n) - n // 2 - centres[:, None]) ** 2) / (2 * SIGMA_PX**2))
            for n, centres in zip(image.shape, points_yx.T, strict=True)
        )
        image -= along_y.T @ along_x
    series = TiltSeries(name="blobs", images=images, tilt_deg=alignment.tilt_deg, pixel_ang=PIXEL_ANG)
    axes = (
        np.exp(-((np.arange(n) - n // 2 - centres[:, None] / PIXEL_ANG) ** 2) / (2 * SIGMA_PX**2))
        for n, centres in zip(SHAPE_ZYX, points_zyx.T, strict=True)
    )
    truth = -np.einsum("pz,py,px->zyx", *axes, optimize=True) / (SIGMA_PX * np.sqrt(2 * np.pi))
    return Setting(series, alignment, np.arange(n_tilts), 1, SHAPE_ZYX), truth


def computed(method, setting, params=PARAMS):
    volume = np.full(setting.shape_zyx, np.nan, np.float32)
    method(setting, params, silent).write(DensityStore(volume, 1.0), silent)
    return volume


def inner(volume):
    """Leave out what not every tilt sees."""
    return np.asarray(volume)[4:-4, 10:-10, 20:-20]


def correlation(a, b):
    return np.corrcoef(inner(a).ravel(), inner(b).ravel())[0, 1]


@given(st.integers(1, 700), st.sampled_from([32, 64, 100, 256]))
def test_blending_weights_sum_to_one_everywhere(n, size):
    starts, blend = tiles.tile_positions(n, size)
    total = np.zeros(n + 2 * size)
    for start, weights in zip(starts, blend, strict=True):
        total[start + size : start + 2 * size] += weights
    np.testing.assert_allclose(total[size:-size], 1.0, atol=1e-6)
    assert not total[:size].any()
    assert not total[-size:].any()


@pytest.fixture(scope="module")
def blobs():
    return specimen_setting()


@pytest.fixture(scope="module")
def tiled(blobs):
    return computed(tiles.FourierTiles, blobs[0])


def test_tiles_are_as_good_as_the_whole_volume_at_once(blobs, tiled):
    setting, truth = blobs
    image_of = VoxelImageMaker(setting, PARAMS)
    images = [image_of(index) for index in range(len(setting.tilts))]
    cube = tiles.TileInverter(setting, PARAMS, 96)(images, np.zeros(3))
    assert correlation(tiled, truth) >= correlation(cube[32:64], truth) - 1e-3


def test_tiles_are_better_than_back_projection_and_as_dense(blobs, tiled):
    setting, truth = blobs
    projected = computed(weighted_backprojection, setting)
    assert correlation(tiled, truth) > correlation(projected, truth)
    slope = np.polyfit(inner(projected).ravel(), inner(tiled).ravel(), 1)[0]
    assert slope == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("geometry", [{"axis_deg": -80.0}, {"xtilt_deg": 6.0}, {"axis_deg": 40.0, "xtilt_deg": -4.0}])
def test_the_axis_may_lie_anywhere(blobs, tiled, geometry):
    setting, truth = specimen_setting(**geometry)
    # The wedge turns with an x-tilt, and an oblique image sees less: a little is lost, a wrong patch loses all.
    assert correlation(computed(tiles.FourierTiles, setting), truth) > correlation(tiled, blobs[1]) - 0.02


def test_a_volume_smaller_than_a_tile_is_cut_from_one(blobs, tiled):
    setting = Setting(blobs[0].series, blobs[0].alignment, blobs[0].tilts, 1, (10, 14, 20))
    small = computed(tiles.FourierTiles, setting)
    assert np.corrcoef(small.ravel(), tiled[11:21, 41:55, 38:58].ravel())[0, 1] > 0.99


def test_a_volume_thicker_than_a_tile_has_layers_of_tiles(blobs, tiled, monkeypatch):
    monkeypatch.setattr(tiles, "_LARGEST_TILE", 32)
    setting = Setting(blobs[0].series, blobs[0].alignment, blobs[0].tilts, 1, (72, 96, 96))
    thick = computed(tiles.FourierTiles, setting)
    assert correlation(thick[20:52], blobs[1]) > correlation(tiled, blobs[1]) - 0.005


def test_every_tile_is_corrected_for_its_own_defocus(monkeypatch):
    imaged_points.leave_bright_pixels(monkeypatch)
    # Wide, not thick: at 40° the points at either end lie 150 Å above and below the axis.
    points = np.random.default_rng(2).integers([-8, -24, -150], [9, 25, 151], (60, 3))
    params = ReconstructParams(normalise=False, cutoff_per_px=0.4, rolloff_per_px=0.02)

    def volume_of(response, hand, kind):
        series, alignment = imaged_points.series_of(points, response)
        ctf = imaged_points.CTF.replace(hand=hand)
        setting = Setting(series, alignment, np.arange(series.n_tilts), 1, (32, 64, 360), ctf)
        volume = np.empty(setting.shape_zyx, np.float32)
        params_of_kind = params.replace(ctf=kind)
        tiles.FourierTiles(setting, params_of_kind, silent).write(DensityStore(volume, 1.0), silent)
        return volume

    truth = volume_of(np.abs, -1, "none")
    right, flat, wrong = (
        imaged_points.sharpness(volume_of(lambda ctf: ctf, hand, "slabs"), truth, points) for hand in (-1, 0, 1)
    )
    assert right > flat + 0.05 > wrong + 0.1
    assert right > 0.9


def test_the_stage_offers_tiles_in_any_number_type_and_reports_its_progress(blobs, tiled):
    setting, seen = blobs[0], []
    params = PARAMS.replace(method="tiles", dtype="int16", bin=1, thickness_ang=320.0)
    tomogram = reconstruct(setting.series, setting.alignment, params=params, report=lambda *state: seen.append(state))
    assert tomogram.volume.shape == (32, 100, 110)
    densities = tomogram.volume[:, 2:-2, 7:-7] / tomogram.quality["stored_per_density"]
    # The grid of tiles lies elsewhere in a field of another size: streaks and ghosts differ, matter does not.
    assert correlation(densities, tiled) > 0.97
    fractions = [done / total for done, total, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert tomogram.quality["tiles"] == 7 * 7
