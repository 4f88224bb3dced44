"""Images whose rings are plain to see: white structure seen through a CTF, with noise."""

import numpy as np

from napari_tomoflow.core.model import CtfSeries, Optics, TiltSeries
from napari_tomoflow.core.ops.ctf import ctf_2d, rfft_frequencies

OPTICS = Optics(300.0, 2.7, 0.07)
PIXEL_ANG = 4.0
TILT_DEG = np.array([0.0, 20.0, -20.0, 40.0, -40.0])
DEFOCUS_ANG = np.array([30000.0, 30600.0, 29500.0, 31200.0, 29000.0])
HALF_ASTIGMATISM_ANG = 300.0


def noise_series(
    size_px=256, half_astigmatism_ang=HALF_ASTIGMATISM_ANG, seed=7, defocus_ang=DEFOCUS_ANG, phase_deg=0.0
):
    """Five tilts without a gradient of the defocus: their axis is not known."""
    rng = np.random.default_rng(seed)
    frequencies = rfft_frequencies((size_px, size_px), PIXEL_ANG)
    images = []
    for mean_ang in defocus_ang:
        u_ang, v_ang = mean_ang + half_astigmatism_ang, mean_ang - half_astigmatism_ang
        transfer = ctf_2d(frequencies, u_ang, v_ang, 30.0, OPTICS, phase_deg)
        seen = np.fft.rfft2(rng.normal(size=(size_px, size_px))) * transfer
        images.append(np.fft.irfft2(seen) + rng.normal(0, 0.7, (size_px, size_px)))
    return TiltSeries(
        name="noise", images=np.array(images, np.float32), tilt_deg=TILT_DEG, pixel_ang=PIXEL_ANG, optics=OPTICS
    )


def noise_ctf(**quality):
    """The truth, as if it had been fitted; tilt 3 is wrong by 0.2 µm and said to be doubtful."""
    mean_ang = DEFOCUS_ANG + np.array([0.0, 0.0, 0.0, 2000.0, 0.0])
    said = {"tilts_doubtful": {"3": "defocus +0.20 µm from its neighbours'"}} | quality
    return CtfSeries(
        optics=OPTICS, defocus_u_ang=mean_ang + HALF_ASTIGMATISM_ANG, defocus_v_ang=mean_ang - HALF_ASTIGMATISM_ANG,
        azimuth_deg=30.0, fit_ang=9.0, score=0.9, quality=said,
    )  # fmt: skip
