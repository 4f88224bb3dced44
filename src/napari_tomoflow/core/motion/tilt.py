"""One tilt: from frames as recorded to a path and sums."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.model import Movies
from napari_tomoflow.core.motion.align import align_frames
from napari_tomoflow.core.motion.detector import Detector
from napari_tomoflow.core.motion.params import MotionParams
from napari_tomoflow.core.motion.spectra import FrameSpectra, Transform, aligning_shape, phases
from napari_tomoflow.core.motion.trajectory import smoothed, to_frames, without_spikes
from napari_tomoflow.core.ops.ctf import critical_exposure_e_ang2
from napari_tomoflow.core.ops.fsc import resolution_per_px, shell_sums

Image = NDArray[np.float32]

_GROUP_E_ANG2 = 0.25
_SPIKE_ANG = 3.0


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
    sums_yx : float32[2, ny, nx]
        Of the odd frames (the first, the third, ...) and of the even ones.
    """

    shift_ang_yx: NDArray[np.float64]
    spikes: int
    defects: int
    agreement_ang: float | None
    sums_yx: Image


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
    group = params.group or _group_of(float(movies.dose_of_tilt_e_ang2[tilt]) / n, n)
    shape = aligning_shape(spectra.shape_yx, pixel_ang, params.b_factor_ang2)
    groups = spectra.cropped(shape, group)
    coarse_ang = np.array([pixel_ang * n / m for n, m in zip(spectra.shape_yx, shape, strict=True)])
    step_ang = float(coarse_ang.max())
    reach_px = params.largest_motion_ang / step_ang
    path, spikes = np.zeros((len(groups), 2)), np.zeros(len(groups), bool)
    if movies.kept[tilt]:  # what is left out may be dark, and noise leads astray
        path = align_frames(groups, shape, params.b_factor_ang2 / step_ang**2, reach_px) * coarse_ang
        path, spikes = without_spikes(path, _SPIKE_ANG)
        path = smoothed(path) if params.smooth else path
    agreement = _agreement(groups, path / coarse_ang, shape)
    shift_ang = to_frames(path - path.mean(axis=0), group, n)
    weights = _dose_weights(movies, tilt, n) if params.weighting == "dose" else None
    sums = spectra.summed(shift_ang / pixel_ang, np.arange(n) % 2, weights)
    if len(sums) == 1:  # a single frame has no second half
        sums = np.stack([sums[0], np.zeros_like(sums[0])])
    return TiltResult(
        shift_ang, int(spikes.sum()), len(clean.defects[0]), None if agreement is None else step_ang / agreement, sums
    )


def _group_of(dose_of_frame_e_ang2: float, n_frames: int) -> int:
    """Choose how many frames are aligned as one: enough dose in each group, and still a few groups."""
    if dose_of_frame_e_ang2 <= 0:
        return 1
    wanted = int(np.ceil(_GROUP_E_ANG2 / dose_of_frame_e_ang2 - 1e-6))
    return max(1, min(wanted, n_frames // 4))


def _agreement(groups: Transform, path_px: NDArray[np.float64], shape: tuple[int, int]) -> float | None:
    """Compare the sums of odd and even groups: the frequency, per px, at which they part."""
    halves = np.zeros((2, *groups.shape[1:]), np.complex64)
    for number, (group, shift) in enumerate(zip(groups, path_px, strict=True)):
        y, x = phases(-shift, shape)
        halves[number % 2] += group * (y[:, None] * x)
    if len(groups) < 2:
        return None
    odd, even = scipy.fft.irfft2(halves, s=shape, workers=-1)
    return resolution_per_px(shell_sums(odd, even))


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
