"""Beads, slopes and uneven angles: what is done against them shows in the tomogram."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError, ParamError
from napari_tomoflow.core.model import Alignment, CtfSeries, Landmarks, Optics, TiltSeries
from napari_tomoflow.core.ops import filters
from napari_tomoflow.core.ops.deconvolution import deconvolve
from napari_tomoflow.core.ops.geometry import pixels_from_ang
from napari_tomoflow.core.reconstruction.setting import Setting
from napari_tomoflow.core.reconstruction.wbp import weighted_backprojection
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct
from truth.test_tiles import PARAMS as BLOB_PARAMS
from truth.test_tiles import computed, correlation, specimen_setting

PIXEL_ANG = 10.0
SHAPE_YX = (100, 110)
DIAMETER_ANG = 100.0
GOLD_ZYX = np.array([[50.0, -200, 100], [-60, 150, -220], [0, 250, 300], [20, -320, -330]])
PARAMS = ReconstructParams(weighting="ramp", bin=1, thickness_ang=240.0)


@pytest.fixture(scope="module")
def gold_series():
    """Noisy images with four beads, and an alignment that followed three of them."""
    rng = np.random.default_rng(2)
    tilt_deg = np.linspace(-50, 50, 21)
    alignment = Alignment(tilt_deg=tilt_deg, axis_deg=5.0, shift_ang_yx=rng.normal(0, 20, (21, 2)))
    places_ang = alignment.project(GOLD_ZYX)[0]
    y, x = np.indices(SHAPE_YX)
    images = rng.normal(0, 1, (21, *SHAPE_YX)).astype(np.float32)
    for image, places in zip(images, pixels_from_ang(places_ang, PIXEL_ANG, SHAPE_YX), strict=True):
        for cy, cx in places:
            image[np.hypot(y - cy, x - cx) <= 0.5 * DIAMETER_ANG / PIXEL_ANG] -= 20.0
    tilt, point = (index.ravel() for index in np.indices((21, 3)))
    weight = np.where((point == 1) & (tilt > 15), 0.0, 1.0)
    measured = places_ang[tilt, point] + np.where(weight == 0, 300.0, 0.0)[:, None]
    gold = Landmarks(
        kind="gold", points_ang_zyx=GOLD_ZYX[:3], tilt=tilt, point=point, position_ang_yx=measured, weight=weight,
        size_ang=DIAMETER_ANG,
    )  # fmt: skip
    series = TiltSeries(name="gold", images=images, tilt_deg=tilt_deg, pixel_ang=PIXEL_ANG)
    return series, alignment.replace(landmarks=gold)


def densities_of_beads(volume):
    """Take the mean density in each bead, in standard deviations of the volume."""
    z, y, x = np.indices(volume.shape)
    centres = GOLD_ZYX / PIXEL_ANG + np.array(volume.shape) // 2
    inside = [(z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 <= 9 for cz, cy, cx in centres]
    return np.array([volume[each].mean() for each in inside]) / volume.std()


def test_beads_that_were_followed_are_gone_and_others_stay(gold_series):
    series, alignment = gold_series
    shown, erased = (
        densities_of_beads(reconstruct(series, alignment, params=PARAMS.replace(erase_beads=erase)).volume)
        for erase in (False, True)
    )
    assert shown.max() < -3.5
    assert np.abs(erased[:3]).max() < 1.0
    assert erased[3] < -3.5


def test_without_gold_there_is_nothing_to_erase(gold_series):
    series, alignment = gold_series
    with pytest.raises(DataError, match="gold: erase_beads is on, but the alignment knows no beads"):
        reconstruct(series, alignment.replace(landmarks=None), params=PARAMS.replace(erase_beads=True))


def test_a_slope_across_the_images_leaves_no_shade_in_the_volume(gold_series):
    series, alignment = gold_series
    sloping = series.images + np.linspace(-60, 60, SHAPE_YX[0], dtype=np.float32)[:, None]
    flat = reconstruct(series.replace(images=sloping), alignment, params=PARAMS.replace(flatten=True)).volume
    expected = reconstruct(series, alignment, params=PARAMS).volume
    tilted = reconstruct(series.replace(images=sloping), alignment, params=PARAMS).volume
    assert np.corrcoef(flat.ravel(), expected.ravel())[0, 1] > 0.99
    assert np.corrcoef(tilted.ravel(), expected.ravel())[0, 1] < 0.8


def test_exact_weights_of_even_steps_are_the_ramp_until_neighbours_part():
    tilt_deg, thickness_px, size = np.arange(-75, 76, 3.0), 64.0, 1024
    step = np.deg2rad(3.0)
    frequency = np.arange(size // 2 + 1) / size
    weights = filters.exact_weights(size, tilt_deg, thickness_px)[len(tilt_deg) // 2]
    part_at = 1.0 / (thickness_px * step)
    shared = (frequency > 4 / thickness_px) & (frequency < part_at)
    # Where only neighbours overlap the sum over them is off from the integral by an eighth at most.
    np.testing.assert_allclose(weights[shared], frequency[shared] * step, rtol=0.126)
    np.testing.assert_allclose(weights[frequency > 1.01 * part_at], 1.0 / thickness_px, rtol=1e-6)


def test_exact_weights_bring_noisy_uneven_series_closer_to_the_truth():
    rng = np.random.default_rng(3)
    setting, truth = specimen_setting(tilt_deg=np.sort(rng.uniform(-60, 60, 41)), thickness_ang=240.0)
    images = setting.series.images + rng.normal(0, 2, setting.series.images.shape).astype(np.float32)
    noisy = Setting(
        setting.series.replace(images=images), setting.alignment, setting.tilts, setting.factor, setting.shape_zyx
    )
    ramp, uniform, exact = (
        correlation(computed(weighted_backprojection, noisy, BLOB_PARAMS.replace(**how)), truth)
        for how in ({}, {"angular_weights": False}, {"weighting": "exact"})
    )
    # Measured 0.254, 0.285 and 0.309.
    assert exact > uniform + 0.015
    assert exact > ramp + 0.03


def test_deconvolved_images_make_a_deconvolved_tomogram(gold_series):
    series, alignment = gold_series
    ctf = CtfSeries(optics=Optics(), defocus_u_ang=np.full(21, 3e4), defocus_v_ang=np.full(21, 3e4))
    plain = reconstruct(series, alignment, params=PARAMS.replace(thickness_ang=400.0)).volume
    params = PARAMS.replace(thickness_ang=400.0, deconvolve=True)
    got = reconstruct(series, alignment, ctf=ctf, params=params).volume
    inner = (slice(10, -10), slice(20, -20), slice(20, -20))
    expected = deconvolve(plain, PIXEL_ANG, 3e4, ctf.optics)
    assert np.corrcoef(got[inner].ravel(), expected[inner].ravel())[0, 1] > 0.97
    assert np.corrcoef(got[inner].ravel(), plain[inner].ravel())[0, 1] < 0.9


def test_deconvolution_needs_the_ctf_and_goes_with_flipped_phases_only(gold_series):
    with pytest.raises(DataError, match="nothing is known of its CTF, but deconvolve is on; run ctf first"):
        reconstruct(*gold_series, params=PARAMS.replace(deconvolve=True))
    with pytest.raises(ParamError, match="choose flip"):
        PARAMS.replace(deconvolve=True, ctf="slabs", ctf_filter="multiply")
