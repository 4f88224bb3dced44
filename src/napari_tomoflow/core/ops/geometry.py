"""The one geometry of the project (RELION 5's): from a point of the specimen to a pixel of a tilt image.

With p = (x, y, z) in Å from the tomogram's centre, every tilt i has::

    R_i     = Rz(axis_i) · Ry(tilt_i) · Rx(xtilt_i)      right-handed, active
    q       = R_i · p
    (u, v)  = (q_x + sx_i, q_y + sy_i)                   Å from the image centre
    pixel   = (u, v) / pixel_ang + (nx // 2, ny // 2)    0-based
    depth   = q_z

Matrices act on columns in the order (x, y, z); arrays of points keep the project's order (z, y, x),
and only the functions of this module turn one into the other. ``axis`` is counter-clockwise from +y
with y up in MRC row order.

Legend: N tilts, P points.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.errors import DataError

Floats = NDArray[np.float64]


def rotation_x(angle_deg: ArrayLike) -> Floats:
    """Rotate about x: matrices of shape (..., 3, 3) for angles of shape (...), in degrees."""
    return _rotation(angle_deg, 1, 2)


def rotation_y(angle_deg: ArrayLike) -> Floats:
    """Rotate about y: matrices of shape (..., 3, 3) for angles of shape (...), in degrees."""
    return _rotation(angle_deg, 2, 0)


def rotation_z(angle_deg: ArrayLike) -> Floats:
    """Rotate about z: matrices of shape (..., 3, 3) for angles of shape (...), in degrees."""
    return _rotation(angle_deg, 0, 1)


def _rotation(angle_deg: ArrayLike, first: int, second: int) -> Floats:
    """Turn axis `first` towards axis `second`, right-handed."""
    angle = np.deg2rad(np.asarray(angle_deg, np.float64))
    matrix = np.zeros((*angle.shape, 3, 3))
    matrix[..., range(3), range(3)] = 1.0
    matrix[..., first, first] = matrix[..., second, second] = np.cos(angle)
    matrix[..., second, first] = np.sin(angle)
    matrix[..., first, second] = -np.sin(angle)
    return matrix


def tilt_rotations(axis_deg: ArrayLike, tilt_deg: ArrayLike, xtilt_deg: ArrayLike = 0.0) -> Floats:
    """Compose ``Rz(axis) · Ry(tilt) · Rx(xtilt)``: float64[N, 3, 3], acting on (x, y, z)."""
    return rotation_z(axis_deg) @ rotation_y(tilt_deg) @ rotation_x(xtilt_deg)


def tilt_angles(rotations: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Take rotations apart again: ``(axis_deg, tilt_deg, xtilt_deg)``, the inverse of `tilt_rotations`.

    The tilt is returned in [-90°, 90°]. At exactly ±90° axis and x-tilt turn about the same line;
    x-tilt is then set to 0.
    """
    r = np.asarray(rotations, np.float64)
    tilt = np.arcsin(np.clip(-r[..., 2, 0], -1.0, 1.0))
    locked = np.hypot(r[..., 0, 0], r[..., 1, 0]) < 1e-12
    axis = np.where(locked, np.arctan2(-r[..., 0, 1], r[..., 1, 1]), np.arctan2(r[..., 1, 0], r[..., 0, 0]))
    xtilt = np.where(locked, 0.0, np.arctan2(r[..., 2, 1], r[..., 2, 2]))
    return np.rad2deg(axis), np.rad2deg(tilt), np.rad2deg(xtilt)


def image_from_sample(rotations: Floats, shift_ang_yx: Floats) -> Floats:
    """Join rotations and shifts into affine matrices: float64[N, 3, 4].

    Row 0 and 1 give (u, v) in Å from the image centre, row 2 the depth in Å, for the column
    (x, y, z, 1).
    """
    matrices = np.zeros((len(rotations), 3, 4))
    matrices[:, :, :3] = rotations
    matrices[:, 0, 3] = shift_ang_yx[:, 1]
    matrices[:, 1, 3] = shift_ang_yx[:, 0]
    return matrices


def project_points(matrices: Floats, points_ang_zyx: ArrayLike) -> tuple[Floats, Floats]:
    """Project points of the specimen into every tilt image.

    Parameters
    ----------
    matrices : float64[N, 3, 4]
        From `image_from_sample`.
    points_ang_zyx : float64[P, 3]
        Å from the tomogram's centre.

    Returns
    -------
    image_ang_yx : float64[N, P, 2]
        Å from the image centre.
    depth_ang : float64[N, P]
        Height above the centre plane along the beam, Å; defocus = defocus_i + hand · depth.
    """
    points_xyz = np.asarray(points_ang_zyx, np.float64)[:, ::-1]
    uvw = np.einsum("nij,pj->npi", matrices[:, :, :3], points_xyz) + matrices[:, None, :, 3]
    return uvw[..., 1::-1], uvw[..., 2]


def pixels_from_ang(image_ang_yx: ArrayLike, pixel_ang: float, shape_yx: tuple[int, ...]) -> Floats:
    """Turn Å from the centre of an image or volume into 0-based pixel indices; pixel ``n // 2`` is the centre."""
    return np.asarray(image_ang_yx, np.float64) / pixel_ang + np.array([n // 2 for n in shape_yx], np.float64)


def ang_from_pixels(pixels_yx: ArrayLike, pixel_ang: float, shape_yx: tuple[int, ...]) -> Floats:
    """Turn 0-based pixel indices into Å from the centre of an image or volume: the inverse of `pixels_from_ang`."""
    return (np.asarray(pixels_yx, np.float64) - np.array([n // 2 for n in shape_yx], np.float64)) * pixel_ang


def fold_specimen(
    rotations: Floats, shift_ang_yx: Floats, level: ArrayLike, centre_ang_zyx: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """Fold a levelling L and a centre c of the specimen, p = L·p' + c, into the tilt geometry.

    Parameters
    ----------
    rotations : float64[N, 3, 3]
    shift_ang_yx : float64[N, 2]
    level : float64[3, 3]
        Rotation L, acting on (x, y, z).
    centre_ang_zyx : float64[3]
        New origin c in the old frame, Å.

    Returns
    -------
    rotations : float64[N, 3, 3]
        R_i · L.
    shift_ang_yx : float64[N, 2]
        s_i + (R_i c)_xy.
    rise_ang : float64[N]
        (R_i c)_z; add ``hand · rise`` to the defocus of each tilt.
    """
    level_matrix = np.asarray(level, np.float64)
    if not np.allclose(level_matrix @ level_matrix.T, np.eye(3), atol=1e-6) or np.linalg.det(level_matrix) < 0:
        raise DataError("The levelling is not a rotation; got a matrix that is not orthonormal; pass a 3 × 3 rotation.")
    moved = rotations @ np.asarray(centre_ang_zyx, np.float64)[::-1]
    return rotations @ level_matrix, shift_ang_yx + moved[:, 1::-1], moved[:, 2]
