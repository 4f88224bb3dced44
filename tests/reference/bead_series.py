"""Beads seen through a known geometry: measurements with noise, outliers and gaps, and the error of what is found."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.alignment.bundle_model import Observations
from napari_tomoflow.core.model import Alignment

PIXEL_ANG = 5.0
SIZE_ANG = 1024 * PIXEL_ANG
THICKNESS_ANG = 200 * PIXEL_ANG


@dataclass(frozen=True, eq=False)
class BeadSeries:
    """What was measured, where to start, and the truth; `is_outlier` marks the measurements that are wrong."""

    observations: Observations
    start: Alignment
    truth: Alignment
    points_ang_zyx: np.ndarray
    is_outlier: np.ndarray


def bead_series(
    seed,
    n_beads=12,
    n_tilts=41,
    noise_px=0.3,
    outliers=0.05,
    missing=0.1,
    tilt_error_deg=0.3,
    axis_jitter_deg=0.2,
    axis_deg=-12.0,
    start_axis_deg=-11.0,
    start_error_px=3.0,
):
    """Draw a specimen of 1024² × 200 px with beads and measure them; tilts from −60° to 60°."""
    rng = np.random.default_rng(seed)
    nominal_deg = np.linspace(-60.0, 60.0, n_tilts)
    truth = Alignment(
        tilt_deg=nominal_deg + rng.normal(0, tilt_error_deg, n_tilts),
        axis_deg=axis_deg + rng.normal(0, axis_jitter_deg, n_tilts),
        shift_ang_yx=rng.normal(0, 8 * PIXEL_ANG, (n_tilts, 2)),
    )
    points = rng.uniform(-0.5, 0.5, (n_beads, 3)) * [THICKNESS_ANG, 0.85 * SIZE_ANG, 0.85 * SIZE_ANG]
    position, _ = truth.project(points)
    measured = position + rng.normal(0, noise_px * PIXEL_ANG, position.shape)
    is_outlier = rng.random(position.shape[:2]) < outliers
    measured[is_outlier] += rng.normal(0, 10 * PIXEL_ANG, (is_outlier.sum(), 2))
    is_seen = (rng.random(position.shape[:2]) >= missing) & (np.abs(position).max(2) < SIZE_ANG / 2)
    tilt, point = np.nonzero(is_seen)
    start = Alignment(
        tilt_deg=nominal_deg,
        axis_deg=start_axis_deg,
        shift_ang_yx=truth.shift_ang_yx + rng.normal(0, start_error_px * PIXEL_ANG, (n_tilts, 2)),
    )
    observations = Observations(tilt, point, measured[tilt, point])
    return BeadSeries(observations, start, truth, points, is_outlier[tilt, point])


def specimen_grid():
    """Return float64[P, 3] zyx, Å: points evenly over the volume of a `bead_series`."""
    z, y, x = (np.linspace(-0.45, 0.45, n) * size for n, size in ((5, THICKNESS_ANG), (7, SIZE_ANG), (7, SIZE_ANG)))
    return np.stack(np.meshgrid(z, y, x, indexing="ij"), axis=-1).reshape(-1, 3)


def true_rms_px(found, truth, points_ang_zyx):
    """Return the RMS distance between where `found` and `truth` put points, over the tilts kept.

    The specimen of `found` is first moved rigidly for the least RMS: six Gauss-Newton unknowns.
    """
    wanted_xy = truth.project(points_ang_zyx)[0][found.kept][..., ::-1]
    matrices = found.image_from_sample()[found.kept, :2]
    turn, move = Rotation.identity(), np.zeros(3)
    for _ in range(5):
        turned = turn.apply(points_ang_zyx[:, ::-1])
        predicted = np.einsum("nij,pj->npi", matrices[:, :, :3], turned + move) + matrices[:, None, :, 3]
        error = wanted_xy - predicted
        by_turn = -np.einsum("nij,pjk->npik", matrices[:, :, :3], _cross(turned))
        by_move = np.broadcast_to(matrices[:, None, :, :3], by_turn.shape)
        jacobian = np.concatenate([by_turn, by_move], axis=-1).reshape(-1, 6)
        step = np.linalg.lstsq(jacobian, error.ravel(), rcond=None)[0]
        turn, move = Rotation.from_rotvec(step[:3]) * turn, move + step[3:]
    return float(np.sqrt(np.mean(np.sum(error**2, axis=-1)))) / PIXEL_ANG


def _cross(vectors):
    """Return matrices [v]× with [v]× w = v × w."""
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
