"""One tilt: from frames as recorded to a path and sums."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.model import Movies
from napari_tomoflow.core.motion.align import align_frames
from napari_tomoflow.core.motion.detector import Detector
from napari_tomoflow.core.motion.groups import FrameGroups
from napari_tomoflow.core.motion.local import LocalMotion, find_local_motion
from napari_tomoflow.core.motion.params import MotionParams
from napari_tomoflow.core.motion.spectra import FrameSpectra, moved_back
from napari_tomoflow.core.motion.trajectory import smoothed, to_frames, without_spikes
from napari_tomoflow.core.ops.ctf import critical_exposure_e_ang2
from napari_tomoflow.core.ops.fsc import resolution_per_px, shell_sums
from napari_tomoflow.core.ops.resample import places_of_moves

Image = NDArray[np.float32]

_SPIKE_ANG = 3.0
_SHOWN = 5
"""Places along either edge at which local motion is summed up."""


@dataclass(frozen=True, eq=False)
class TiltResult:
    """A tilt whose frames are aligned. Legend: F frames.

    Attributes
    ----------
    shift_ang_yx : float64[F, 2]
        How far the specimen had moved in each frame from its mean place.
    spikes : int
        Groups of frames whose place was taken from their neighbours.
    defects : int
        Pixels replaced in every frame.
    agreement_ang : float or None
        Resolution at which the sums of odd and of even frames correlate by 0.143; None where they never
        fall so low, or were never above.
    local : LocalMotion or None
        None where it was not looked for.
    sums_yx : float32[2, ny, nx]
        Of the odd frames (the first, the third, ...) and of the even ones.
    """

    shift_ang_yx: NDArray[np.float64]
    spikes: int
    defects: int
    agreement_ang: float | None
    local: LocalMotion | None
    sums_yx: Image

    def bends_ang(self) -> NDArray[np.float64]:
        """Return how far the specimen had moved locally, at a grid of places in each frame: float64[F, g, g, 2]."""
        n = len(self.shift_ang_yx)
        if self.local is None or not self.local.helps:
            return np.zeros((n, _SHOWN, _SHOWN, 2))
        along = (np.arange(_SHOWN) + 0.5) / _SHOWN - 0.5
        places = np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1)
        return np.stack([self.local.at_ang(places, frame, n) for frame in range(n)])


def correct_tilt(
    movies: Movies, tilt: int, frames_fyx: NDArray[Any], detector: Detector, params: MotionParams
) -> TiltResult:
    """Take a tilt from frames to sums.

    Parameters
    ----------
    movies : Movies
    tilt : int
    frames_fyx : array[F, ny, nx]
        Its frames as recorded, in memory.
    detector : Detector
    params : MotionParams
    """
    clean = detector.correct(frames_fyx, tilt)
    spectra = FrameSpectra(clean)
    n, pixel_ang = len(spectra), movies.pixel_ang
    groups = FrameGroups.of(spectra, pixel_ang, float(movies.dose_of_tilt_e_ang2[tilt]), params)
    path_px, spikes, local = np.zeros((len(groups), 2)), 0, None
    if movies.kept[tilt]:  # what is left out may be dark, and noise leads astray
        path_px, spikes = _path(groups, params)
        local = find_local_motion(groups, path_px, params.patches)
    shift_ang = to_frames((path_px - path_px.mean(axis=0)) * groups.pixel_ang_yx, groups.frames_each, n)
    weights = _dose_weights(movies, tilt, n) if params.weighting == "dose" else None
    moves = _moves_px(local, spectra.shape_yx, n, pixel_ang) if local is not None and local.helps else None
    sums = spectra.summed(shift_ang / pixel_ang, np.arange(n) % 2, weights, moves)
    if len(sums) == 1:  # a single frame has no second half
        sums = np.stack([sums[0], np.zeros_like(sums[0])])
    return TiltResult(shift_ang, spikes, len(clean.defects[0]), _agreement_ang(groups, path_px), local, sums)


def _path(groups: FrameGroups, params: MotionParams) -> tuple[NDArray[np.float64], int]:
    """Align whole frames: the path in px of the groups' images, and how many leapt."""
    reach_px = params.largest_motion_ang / float(groups.pixel_ang_yx.max())
    path_ang = align_frames(groups.spectra, groups.shape_yx, groups.b_factor_px2, reach_px) * groups.pixel_ang_yx
    path_ang, spikes = without_spikes(path_ang, _SPIKE_ANG)
    path_ang = smoothed(path_ang) if params.smooth else path_ang
    return path_ang / groups.pixel_ang_yx, int(spikes.sum())


def _agreement_ang(groups: FrameGroups, path_px: NDArray[np.float64]) -> float | None:
    """Compare the sums of odd and even groups: the resolution at which they part."""
    if len(groups) < 2:
        return None
    moved = moved_back(groups.spectra, path_px, groups.shape_yx)
    halves = np.stack([moved[::2].sum(axis=0), moved[1::2].sum(axis=0)])
    odd, even = scipy.fft.irfft2(halves, s=groups.shape_yx, workers=-1)
    per_px = resolution_per_px(shell_sums(odd, even))
    return None if per_px is None else float(groups.pixel_ang_yx.max()) / per_px


def _moves_px(local: LocalMotion, shape_yx: tuple[int, int], n_frames: int, pixel_ang: float) -> list[Image]:
    """Return the local motion in each frame where `FrameSpectra.summed` wants it."""
    places = (places_of_moves(shape_yx) - np.array(shape_yx) // 2) / shape_yx
    return [np.asarray(local.at_ang(places, frame, n_frames) / pixel_ang, np.float32) for frame in range(n_frames)]


def _dose_weights(movies: Movies, tilt: int, n_frames: int) -> Image:
    """Weigh frames by the exposure they have had since the tilt began: float32[F, ny, nx // 2 + 1].

    At every frequency the squares of the weights have a mean of one, so noise stays as strong as it was.
    What earlier tilts have done is the same for all frames and left to the stages that compare tilts.
    """
    ny, nx = movies.shape_yx
    y, x = scipy.fft.fftfreq(ny, movies.pixel_ang), scipy.fft.rfftfreq(nx, movies.pixel_ang)
    critical = critical_exposure_e_ang2(np.hypot(y[:, None], x), movies.optics.voltage_kv).astype(np.float32)
    exposure = np.float32(movies.dose_of_tilt_e_ang2[tilt] / n_frames) * (np.arange(n_frames, dtype=np.float32) + 0.5)
    weights = np.exp(-0.5 * exposure[:, None, None] / critical)
    weights /= np.sqrt(np.mean(weights**2, axis=0))
    return np.asarray(weights, np.float32)
