import numpy as np
import pytest

from napari_tomoflow.core.model import Optics
from napari_tomoflow.core.ops import ctf

OPTICS = Optics(300.0, 2.7, 0.07)
K = np.linspace(0.0, 0.2, 401)


def test_the_ctf_is_positive_next_to_zero_frequency_when_underfocused():
    assert ctf.ctf_1d(0.0, 30000.0, OPTICS) == pytest.approx(0.07)
    assert np.all(ctf.ctf_1d(np.linspace(0, 0.03, 50), 30000.0, OPTICS) > 0)


def test_the_first_zero_lies_where_the_formula_puts_it():
    # sin γ = 0 at γ = π; solved for k² with Cs = 0.
    optics = Optics(300.0, 0.0, 0.07)
    k = np.sqrt((np.pi - np.arcsin(0.07)) / (np.pi * optics.wavelength_ang * 30000.0))
    assert ctf.ctf_1d(k, 30000.0, optics) == pytest.approx(0.0, abs=1e-9)


def test_spherical_aberration_counts_against_underfocus():
    # λ · z · k² and Cs λ³ k⁴ / 2 cancel at k² = 2 z / (Cs λ²): only the amplitude contrast remains.
    k = np.sqrt(2 * 10000.0 / (2.7e7 * OPTICS.wavelength_ang**2))
    assert ctf.gamma_rad(k, 10000.0, OPTICS) == pytest.approx(np.arcsin(0.07), abs=1e-6)


def test_a_phase_plate_of_90_degrees_turns_sine_into_cosine():
    plain = Optics(300.0, 2.7, 0.0)
    np.testing.assert_allclose(ctf.ctf_1d(K, 8000.0, plain, 90.0), np.cos(ctf.gamma_rad(K, 8000.0, plain)), atol=1e-12)


@pytest.mark.parametrize("azimuth_deg", [0.0, 30.0, 100.0])
def test_defocus_u_acts_along_its_azimuth_and_v_across_it(azimuth_deg):
    turn = np.deg2rad(azimuth_deg)
    along = ctf.ctf_2d((K * np.sin(turn), K * np.cos(turn)), 31000.0, 29000.0, azimuth_deg, OPTICS)
    across = ctf.ctf_2d((K * np.cos(turn), -K * np.sin(turn)), 31000.0, 29000.0, azimuth_deg, OPTICS)
    np.testing.assert_allclose(along, ctf.ctf_1d(K, 31000.0, OPTICS), atol=1e-9)
    np.testing.assert_allclose(across, ctf.ctf_1d(K, 29000.0, OPTICS), atol=1e-9)


def test_a_plane_without_astigmatism_is_the_curve_turned_around():
    ky, kx = ctf.rfft_frequencies((33, 48), 3.0)
    plane = ctf.ctf_2d((ky, kx), 25000.0, 25000.0, 12.0, OPTICS, 15.0)
    assert plane.shape == (33, 25)
    np.testing.assert_allclose(plane, ctf.ctf_1d(np.hypot(ky, kx), 25000.0, OPTICS, 15.0), atol=1e-9)


def test_height_changes_gamma_by_its_slope():
    difference = ctf.gamma_rad(K, 30150.0, OPTICS) - ctf.gamma_rad(K, 30000.0, OPTICS)
    np.testing.assert_allclose(difference, 150.0 * ctf.gamma_per_defocus(K, OPTICS), atol=1e-9)


def test_frequencies_end_at_nyquist():
    ky, kx = ctf.rfft_frequencies((8, 10), 2.5)
    assert kx[0, -1] == pytest.approx(0.2)
    assert np.abs(ky).max() == pytest.approx(0.2)


def test_the_interaction_constant_is_that_of_the_textbooks():
    # 0.00653 rad/(V·nm) at 300 kV and 0.00729 at 200 kV (Kirkland, Advanced Computing in EM, table 5.1).
    assert ctf.interaction_rad_per_volt_ang(Optics(300.0)) == pytest.approx(6.53e-4, rel=2e-3)
    assert ctf.interaction_rad_per_volt_ang(Optics(200.0)) == pytest.approx(7.29e-4, rel=2e-3)


def test_exposure_fades_fine_detail_as_published():
    # Ne(1/4 Å) = 0.245 · 4^1.665 + 2.81 = 5.27 e/Å² at 300 kV.
    assert ctf.critical_exposure_e_ang2(0.25, 300.0) == pytest.approx(5.27, abs=0.01)
    assert ctf.dose_envelope(0.25, 60.0, 300.0, "grant-grigorieff") == pytest.approx(np.exp(-60 / (2 * 5.27)), rel=0.02)
    assert ctf.critical_exposure_e_ang2(0.25, 200.0) == pytest.approx(0.8 * 5.27, abs=0.01)
    assert ctf.dose_envelope(0.25, 60.0, 300.0, "b-factor") == pytest.approx(np.exp(-240 * 0.25**2 / 4))


@pytest.mark.parametrize("model", ["grant-grigorieff", "b-factor", "none"])
def test_the_mean_of_an_image_takes_no_damage(model):
    envelope = ctf.dose_envelope(K, 100.0, 300.0, model)
    assert envelope[0] == 1.0
    assert np.all(np.diff(envelope) <= 0)
