"""Sums over rings say what images say of any defocus, and only what particles left out confirm is changed."""

import numpy as np
import pytest

from napari_tomoflow.core.model import CtfSeries, Optics
from napari_tomoflow.core.polishing.calibration import calibrated
from napari_tomoflow.core.polishing.defocus import DefocusSettings, RefinedCtf, fit_offsets, shifted
from napari_tomoflow.core.polishing.defocus_scales import series_scales, tilt_scales
from napari_tomoflow.core.polishing.defocus_sums import FringeSums

TILTS, RINGS, PIXELS = 9, 40, 600
K = np.linspace(1 / 30, 1 / 8, RINGS)
SLOPE = np.pi * 0.0197 * K**2


def coefficients(offset_ang, seed, amplitude=1.0, told=0.05, gamma_seed=0):
    """Images of invented slices through a CTF whose defocus is off: sums over rings, with noise of power 1."""
    rng = np.random.default_rng(seed)
    sums = np.zeros((TILTS, 5, RINGS))
    for tilt in range(TILTS):
        ring = rng.integers(RINGS, size=PIXELS)
        gamma = np.pi * 0.0197 * (25_000 + rng.uniform(-300, 300, PIXELS)) * K[ring] ** 2
        model = told * (rng.normal(size=PIXELS) + 1j * rng.normal(size=PIXELS)) * 5
        noise = (rng.normal(size=PIXELS) + 1j * rng.normal(size=PIXELS)) / np.sqrt(2)
        image = amplitude * model * np.sin(gamma + SLOPE[ring] * offset_ang[tilt]) + noise
        common, shown = np.real(image.conj() * model), np.abs(model) ** 2
        products = (common * np.sin(gamma), common * np.cos(gamma), shown, shown * np.cos(2 * gamma),
                    shown * np.sin(2 * gamma))  # fmt: skip
        sums[tilt] = [np.bincount(ring, one, RINGS) for one in products]
    return FringeSums(sums, K, SLOPE)


def test_sums_tell_agreement_and_power_at_any_defocus():
    rng = np.random.default_rng(1)
    gamma, common, shown = rng.uniform(0, 7, 50), rng.normal(size=50), rng.uniform(0, 1, 50)
    products = (common * np.sin(gamma), common * np.cos(gamma), shown, shown * np.cos(2 * gamma),
                shown * np.sin(2 * gamma))  # fmt: skip
    sums = FringeSums(np.array(products).sum(axis=1)[None, :, None], K[-1:], SLOPE[-1:])
    for offset_ang in (-2000.0, 0.0, 700.0):
        agreement, power = sums.by_ring(np.array([offset_ang]))
        turned = np.sin(gamma + SLOPE[-1] * offset_ang)
        assert agreement.item() == pytest.approx(np.sum(common * turned))
        assert power.item() == pytest.approx(np.sum(shown * turned**2))
        assert sums.gain(np.array([offset_ang])).item() == pytest.approx(
            np.sum(common * turned) * abs(np.sum(common * turned)) / np.sum(shown * turned**2)
        )


def test_offsets_of_tilts_are_found():
    true = np.random.default_rng(2).normal(0, 600, TILTS)
    found, record = fit_offsets([coefficients(true, seed, told=0.1) for seed in range(4)])
    assert record["defocus_taken"]
    assert np.sqrt(np.mean((found - true) ** 2)) < 120
    assert np.abs(found - true).max() < 0.5 * np.abs(true).max()


def test_what_all_tilts_have_in_common_is_found_where_single_ones_tell_little():
    true = np.full(TILTS, 900.0)
    folds = [coefficients(true, seed, told=0.025) for seed in range(4)]
    found, record = fit_offsets(folds)
    assert record["defocus_taken"]
    assert found.mean() == pytest.approx(900.0, abs=120)
    assert found.std() < 300, record


def test_nothing_is_changed_where_nothing_is_wrong_or_nothing_is_seen():
    right, empty = np.zeros(TILTS), np.zeros(TILTS)
    for amplitude in (1.0, 0.0):
        folds = [coefficients(right, seed, amplitude) for seed in range(4)]
        found, record = fit_offsets(folds)
        assert not record["defocus_taken"], amplitude
        np.testing.assert_array_equal(found, empty)


