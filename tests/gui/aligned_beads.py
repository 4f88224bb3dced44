"""A small tilt series of beads, in the order it was recorded, with an alignment by them."""

import numpy as np

from napari_tomoflow.core.model import Landmarks
from unit.alignment.beads import bead_alignment, bead_series

POINTS = np.random.default_rng(4).uniform(-1.0, 1.0, (7, 3)) * [100.0, 330.0, 330.0]
SIZE_ANG = 80.0
_NOISE_ANG = 2.0
_TILT_DEG = np.array([0.0, 10, -10, 20, -20, 30, -30, 40, -40, 50, -50])  # dose-symmetric


def truth():
    """The geometry the beads were projected by."""
    return bead_alignment(shift_ang=30.0, tilt_deg=_TILT_DEG)


def bead_tilts():
    """Beads on noise, 128 px of 10 Å; the beads are the `POINTS`."""
    made = truth()
    dose = 3.0 * np.arange(made.n_tilts)
    return bead_series(made, POINTS, noise=0.3, axis_deg=20.0, dose_before_e_ang2=dose)


def aligned(series):
    """The truth with its landmarks measured to 2 Å."""
    made = truth()
    seen = made.project(POINTS)[0]
    tilt, point = (index.ravel() for index in np.indices(seen.shape[:2]))
    noise = np.random.default_rng(5).normal(0, _NOISE_ANG, (len(tilt), 2))
    landmarks = Landmarks(
        kind="gold", points_ang_zyx=POINTS, tilt=tilt, point=point,
        position_ang_yx=seen[tilt, point] + noise, weight=1.0, size_ang=SIZE_ANG,
    )  # fmt: skip
    return made.replace(landmarks=landmarks, thickness_ang=300.0, residual_ang=np.full(made.n_tilts, 2.5))
