"""Transforms of frames: cut to the frequencies used, moved by a phase, and summed."""

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.kernels.moved import add_moved
from napari_tomoflow.core.motion.detector import CleanFrames
from napari_tomoflow.core.ops.fourier import next_fast_size
from napari_tomoflow.core.ops.resample import sample_affine, spline_transfer

Image = NDArray[np.float32]
Transform = NDArray[np.complex64]

_KEPT_BYTES = 1 << 30
"""Transforms of a tilt beyond this are made a second time rather than kept."""

_SMALLEST_PX = 256
_SPLINE_TAPS = 4
_FADED = 14.0
"""Wavelengths w with B / w² above this have faded by the B factor and are not needed to align."""


class FrameSpectra:
    """Half transforms of the frames of one tilt, complex64[ny, nx // 2 + 1] each.

    Parameters
    ----------
    frames : CleanFrames
    """

    def __init__(self, frames: CleanFrames) -> None:
        ny, nx = frames.recorded.shape[1:]
        self.shape_yx = (int(ny), int(nx))
        self._frames = frames
        self._spectra: Transform | None = None
        if len(frames) * ny * (nx // 2 + 1) * np.dtype(np.complex64).itemsize <= _KEPT_BYTES:
            stack = np.stack([frames[frame] for frame in range(len(frames))])
            self._spectra = np.asarray(scipy.fft.rfft2(stack, workers=-1), np.complex64)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._frames)

    def __getitem__(self, frame: int) -> Transform:
        """Return one transform."""
        if self._spectra is not None:
            return np.asarray(self._spectra[frame])
        return np.asarray(scipy.fft.rfft2(self._frames[frame], workers=-1))

    def cropped(self, shape_yx: Sequence[int], group: int) -> Transform:
        """Cut the transforms to those of smaller images and sum them in groups: complex64[G, my, mx // 2 + 1]."""
        my, mx = shape_yx
        groups = -(-len(self) // group)
        cut = np.zeros((groups, my, mx // 2 + 1), np.complex64)
        for frame in range(len(self)):
            spectrum = self[frame]
            cut[frame // group, : my - my // 2] += spectrum[: my - my // 2, : mx // 2 + 1]
            cut[frame // group, my - my // 2 :] += spectrum[len(spectrum) - my // 2 :, : mx // 2 + 1]
        return cut

    def summed(
        self,
        shift_px_yx: NDArray[np.float64],
        into: NDArray[np.int64],
        weights: Image | None,
        moves_yx: Sequence[Image] | None = None,
    ) -> Image:
        """Move frames and sum them.

        Parameters
        ----------
        shift_px_yx : float64[F, 2]
            How far the specimen had moved in each frame; it is moved back, and leaves at one border what
            enters at the other.
        into : int64[F]
            Which sum each frame goes to.
        weights : float32[F, ny, nx // 2 + 1] or None
            Multiplied in.
        moves_yx : sequence of float32[gy, gx, 2], optional
            For each frame, how far the specimen had moved besides, at `ops.resample.places_of_moves`, px.

        Returns
        -------
        float32[S, ny, nx]
        """
        sums = np.zeros((int(into.max()) + 1, self.shape_yx[0], self.shape_yx[1] // 2 + 1), np.complex64)
        for frame, shift in enumerate(shift_px_yx):
            spectrum = self[frame] if weights is None else self[frame] * weights[frame]
            if moves_yx is None:
                add_moved(sums[into[frame]], spectrum, *phases(-shift, self.shape_yx))
            else:
                straight = np.zeros_like(spectrum)
                add_moved(straight, spectrum, *phases(-shift, self.shape_yx))
                bent = bent_back(straight, self.shape_yx, moves_yx[frame])
                sums[into[frame]] += scipy.fft.rfft2(bent, workers=-1)
        return np.asarray(scipy.fft.irfft2(sums, s=self.shape_yx, workers=-1, overwrite_x=True), np.float32)


def phases(shift_px_yx: NDArray[np.float64], shape_yx: Sequence[int]) -> tuple[Transform, Transform]:
    """Return the phases of rows and columns of a half transform whose image moves by `shift_px_yx`."""
    y = np.exp(-2j * np.pi * shift_px_yx[0] * scipy.fft.fftfreq(shape_yx[0]))
    x = np.exp(-2j * np.pi * shift_px_yx[1] * scipy.fft.rfftfreq(shape_yx[1]))
    return y.astype(np.complex64), x.astype(np.complex64)


def moved_back(groups_rft: Transform, shift_px_yx: NDArray[np.float64], shape_yx: Sequence[int]) -> Transform:
    """Move each image back by how far its specimen has moved: complex64[G, ny, nx // 2 + 1]."""
    moved = np.empty_like(groups_rft)
    for one, group, back in zip(moved, groups_rft, -shift_px_yx, strict=True):
        y, x = phases(back, shape_yx)
        np.multiply(group, y[:, None] * x, out=one)
    return moved


def bent_back(spectrum: Transform, shape_yx: tuple[int, int], moves_yx: Image) -> Image:
    """Take smooth moves out of an image, by cubic splines: float32[ny, nx]; what leaves at one border enters opposite.

    Parameters
    ----------
    spectrum : complex64[ny, nx // 2 + 1]
    shape_yx : tuple of int
    moves_yx : float32[gy, gx, 2]
        See `FrameSpectra.summed`.
    """
    coefficients = scipy.fft.irfft2(spectrum * spline_transfer(shape_yx), s=shape_yx, workers=-1)
    margin = int(np.ceil(np.abs(moves_yx).max())) + _SPLINE_TAPS
    around = np.pad(np.asarray(coefficients, np.float32), margin, mode="wrap")
    affine = np.array([[1.0, 0.0, margin], [0.0, 1.0, margin]])
    # The spline is read at p − moves, and the specimen lies at p + what it has moved.
    return sample_affine(around, affine, shape_yx, -moves_yx)


def aligning_shape(shape_yx: Sequence[int], pixel_ang: float, b_factor_ang2: float) -> tuple[int, int]:
    """Choose the size images are cut to: fine enough for every frequency the B factor leaves."""
    wanted_ang = 0.5 * (b_factor_ang2 / _FADED) ** 0.5
    sizes = []
    for n in shape_yx:
        enough = max(round(n * min(1.0, pixel_ang / max(wanted_ang, 1e-6))), _SMALLEST_PX)
        sizes.append(min(next_fast_size(enough), n))
    return sizes[0], sizes[1]
