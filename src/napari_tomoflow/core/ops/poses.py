"""Particle poses in the conventions of other programs, each an exact function of one matrix.

The pose of a particle is the rotation A with ``x_tomo = A · x_ref`` (both columns (x, y, z)); the
project stores its unit quaternion in the order (x, y, z, w). The table, with r = rot, t = tilt,
p = psi of RELION:

==========================  ===================  ==================================  =======================
program                     parameters           matrix                              from RELION
==========================  ===================  ==================================  =======================
RELION, Warp, M             rot, tilt, psi       A = [Rz(rot) Ry(tilt) Rz(psi)]ᵀ      —
STOPGAP, AV3, TOM, cryoCAT  phi, psi, the        A = Rz(psi) Rx(the) Rz(phi)         90 − r, −90 − p, t
Dynamo                      tdrot, tilt, narot   Aᵀ = Rz(narot) Rx(tilt) Rz(tdrot)   p − 90, t, r + 90
EMAN2                       az, alt, phi         A = [Rz(az) Rx(alt) Rz(phi)]ᵀ       r + 90, t, p − 90
==========================  ===================  ==================================  =======================

scipy is imported where it is used: the nouns import this module, and listing the stages must stay
cheap. All functions take and return float64 arrays; angles in degrees of shape (P, 3) in the order of the
table, matrices of shape (P, 3, 3).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.ops.geometry import rotation_x, rotation_y, rotation_z

Floats = NDArray[np.float64]


def matrices_from_quaternions(quaternions_xyzw: ArrayLike) -> Floats:
    """Return A of shape (P, 3, 3) for unit quaternions (x, y, z, w) of shape (P, 4)."""
    quaternions = np.asarray(quaternions_xyzw, np.float64)
    if not len(quaternions):
        return np.zeros((0, 3, 3))
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_quat(quaternions).as_matrix())


def quaternions_from_matrices(matrices: ArrayLike) -> Floats:
    """Return unit quaternions (x, y, z, w), w ≥ 0, of shape (P, 4) for A of shape (P, 3, 3)."""
    stacked = np.asarray(matrices, np.float64)
    if not len(stacked):
        return np.zeros((0, 4))
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_matrix(stacked).as_quat(canonical=True))


def matrices_from_relion(rot_tilt_psi_deg: ArrayLike) -> Floats:
    """Build A = [Rz(rot) Ry(tilt) Rz(psi)]ᵀ."""
    rot, tilt, psi = _columns(rot_tilt_psi_deg)
    return _transpose(rotation_z(rot) @ rotation_y(tilt) @ rotation_z(psi))


def relion_from_matrices(matrices: ArrayLike) -> Floats:
    """Return (rot, tilt, psi) with tilt in [0°, 180°]; rot is 0 where tilt is 0 and only rot + psi counts."""
    a = np.asarray(matrices, np.float64)
    sine = np.hypot(a[:, 2, 0], a[:, 2, 1])
    tilt = np.arctan2(sine, a[:, 2, 2])
    level = sine < 1e-9
    rot = np.where(level, 0.0, np.arctan2(a[:, 2, 1], a[:, 2, 0]))
    # At tilt 180° the sign of cos(tilt) enters the first row, hence a[0, 1] rather than a[1, 1].
    flat_psi = np.where(a[:, 2, 2] > 0, np.arctan2(a[:, 0, 1], a[:, 0, 0]), np.arctan2(a[:, 0, 1], -a[:, 0, 0]))
    psi = np.where(level, flat_psi, np.arctan2(a[:, 1, 2], -a[:, 0, 2]))
    angles_deg: Floats = np.rad2deg(np.stack([rot, tilt, psi], axis=1))
    return angles_deg


def matrices_from_stopgap(phi_psi_the_deg: ArrayLike) -> Floats:
    """Build A = Rz(psi) Rx(the) Rz(phi); also the motl of AV3, TOM and cryoCAT."""
    phi, psi, the = _columns(phi_psi_the_deg)
    return rotation_z(psi) @ rotation_x(the) @ rotation_z(phi)


def stopgap_from_matrices(matrices: ArrayLike) -> Floats:
    """Return (phi, psi, the) of STOPGAP."""
    rot, tilt, psi = _columns(relion_from_matrices(matrices))
    return _wrapped(90 - rot, -90 - psi, tilt)


def matrices_from_dynamo(tdrot_tilt_narot_deg: ArrayLike) -> Floats:
    """Build A = [Rz(narot) Rx(tilt) Rz(tdrot)]ᵀ."""
    tdrot, tilt, narot = _columns(tdrot_tilt_narot_deg)
    return _transpose(rotation_z(narot) @ rotation_x(tilt) @ rotation_z(tdrot))


def dynamo_from_matrices(matrices: ArrayLike) -> Floats:
    """Return (tdrot, tilt, narot) of Dynamo."""
    rot, tilt, psi = _columns(relion_from_matrices(matrices))
    return _wrapped(psi - 90, tilt, rot + 90)


def matrices_from_eman(az_alt_phi_deg: ArrayLike) -> Floats:
    """Build A = [Rz(az) Rx(alt) Rz(phi)]ᵀ."""
    az, alt, phi = _columns(az_alt_phi_deg)
    return _transpose(rotation_z(az) @ rotation_x(alt) @ rotation_z(phi))


def eman_from_matrices(matrices: ArrayLike) -> Floats:
    """Return (az, alt, phi) of EMAN2."""
    rot, tilt, psi = _columns(relion_from_matrices(matrices))
    return _wrapped(rot + 90, tilt, psi - 90)


def mirrored_in_z(matrices: ArrayLike) -> Floats:
    """Return the pose in the volume mirrored z → −z, of the reference mirrored the same way: S A S."""
    mirror = np.diag([1.0, 1.0, -1.0])
    return mirror @ np.asarray(matrices, np.float64) @ mirror


def _columns(angles_deg: ArrayLike) -> tuple[Floats, Floats, Floats]:
    first, second, third = np.asarray(angles_deg, np.float64).reshape(-1, 3).T
    return first, second, third


def _transpose(matrices: Floats) -> Floats:
    return np.swapaxes(matrices, -1, -2)


def _wrapped(*columns_deg: Floats) -> Floats:
    """Stack angle columns and bring them into (−180°, 180°]."""
    return 180.0 - np.mod(180.0 - np.stack(columns_deg, axis=1), 360.0)
