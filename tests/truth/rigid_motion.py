"""The measure of an alignment: how far beads project from where they are, after the best rigid motion of the specimen.

An alignment is right up to a motion of the specimen as a whole, and up to its mirror image where the
half-turn of the axis is not known. Both are taken out here, so that what is left is error.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.ops import geometry

_MIRROR = np.diag([1.0, 1.0, -1.0])


class RigidMotion(NamedTuple):
    """Attributes: RMS over beads and tilts in px, RMS of each tilt in px, whether the mirror image fitted."""

    rms_px: float
    per_tilt_px: np.ndarray
    is_mirrored: bool


def error_after_rigid_motion(alignment, truth, points_ang_zyx, pixel_ang, shape_yx, *, may_mirror):
    """Compare where `alignment` and `truth` project points, seen in the images, of tilts the alignment keeps.

    Six parameters, rotation and shift of the specimen, are fitted to the distances in the images.
    """
    true_ang, _ = truth.project(points_ang_zyx)
    half_yx = np.array(shape_yx) * pixel_ang / 2
    seen = (np.abs(true_ang) < half_yx).all(axis=2) & alignment.kept[:, None]
    points_xyz = np.asarray(points_ang_zyx)[:, ::-1]
    fits = [_fit(alignment, true_ang, seen, points_xyz @ mirror) for mirror in [np.eye(3), _MIRROR][: 1 + may_mirror]]
    squared = [np.where(seen, (residual**2).sum(axis=2), 0.0) for residual in fits]
    best = int(np.argmin([one.sum() for one in squared]))
    per_tilt = np.sqrt(squared[best].sum(axis=1) / np.maximum(seen.sum(axis=1), 1)) / pixel_ang
    return RigidMotion(float(np.sqrt(squared[best].sum() / seen.sum()) / pixel_ang), per_tilt, bool(best))


def _fit(alignment, true_ang, seen, points_xyz):
    """Residuals float64[N, P, 2], Å, after the best motion; every direction about z is tried as a start."""
    scale = 1000.0  # lets Å and radians weigh alike

    def residuals(motion):
        turned = points_xyz @ Rotation.from_rotvec(motion[:3]).as_matrix().T + motion[3:] * scale
        image_ang, _ = geometry.project_points(alignment.image_from_sample(), turned[:, ::-1])
        return np.where(seen[:, :, None], image_ang - true_ang, 0.0)

    starts = [np.array([0, 0, angle, 0, 0, 0]) for angle in np.deg2rad(np.arange(-180, 180, 45))]
    fits = [least_squares(lambda motion: residuals(motion).ravel(), start) for start in starts]
    return residuals(min(fits, key=lambda fit: fit.cost).x)
