"""Phases of aberrations: RELION's terms, what they are in a transfer function, and what they do to an image."""

import numpy as np
import pytest
import scipy.fft

from napari_tomoflow.core.averaging.sampling import Response
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Aberrations, Optics
from napari_tomoflow.core.ops.aberrations import even_phase_rad, odd_phase_rad, terms_of, zernike
from napari_tomoflow.core.ops.ctf import ctf_2d, rfft_frequencies

SIZE, PIXEL = 48, 4.0


def ctf_of(optics):
    return Response(SIZE, PIXEL, optics, "none").ctf(21_000.0, 20_000.0, 30.0, 0.0)


def test_terms_come_in_the_order_of_relion():
    assert terms_of("odd", 3) == ((-1, 1), (1, 1), (-3, 3), (-1, 3), (1, 3), (3, 3))
    assert terms_of("even", 4) == ((0, 0), (-2, 2), (0, 2), (2, 2), (-4, 4), (-2, 4), (0, 4), (2, 4), (4, 4))
    x, y = 0.3, -0.4
    assert zernike(1, 3, x, y) == pytest.approx((3 * 0.5**2 - 2) * x)
    assert zernike(-2, 2, x, y) == pytest.approx(2 * x * y)
    assert zernike(0, 4, x, y) == pytest.approx(6 * 0.5**4 - 6 * 0.5**2 + 1)


def test_even_terms_are_a_change_of_the_spherical_aberration():
    plain = Optics(cs_mm=2.7)
    added = 0.5 * np.pi * 1.3e7 * plain.wavelength_ang**3
    even = np.zeros(9)
    even[[0, 2, 6]] = added * np.array([2, 3, 1]) / 6
    same = Optics(cs_mm=2.7, aberrations=Aberrations(even_zernike=tuple(even)))
    np.testing.assert_allclose(ctf_of(same), ctf_of(Optics(cs_mm=4.0)), atol=2e-4)
    plane = ctf_2d(rfft_frequencies((SIZE, SIZE), PIXEL), 21_000.0, 20_000.0, 30.0, same)
    np.testing.assert_allclose(plane, ctf_of(same), atol=2e-4)
    assert np.abs(ctf_of(same) - ctf_of(plain)).max() > 0.02


def test_a_beam_tilt_is_coma_and_a_shift():
    optics = Optics(aberrations=Aberrations(beam_tilt_mrad=(2.0, -1.0)))
    k = np.array([0.1]), np.array([0.05])
    scale = 2 * np.pi * 2.7e7 * optics.wavelength_ang**2 * 1e-3
    assert odd_phase_rad(k, optics) == pytest.approx(-scale * (0.1**2 + 0.05**2) * (2.0 * 0.05 - 1.0 * 0.1))
    coma = -scale * np.array([-1.0, 2.0]) / 3
    odd = (2 * coma[0], 2 * coma[1], 0.0, coma[0], coma[1])
    assert odd_phase_rad(k, Optics(aberrations=Aberrations(odd_zernike=odd))) == pytest.approx(odd_phase_rad(k, optics))
    assert even_phase_rad(k, optics) == 0


def test_images_are_set_right():
    image = np.zeros((SIZE, SIZE), np.float32)
    image[20:26, 17:29] = 1.0
    # Phases that grow as k are a shift: e^{−2πi k · s} moves by s.
    shift_ang = 3 * PIXEL
    optics = Optics(aberrations=Aberrations(odd_zernike=(0.0, -2 * np.pi * shift_ang)))
    moved_rft = scipy.fft.rfft2(np.roll(image, 3, axis=1)).astype(np.complex64)
    Response(SIZE, PIXEL, optics, "none").set_right(moved_rft)
    np.testing.assert_allclose(scipy.fft.irfft2(moved_rft), image, atol=0.02)
    assert Response(SIZE, PIXEL, Optics(), "none").odd_wave is None


def test_what_is_no_number_is_refused():
    with pytest.raises(DataError, match="Aberrations cannot be"):
        Aberrations(odd_zernike=(np.nan,))