def test_amplitudes_the_map_lacks_are_not_taken_for_defocus():
    weak = np.interp(np.arange(RINGS), [0, 12, 18, 24, RINGS], [1.0, 1.0, 0.25, 1.0, 1.0])
    folds = [coefficients(np.zeros(TILTS), seed, told=0.1).scaled(weak) for seed in range(4)]
    made = calibrated({"one": folds, "other": folds})["other"]
    agreement, power = made[0].by_ring(np.zeros(TILTS))
    ratio = agreement.sum(axis=0) / power.sum(axis=0)
    assert np.abs(np.convolve(ratio, np.ones(5) / 5, "valid") - 1).max() < 0.75
    assert not fit_offsets(made)[1]["defocus_taken"]
    assert calibrated({}) == {}


def test_a_single_fold_cannot_confirm_anything():
    found, record = fit_offsets([coefficients(np.full(TILTS, 900.0), 1)])
    assert not record["defocus_taken"]
    assert not found.any()


def test_a_wider_scan_reaches_further():
    true = np.full(TILTS, 4500.0)
    folds = [coefficients(true, seed) for seed in range(2)]
    near, far = (fit_offsets(folds, DefocusSettings(reach_ang=reach))[0] for reach in (3000.0, 6000.0))
    assert np.abs(far - true).max() < 200 < np.abs(near - true).max()


def test_offsets_go_to_the_tilts_in_use_and_leave_astigmatism():
    ctf = CtfSeries(optics=Optics(), defocus_u_ang=np.full(4, 21_000.0), defocus_v_ang=np.full(4, 20_000.0))
    moved = shifted(ctf, np.array([0, 3]), np.array([100.0, -50.0]))
    np.testing.assert_array_equal(moved.defocus_u_ang, [21_100, 21_000, 21_000, 20_950])
    np.testing.assert_array_equal(moved.defocus_u_ang - moved.defocus_v_ang, 1000.0)


def of_strength(scale, b_ang2, seed, told=0.15):
    """A series whose amplitudes fall otherwise than the map's."""
    amplitude = np.reshape(scale, (-1, 1, 1)) * np.exp(-0.25 * b_ang2 * K**2)
    folds = []
    for fold in range(4):
        one = coefficients(np.zeros(TILTS), 10 * seed + fold, told=told)
        noisy = one.sums.copy()
        plain = coefficients(np.zeros(TILTS), 10 * seed + fold, amplitude=0.0, told=told).sums
        noisy[:, :2] = plain[:, :2] + amplitude * (one.sums - plain)[:, :2]
        folds.append(FringeSums(noisy, K, SLOPE))
    ctf = CtfSeries(optics=Optics(), defocus_u_ang=np.full(TILTS, 2e4), defocus_v_ang=np.full(TILTS, 2e4))
    return RefinedCtf(ctf, np.arange(TILTS), tuple(folds), np.zeros(TILTS), {})


def test_a_weak_and_a_blurred_series_are_told_from_the_others():
    series = {f"plain{n}": of_strength(1.0, 0.0, n) for n in range(4)}
    series |= {"weak": of_strength(0.6, 0.0, 7), "blurred": of_strength(1.0, 200.0, 8)}
    found = series_scales(series)
    plain = np.mean([found[f"plain{n}"].amplitude(1 / 15) for n in range(4)])
    assert found["weak"].amplitude(1 / 15) / plain == pytest.approx(0.6, rel=0.1)
    assert found["blurred"].b_ang2 - np.mean([found[f"plain{n}"].b_ang2 for n in range(4)]) == pytest.approx(
        200, abs=40
    )


def test_tilts_stronger_and_weaker_than_their_series_are_found():
    strong = np.linspace(0.5, 1.5, TILTS)
    alike, apart = of_strength(1.0, 0.0, 1), of_strength(strong, 0.0, 2)
    found = tilt_scales({"alike": alike, "apart": apart})
    assert not found["alike"].record["tilt_scale_taken"]
    assert np.ptp(found["alike"].scale) == 0
    assert found["apart"].record["tilt_scale_taken"]
    shown = found["apart"].scale * np.exp(-0.25 * found["apart"].b_ang2 / 15**2)
    np.testing.assert_allclose(shown / shown.mean(), strong, atol=0.12)
    assert tilt_scales({}) == {}


def test_series_alike_are_left_as_they_are():
    found = series_scales({f"plain{n}": of_strength(1.0, 0.0, n) for n in range(4)})
    assert all((one.scale, one.b_ang2) == (1.0, 0.0) for one in found.values())
    alone = series_scales({"weak": of_strength(0.5, 100.0, 1)})
    assert alone["weak"].scale == 1.0
