"""How wrong an alignment is expected to be over the volume of the specimen.

What an alignment does not know is told as *spreads*: changes of θ (`bundle_model`), each one standard
deviation large and independent of the others. They are followed to points all over the specimen, and
what a motion of the specimen as a whole would undo is no error and is taken out. Errors that go together
from tilt to tilt are not told by any one solution; they are told by two that differ (`difference_ang`).

Legend: N tilts, P points, S spreads.
"""

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.bundle_model import (
    AXIS,
    N_COLUMNS,
    SHIFT_X,
    SHIFT_Y,
    TILT,
    Views,
    derivatives_by_theta,
    theta_of,
)
from napari_tomoflow.core.alignment.matching import neighbours_of
from napari_tomoflow.core.model.alignment import Alignment

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_POINTS = 40
_SEED = 0

_AXIS_JITTER_DEG = 0.2
_TILT_ERROR_DEG = 0.3
"""How far single tilts of a usual stage are turned and tilted from where they should be, when nobody measured it."""

_TOGETHER = 1e-9
"""Singular values below this fraction of the largest are motions of all tilts together."""


def expected_error_ang(alignment: Alignment, spreads: Floats, size_ang_zyx: tuple[float, float, float]) -> float:
    """Return the root mean square error of predicted positions over the specimen, Å.

    Parameters
    ----------
    alignment : Alignment
    spreads : float64[N, 8, S]
    size_ang_zyx : tuple of float
        Of the specimen, about the origin.
    """
    kept = np.flatnonzero(alignment.kept & np.isfinite(spreads).all(axis=(1, 2)))
    points_xyz = _points_within(size_ang_zyx)
    theta = theta_of(alignment)
    tilt, point = np.repeat(kept, _POINTS), np.tile(np.arange(_POINTS), len(kept))
    by_theta = derivatives_by_theta(theta, Views.at(theta), tilt, points_xyz[point])
    moved = (by_theta.reshape(len(kept), -1, N_COLUMNS) @ spreads[kept]).reshape(-1, spreads.shape[2])
    left = _without_motion(moved, alignment.rotations[tilt, :2], points_xyz[point])
    return float(np.sqrt(np.sum(left**2) / len(tilt)))


def difference_ang(first: Alignment, second: Alignment, size_ang_zyx: tuple[float, float, float]) -> float:
    """Return the root mean square distance of what two alignments that differ little predict, Å.

    Parameters
    ----------
    first, second : Alignment
        Compared over the tilts that both keep; what a motion of the specimen would undo is taken out.
    size_ang_zyx : tuple of float
        Of the specimen, about the origin.
    """
    kept = np.flatnonzero(first.kept & second.kept)
    points_xyz = _points_within(size_ang_zyx)
    apart_yx = (first.project(points_xyz[:, ::-1])[0] - second.project(points_xyz[:, ::-1])[0])[kept]
    tilt, point = np.repeat(kept, _POINTS), np.tile(np.arange(_POINTS), len(kept))
    left = _without_motion(apart_yx[..., ::-1].reshape(-1, 1), first.rotations[tilt, :2], points_xyz[point])
    return float(np.sqrt(np.sum(left**2) / len(tilt)))


def spreads_by_images(alignment: Alignment, axis_error_deg: float, confirmed: Flags | None = None) -> Floats:
    """Say what is not known of tilts that only images hold, float64[N, 8, 4 N + 1].

    An image is matched with what its neighbours predict, and a wrong step is taken along by the images
    beyond: the residual tells the steps, and errors add up from the tilts that are known. The residual is blind
    to the rest: an error of the common axis, which the disagreement of halves of the data tells, and turns and
    tilts of single images, which a usual stage tells.

    Parameters
    ----------
    alignment : Alignment
    axis_error_deg : float
    confirmed : bool[N], optional
        Tilts whose errors are told otherwise and not here; left out, there are none.
    """
    n = alignment.n_tilts
    told = np.zeros(n, np.bool_) if confirmed is None else confirmed
    used = np.flatnonzero(alignment.kept & np.isfinite(alignment.residual_ang))
    steps = _carried(alignment.tilt_deg[used], told[used]) * alignment.residual_ang[used] / np.sqrt(2.0)
    spreads = np.zeros((n, N_COLUMNS, 4 * n + 1))
    spreads[used[:, None], SHIFT_X, used] = steps
    spreads[used[:, None], SHIFT_Y, n + used] = steps
    each = np.flatnonzero(~told)
    spreads[each, AXIS, 2 * n + each] = np.deg2rad(_AXIS_JITTER_DEG)
    spreads[each, TILT, 3 * n + each] = np.deg2rad(_TILT_ERROR_DEG)
    spreads[each, AXIS, 4 * n] = np.deg2rad(axis_error_deg)
    return spreads


def _carried(tilt_deg: Floats, known: Flags) -> Floats:
    """Say how far each tilt goes astray for a wrong step of each: float64[K, K], zero for tilts that are known.

    Shifts x and steps e agree where (I − W) x = e, W the mean over the neighbours of each tilt.
    """
    everyone = range(len(tilt_deg))
    beside = np.eye(len(tilt_deg))
    for tilt in everyone:
        others = neighbours_of(tilt_deg, tilt, everyone)
        beside[tilt, others] = -1.0 / len(others)
    free = np.ix_(~known, ~known)
    carried = np.zeros_like(beside)
    # Where no tilt is known all may move together, which is no error; the pseudo-inverse leaves that out.
    carried[free] = np.linalg.pinv(beside[free], rtol=_TOGETHER)
    return carried


def _points_within(size_ang_zyx: tuple[float, float, float]) -> Floats:
    """Draw points of the specimen, always the same ones: float64[P, 3], xyz."""
    shares = np.random.default_rng(_SEED).uniform(-0.5, 0.5, (_POINTS, 3))
    return np.asarray(shares * np.asarray(size_ang_zyx)[::-1], np.float64)


def _without_motion(moved: Floats, rotations: Floats, points_xyz: Floats) -> Floats:
    """Take out of columns of moves (u, v), one pair of rows per point, what motions of the specimen explain."""
    rigid = np.linalg.qr(_rigid_motions(rotations, points_xyz))[0]
    return np.asarray(moved - rigid @ (rigid.T @ moved))


def _rigid_motions(rotations: Floats, points_xyz: Floats) -> Floats:
    """Move (u, v) by the six motions of the specimen: float64[2 M, 6], scaled to about one Å each."""
    turned = np.zeros((len(points_xyz), 3, 3))
    for axis in range(3):
        turned[:, :, axis] = np.cross(np.eye(3)[axis], points_xyz)
    reach = np.sqrt(np.mean(np.sum(points_xyz**2, axis=1)))
    return np.concatenate([rotations, rotations @ turned / reach], axis=2).reshape(-1, 6)
