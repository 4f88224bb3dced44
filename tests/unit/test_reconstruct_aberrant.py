"""Tomograms of a lens whose aberrations turn opposite frequencies oppositely."""

import numpy as np
import pytest
import scipy.fft

from napari_tomoflow.core.model import Aberrations, CtfSeries, Optics, TiltSeries
from napari_tomoflow.core.ops.aberrations import odd_phase_rad
from napari_tomoflow.core.ops.ctf import rfft_frequencies
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct

PIXEL_ANG, N, SIZE = 10.0, 9, 64
LENS = Optics(
    aberrations=Aberrations(beam_tilt_mrad=(30.0, 0.0), odd_zernike=(0.0, 0.0, 0.0, 0.0, 0.0, 24000.0)),
    magnification=((1.01, 0.0), (0.0, 0.99)),
)
"""Three radians of trefoil at Nyquist."""


def series_of(images):
    return TiltSeries(
        name="TS", images=images, tilt_deg=np.linspace(-48, 48, N), pixel_ang=PIXEL_ANG, axis_deg=0.0, optics=LENS
    )


@pytest.mark.parametrize("choice", [{"ctf": "slabs"}, {"ctf": "strips"}, {"ctf": "slabs", "method": "tiles"}])
def test_tomograms_corrected_for_the_ctf_are_rid_of_them_as_particles_are(choice):
    # Nothing comes near the border, about which transforms go on on the other side.
    fading = np.hanning(SIZE)[:, None] * np.hanning(SIZE)
    clean = (100 + fading * np.random.default_rng(4).normal(0, 5, (N, SIZE, SIZE))).astype(np.float32)
    true_yx = LENS.true_frequencies(rfft_frequencies((SIZE, SIZE), PIXEL_ANG))
    turned = scipy.fft.irfft2(scipy.fft.rfft2(clean) * np.exp(1j * odd_phase_rad(true_yx, LENS))).astype(np.float32)
    aberrant = CtfSeries(optics=LENS, defocus_u_ang=np.full(N, 3e4), defocus_v_ang=np.full(N, 3e4), hand=-1)
    plain = aberrant.replace(optics=Optics(magnification=LENS.magnification))
    params = ReconstructParams(weighting="ramp", bin=1, thickness_ang=160.0, cutoff_per_px=0.4, **choice)
    expected, found, unaware = (
        reconstruct(series_of(images), None, ctf=ctf, params=params).volume[:, 8:-8, 8:-8].ravel()
        for images, ctf in ((clean, plain), (turned, aberrant), (turned, plain))
    )
    assert np.corrcoef(found, expected)[0, 1] > 0.995
    assert np.corrcoef(unaware, expected)[0, 1] < 0.8
