"""A series of points, each imaged through the CTF at its own depth; shared by the tests of CTF correction."""

import numpy as np

from napari_tomoflow.core.model import Alignment, CtfSeries, Optics, TiltSeries
from napari_tomoflow.core.ops import filters
from napari_tomoflow.core.ops.ctf import ctf_2d, rfft_frequencies

PIXEL_ANG = 1.5
SHAPE_YX = (128, 400)
TILT_DEG = np.linspace(-40, 40, 9)
CTF = CtfSeries(
    optics=Optics(100.0, 2.0, 0.1),
    defocus_u_ang=np.linspace(3500.0, 4000.0, 9),
    defocus_v_ang=np.linspace(3400.0, 3900.0, 9),
    azimuth_deg=np.linspace(0.0, 80.0, 9),
    phase_deg=np.array(20.0),
    hand=-1,
)


def series_of(points_px_zyx, response, xtilt_deg=0.0, axis_deg=0.0):
    """Image points, each through ``response(CTF at its depth)``: (series, alignment)."""
    alignment = Alignment(tilt_deg=TILT_DEG, axis_deg=axis_deg, xtilt_deg=xtilt_deg)
    centres_yx, depths = alignment.project(points_px_zyx * PIXEL_ANG)
    shape = SHAPE_YX if axis_deg == 0 else SHAPE_YX[::-1]
    # On twice the field, so that what leaves it on one side does not come back on the other.
    wide = tuple(2 * n for n in shape)
    ky, kx = rfft_frequencies(wide, PIXEL_ANG)
    images = np.empty((len(TILT_DEG), *shape), np.float32)
    for i, image in enumerate(images):
        image_rft = np.zeros((wide[0], wide[1] // 2 + 1), np.complex128)
        for (v, u), depth in zip(centres_yx[i], depths[i], strict=True):
            shift = CTF.hand * depth
            astigmatism = CTF.defocus_u_ang[i] + shift, CTF.defocus_v_ang[i] + shift, CTF.azimuth_deg[i]
            seen = response(ctf_2d((ky, kx), *astigmatism, CTF.optics, CTF.phase_deg[i]))
            image_rft -= seen * np.exp(-2j * np.pi * (ky * v + kx * u))
        image[:] = np.fft.fftshift(np.fft.irfft2(image_rft, wide))[
            wide[0] // 2 - shape[0] // 2 :, wide[1] // 2 - shape[1] // 2 :
        ][: shape[0], : shape[1]]
    return TiltSeries(name="points", images=images, tilt_deg=TILT_DEG, pixel_ang=PIXEL_ANG), alignment


def sharpness(volume, truth, points_px_zyx):
    """Compare how dark the points are with how dark they can be.

    Only where the points are: rays leave streaks far from them, at depths they were not corrected for.
    """
    at = tuple((points_px_zyx + np.array(truth.shape) // 2).T)
    return float(volume[at].sum() / truth[at].sum())


def leave_bright_pixels(monkeypatch):
    """Keep single bright pixels from being mended: here they are the specimen."""
    monkeypatch.setattr(filters, "mend_isolated_pixels", lambda image_yx, mean, sd: image_yx)
