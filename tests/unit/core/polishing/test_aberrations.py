"""Aberrations fitted to sums over invented images: found where they are, and only there."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tomoflow.core.model import Aberrations, Optics
from napari_tomoflow.core.ops.aberrations import even_phase_rad, odd_phase_rad
from napari_tomoflow.core.polishing.aberrations import fit_aberrations
from napari_tomoflow.core.polishing.phase_sums import PhaseSums

REACH = 1 / 12
AXIS = np.linspace(-REACH, REACH, 41)
KY, KX = (
    axis[(np.hypot(*np.meshgrid(AXIS, AXIS)) < REACH) & (np.hypot(*np.meshgrid(AXIS, AXIS)) > 1 / 30)]
    for axis in np.meshgrid(AXIS, AXIS, indexing="ij")
)


def fold(optics, seed, told=0.5, images=20, amplitude=1.0):
    """Sums over images of invented slices, taken with some optics and compared as if there were no aberrations."""
    rng = np.random.default_rng(seed)
    shape = (images, len(KX))
    gamma = rng.uniform(0, 2 * np.pi, shape)
    slices = told * (rng.normal(size=shape) + 1j * rng.normal(size=shape))
    noise = (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2)
    seen = np.sin(gamma - even_phase_rad((KY, KX), optics)) * np.exp(1j * odd_phase_rad((KY, KX), optics))
    products, shown = (amplitude * slices * seen + noise) * slices.conj(), np.abs(slices) ** 2
    sine, cosine = (products * np.sin(gamma)).sum(axis=0), (products * np.cos(gamma)).sum(axis=0)
    power = [(shown * one).sum(axis=0) for one in (1.0, np.cos(2 * gamma), np.sin(2 * gamma))]
    sums = np.array([sine.real, sine.imag, cosine.real, cosine.imag, *power])
    return PhaseSums(sums, np.stack([KY, KX]), np.zeros(len(KX), np.int64))


def left_rad(found, true):
    """What is left of the phases, odd and even, RMS."""
    pairs = ((one((KY, KX), found), one((KY, KX), true)) for one in (odd_phase_rad, even_phase_rad))
    return [np.sqrt(np.mean((a - b) ** 2)) for a, b in pairs]


BOTH = Optics(
    aberrations=Aberrations((15.0, -8.0), (0.0, 0.0, 300.0, 0.0, 0.0, -500.0), (2e3, 300.0, 3e3, -400.0, 0.0, 0.0, 1e3))
)


def test_odd_and_even_aberrations_are_found():
    found, record = fit_aberrations([fold(BOTH, seed, told=1.0) for seed in range(4)], Optics())
    before, after = left_rad(Optics(), BOTH), left_rad(found, BOTH)
    assert min(before) > 0.1
    assert max(after) < 0.02
    assert found.aberrations.beam_tilt_mrad == pytest.approx((15.0, -8.0), abs=1.0)
    assert record["odd"]["accepted"]
    assert record["even"]["accepted"]
    assert record["odd"]["terms"] == "all"


def test_what_is_found_adds_to_what_is_known():
    known = Optics(aberrations=Aberrations((1.0, 2.0), (0.1,), (0.3, 0.2)))
    added, _ = fit_aberrations([fold(BOTH, seed) for seed in range(4)], known)
    alone, _ = fit_aberrations([fold(BOTH, seed) for seed in range(4)], Optics())
    total = [part((KY, KX), known) + part((KY, KX), alone) for part in (odd_phase_rad, even_phase_rad)]
    np.testing.assert_allclose([part((KY, KX), added) for part in (odd_phase_rad, even_phase_rad)], total, atol=1e-6)


def test_a_beam_tilt_alone_needs_no_more_terms():
    tilted = Optics(aberrations=Aberrations((15.0, -8.0)))
    found, record = fit_aberrations([fold(tilted, seed) for seed in range(4)], Optics())
    assert record["odd"]["terms"] == "beam tilt"
    assert not record["even"]["accepted"]
    assert found.aberrations.even_zernike == ()
    assert found.aberrations.beam_tilt_mrad == pytest.approx((15.0, -8.0), abs=0.5)


@pytest.mark.parametrize("told", [0.5, 0.02])
def test_nothing_is_believed_where_nothing_is_wrong_or_little_is_seen(told):
    found, record = fit_aberrations([fold(Optics(), seed, told) for seed in range(4)], Optics())
    assert found == Optics()
    assert not record["odd"]["accepted"]
    assert not record["even"]["accepted"]


def test_one_fold_cannot_confirm_anything():
    assert fit_aberrations([fold(BOTH, 1)], Optics())[0] == Optics()


def test_a_weak_series_is_not_taken_for_one_of_wrong_phases():
    folds = [PhaseSums.joined([fold(Optics(), seed), fold(Optics(), 10 + seed, amplitude=0.4)]) for seed in range(4)]
    assert fit_aberrations(folds, Optics())[0] == Optics()


def test_slopes_are_those_of_the_likelihood():
    one, rng = fold(BOTH, 1), np.random.default_rng(2)
    odd, even, amplitude = rng.normal(size=(3, len(KX)))

    def likelihood(odd, even):
        agreement, power = one.measured(odd, even)
        return 2 * amplitude * agreement - amplitude**2 * power

    by_odd, by_even = one.slopes(odd, even, amplitude)
    step = 1e-6
    np.testing.assert_allclose(
        by_odd, (likelihood(odd + step, even) - likelihood(odd - step, even)) / (2 * step), atol=1e-4
    )
    np.testing.assert_allclose(
        by_even, (likelihood(odd, even + step) - likelihood(odd, even - step)) / (2 * step), atol=1e-4
    )
    doubled = one + replace(one, sums=one.sums)
    np.testing.assert_allclose(doubled.measured(odd, even)[1], 2 * one.measured(odd, even)[1])
