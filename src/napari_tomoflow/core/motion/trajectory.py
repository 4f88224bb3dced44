"""Trajectories: from shifts of single frames to the path of the specimen. Legend: F frames, G groups."""

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ops.peaks import noise_sd

Floats = NDArray[np.float64]

_SPIKE_SD = 4.0
_FEWEST = 5
_STIFFNESS = np.concatenate([[0.0], np.logspace(-2, 3, 21)])


def without_spikes(shift_px_yx: Floats, least_px: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Put frames that leap away from both of their neighbours on the line between these.

    Parameters
    ----------
    shift_px_yx : float64[F, 2]
    least_px : float
        Leaps below this are noise.

    Returns
    -------
    float64[F, 2], bool[F]
        The path, and which frames were moved.
    """
    spikes = np.zeros(len(shift_px_yx), bool)
    if len(shift_px_yx) < _FEWEST:
        return shift_px_yx, spikes
    between = _between(shift_px_yx)
    off = shift_px_yx - between
    limit = np.maximum(_SPIKE_SD * np.array([noise_sd(off[:, axis]) for axis in (0, 1)]), least_px)
    worst = np.max(np.abs(off) / limit, axis=1)
    # The neighbours of a spike leap half as far; only the peak of a run is one.
    spikes[1:-1] = (worst[1:-1] > 1) & (worst[1:-1] >= worst[:-2]) & (worst[1:-1] >= worst[2:])
    spikes[0], spikes[-1] = worst[0] > max(1.0, worst[1]), worst[-1] > max(1.0, worst[-2])
    return np.where(spikes[:, None], between, shift_px_yx), spikes


def _between(path: Floats) -> Floats:
    """Predict each frame from its two neighbours; the ends go on as the path does."""
    predicted = np.empty_like(path)
    predicted[1:-1] = (path[:-2] + path[2:]) / 2
    predicted[0], predicted[-1] = 2 * path[1] - path[2], 2 * path[-2] - path[-3]
    return predicted


def smoothed(shift_px_yx: Floats) -> Floats:
    """Smooth a path by a penalty on its bends, as stiff as generalised cross-validation finds it: float64[F, 2]."""
    n = len(shift_px_yx)
    if n < _FEWEST:
        return shift_px_yx
    bend = np.diff(np.eye(n), n=2, axis=0)
    values, vectors = np.linalg.eigh(bend.T @ bend)
    along = vectors.T @ shift_px_yx  # float64[F, 2] in the modes of the penalty
    share = 1.0 / (1.0 + _STIFFNESS[1:, None] * np.maximum(values, 0.0))
    left = ((1.0 - share[..., None]) * along).reshape(len(share), -1)
    score = (left**2).sum(axis=1) / (1.0 - share.mean(axis=1)) ** 2
    return np.asarray(vectors @ (share[np.argmin(score)][:, None] * along))


def middles_of_groups(group: int, n_frames: int) -> Floats:
    """Return the frame in the middle of each group of so many: float64[G]; the last group may be smaller."""
    starts = np.arange(0, n_frames, group)
    return np.asarray((starts + np.minimum(starts + group, n_frames) - 1) / 2)


def to_frames(shift_px_yx: Floats, group: int, n_frames: int) -> Floats:
    """Go from the middles of groups to frames by straight lines that continue beyond the ends: float64[F, 2]."""
    if group == 1 or len(shift_px_yx) == 1:
        return np.array(np.broadcast_to(shift_px_yx, (n_frames, 2)))
    middles = middles_of_groups(group, n_frames)
    frames = np.arange(n_frames)
    left = np.clip(np.searchsorted(middles, frames, side="right") - 1, 0, len(middles) - 2)
    share = (frames - middles[left]) / (middles[left + 1] - middles[left])
    return np.asarray(shift_px_yx[left] + share[:, None] * (shift_px_yx[left + 1] - shift_px_yx[left]))
