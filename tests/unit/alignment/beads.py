"""A small, sharp phantom: beads in a slab, projected by the project's own geometry."""

import numpy as np

from napari_tomoflow.core.model import Alignment, TiltSeries

PIXEL_ANG = 10.0


def bead_points(seed=0, n_beads=80, thickness_ang=300.0, field_ang=1500.0):
    """Positions zyx of beads, Å, spread beyond the field so that some leave and enter it."""
    return np.random.default_rng(seed).uniform(-0.6, 0.6, (n_beads, 3)) * [thickness_ang, field_ang, field_ang]


def bead_alignment(seed=0, axis_deg=20.0, shift_ang=60.0, tilt_deg=None):
    """A truth with random shifts."""
    tilt_deg = np.arange(-54.0, 55, 6) if tilt_deg is None else np.asarray(tilt_deg, float)
    shifts = np.random.default_rng(seed + 1).uniform(-shift_ang, shift_ang, (len(tilt_deg), 2))
    return Alignment(tilt_deg=tilt_deg, axis_deg=np.full(len(tilt_deg), axis_deg), shift_ang_yx=shifts)


def bead_series(truth, points, size=128, noise=0.5, seed=0, **columns):
    """Project dark Gaussian beads of 2 px into noisy images."""
    rng = np.random.default_rng(seed + 2)
    centres = truth.project(points)[0] / PIXEL_ANG + size // 2
    pixels = np.arange(size)
    images = rng.normal(0, noise, (truth.n_tilts, size, size)).astype(np.float32)
    for image, beads in zip(images, centres, strict=True):
        along_y = np.exp(-((pixels - beads[:, :1]) ** 2) / 8.0)
        along_x = np.exp(-((pixels - beads[:, 1:]) ** 2) / 8.0)
        image -= 2.0 * along_y.T @ along_x
    settings = {"name": "beads", "tilt_deg": truth.tilt_deg, "pixel_ang": PIXEL_ANG} | columns
    return TiltSeries(images=images, **settings)
