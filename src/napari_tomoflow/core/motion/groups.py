"""Groups of frames, cut to the frequencies that align them. Legend: F frames, G groups."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.motion.params import MotionParams
from napari_tomoflow.core.motion.spectra import FrameSpectra, Transform, aligning_shape

Floats = NDArray[np.float64]

_GROUP_E_ANG2 = 0.25


@dataclass(frozen=True, eq=False)
class FrameGroups:
    """Sums of consecutive frames.

    Attributes
    ----------
    spectra : complex64[G, ny, nx // 2 + 1]
        Their half transforms, of images as small as the B factor allows.
    shape_yx : tuple of int
        Size of those images.
    pixel_ang_yx : float64[2]
        Of those images.
    b_factor_px2 : float
        Correlations are weighted by exp(-B k² / 4), k in cycles per pixel.
    frames_each : int
        The last group may have fewer.
    n_frames : int
    """

    spectra: Transform
    shape_yx: tuple[int, int]
    pixel_ang_yx: Floats
    b_factor_px2: float
    frames_each: int
    n_frames: int

    @classmethod
    def of(cls, frames: FrameSpectra, pixel_ang: float, dose_e_ang2: float, params: MotionParams) -> "FrameGroups":
        """Group the frames of a tilt that had some exposure."""
        n = len(frames)
        each = params.group or _group_of(dose_e_ang2 / n, n)
        shape = aligning_shape(frames.shape_yx, pixel_ang, params.b_factor_ang2)
        coarse_ang = pixel_ang * np.array(frames.shape_yx) / shape
        b_factor_px2 = params.b_factor_ang2 / float(coarse_ang.max()) ** 2
        return cls(frames.cropped(shape, each), shape, coarse_ang, b_factor_px2, each, n)

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.spectra)


def _group_of(dose_of_frame_e_ang2: float, n_frames: int) -> int:
    """Choose how many frames are aligned as one: enough dose in each group, and still a few groups."""
    if dose_of_frame_e_ang2 <= 0:
        return 1
    wanted = int(np.ceil(_GROUP_E_ANG2 / dose_of_frame_e_ang2 - 1e-6))
    return max(1, min(wanted, n_frames // 4))
