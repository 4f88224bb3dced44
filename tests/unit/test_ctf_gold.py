"""Gold is found, taken out of the images, and its fringes tell the defocus at each bead's depth."""

import numpy as np
import pytest
from scipy.ndimage import shift

from imaged_noise import noise_series
from napari_tomoflow.core.ctf.fringes import GoldFringes
from napari_tomoflow.core.ctf.gold import BeadProfiles, find_beads, without_beads
from napari_tomoflow.core.ctf.model import CtfModel
from napari_tomoflow.core.ctf.params import CtfParams
from napari_tomoflow.core.ctf.series_spectra import SeriesSpectra
from napari_tomoflow.core.model import Alignment, Optics, TiltSeries
from napari_tomoflow.core.ops.ctf import gamma_rad
from napari_tomoflow.core.report import silent

PIXEL_ANG, SIZE_PX, RADIUS_ANG = 5.0, 320, 50.0
OPTICS = Optics(300.0, 2.7, 0.0)
DEFOCUS_ANG = 32000.0
TILT_DEG = np.array([-55.0, 0.0, 55.0])
PLACES_PX = np.stack(np.meshgrid([45.3, 121.0, 199.6, 276.4], [44.7, 122.2, 200.4, 275.1]), axis=-1).reshape(-1, 2)


def bead(defocus_ang, size=60):
    """Image a gold ball in the middle of a square, brightness less 1, on a grid twice as fine as its pixels."""
    y, x = (np.indices((2 * size, 2 * size)) - size + 0.5) * (PIXEL_ANG / 2)
    path = np.sqrt(np.clip(1 - (y**2 + x**2) / RADIUS_ANG**2, 0, None))
    k = np.hypot(*np.meshgrid(*[np.fft.fftfreq(2 * size, PIXEL_ANG / 2)] * 2))
    wave = np.fft.ifft2(np.fft.fft2(np.exp((1.4j - 0.45) * path)) * np.exp(1j * gamma_rad(k, defocus_ang, OPTICS)))
    return (np.abs(wave) ** 2).reshape(size, 2, size, 2).mean(axis=(1, 3)) - 1


def gold_image(defocus_ang, noise=0.12, seed=0):
    """Put beads, each with its own defocus, into noise; bright is 100."""
    rng = np.random.default_rng(seed)
    image = rng.normal(1.0, noise, (SIZE_PX, SIZE_PX))
    for (y, x), one_ang in zip(PLACES_PX, np.broadcast_to(defocus_ang, len(PLACES_PX)), strict=True):
        low = np.floor([y, x]).astype(int) - 29
        moved = shift(bead(one_ang), np.array([y, x]) - low - 29.5, order=3)
        part = tuple(np.clip(np.arange(at, at + 60), 0, SIZE_PX - 1) for at in low)
        inside = [(np.arange(at, at + 60) >= 0) & (np.arange(at, at + 60) < SIZE_PX) for at in low]
        image[np.ix_(part[0][inside[0]], part[1][inside[1]])] += moved[np.ix_(*inside)]
    return (100 * image).astype(np.float32)


def gold_series(hand):
    """Beads in three tilts around an axis along y, on a flat specimen."""
    u_ang = (PLACES_PX[:, 1] - SIZE_PX // 2) * PIXEL_ANG
    images = [
        gold_image(DEFOCUS_ANG - hand * u_ang * np.tan(np.deg2rad(tilt)), seed=i) for i, tilt in enumerate(TILT_DEG)
    ]
    return TiltSeries(
        name="gold", images=np.array(images), tilt_deg=TILT_DEG, pixel_ang=PIXEL_ANG, axis_deg=0.0, optics=OPTICS
    )


def test_beads_are_found_where_they_are():
    image = gold_image(DEFOCUS_ANG)
    beads = find_beads(image, PIXEL_ANG)
    apart = np.hypot(*(beads.position_px_yx[:, None] - PLACES_PX).transpose(2, 0, 1))
    assert len(beads.position_px_yx) == len(PLACES_PX)
    assert apart.min(axis=0).max() < 1.0
    profiles = BeadProfiles.of(image, beads, PIXEL_ANG, 0)
    places_ang = (PLACES_PX - SIZE_PX // 2) * PIXEL_ANG
    apart_ang = np.hypot(*(profiles.position_ang_yx[:, None] - places_ang).transpose(2, 0, 1))
    assert np.sqrt(np.mean(apart_ang.min(axis=1) ** 2)) < 0.2 * PIXEL_ANG


def test_no_gold_is_found_where_there_is_none():
    image = noise_series(256).image(0)
    beads = find_beads(image, 4.0)
    assert len(beads.radius_px) == 0
    assert without_beads(image, beads, 4.0) is image


def test_an_image_without_its_gold_is_noise_and_unchanged_elsewhere():
    image = gold_image(DEFOCUS_ANG)
    filled = without_beads(image, find_beads(image, PIXEL_ANG), PIXEL_ANG)
    y, x = np.indices(image.shape)
    away = np.min([np.hypot(y - cy, x - cx) for cy, cx in PLACES_PX], axis=0) * PIXEL_ANG
    assert np.abs(filled[away < RADIUS_ANG] - 100).max() < 5
    far = away > RADIUS_ANG + 90
    np.testing.assert_array_equal(filled[far], image[far])
    assert len(find_beads(filled, PIXEL_ANG).radius_px) == 0


@pytest.mark.parametrize("hand", [-1, 1])
def test_fringes_tell_the_defocus_and_which_side_is_farther_from_focus(hand):
    series, params = gold_series(hand), CtfParams()
    measured = SeriesSpectra.measure(series, Alignment.nominal(series), params, silent, without_gold=True)
    gold = GoldFringes.fit(measured, params)
    assert gold.level_ang == pytest.approx(DEFOCUS_ANG, rel=0.04)
    totals = {sign: gold.total(measured, CtfModel(np.zeros(3), gradient=float(sign))) for sign in (-hand, 0, hand)}
    assert totals[hand] > totals[0] + 10 > totals[-hand] + 20


def test_without_tilt_fringes_say_nothing_of_the_sign():
    series = gold_series(1).replace(tilt_deg=np.zeros(3))
    measured = SeriesSpectra.measure(series, Alignment.nominal(series), CtfParams(), silent, without_gold=True)
    gold = GoldFringes.fit(measured, CtfParams())
    totals = [gold.total(measured, CtfModel(np.zeros(3), gradient=sign)) for sign in (-1.0, 0.0, 1.0)]
    assert np.ptp(totals) < 1e-6


def test_too_few_beads_are_not_asked():
    series = gold_series(1)
    blank = np.array(series.images)
    blank[1:] = np.random.default_rng(0).normal(100, 12, blank[1:].shape)
    measured = SeriesSpectra.measure(series.replace(images=blank), None, CtfParams(), silent, without_gold=True)
    assert GoldFringes.fit(measured, CtfParams()) is None
