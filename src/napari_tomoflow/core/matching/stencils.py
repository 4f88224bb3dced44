"""Turned templates, ready to be correlated with a tomogram."""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.kernels.matching import normalise_under_mask, turn_transform
from napari_tomoflow.core.matching.template import Template
from napari_tomoflow.core.ops.fourier import crop_centred, next_fast_size, pad_centred

Image = NDArray[np.float32]

_PADDING = 2
"""The template is transformed in a box so many times as wide as the stencil: read between its samples by straight
lines, the transform is then off by less than a thousandth of its power."""


class Stencils:
    """Makes the stencil of any rotation: the template turned, resampled, filtered and normalised under a ball.

    Parameters
    ----------
    template : Template
        In voxels of its own.
    ball_zyx : float32[n, n, n]
        The ball the correlation is taken under, in voxels of the tomogram; n even.
    voxel_ang : float
        Of the tomogram.
    transfer_rft : float32[n, n, n // 2 + 1]
        What the tomogram has kept of each frequency; it does not turn.

    Attributes
    ----------
    size : int
        n.
    """

    def __init__(self, template: Template, ball_zyx: Image, voxel_ang: float, transfer_rft: Image) -> None:
        self.size = n = len(ball_zyx)
        self._ball_zyx = np.ascontiguousarray(ball_zyx, np.float32)
        # The sign (-1)^(kx + ky + kz) moves the centre from voxel 0 to n // 2.
        odd = np.add.outer(np.add.outer(np.arange(n), np.arange(n)), np.arange(n // 2 + 1)) % 2
        self._filter_rft = np.ascontiguousarray(transfer_rft * (1 - 2 * odd), np.float32)
        self._source_rft, cells = _transform(template, n * voxel_ang, voxel_ang)
        self._cells_per_frequency = cells

    def __call__(self, rotation: NDArray[np.float64]) -> Image:
        """Make the stencil of a pose x_tomo = rotation · x_ref: float32[n, n, n], voxel n // 2 its centre."""
        box = self.turned(rotation)
        normalise_under_mask(box, self._ball_zyx)
        return box

    def turned(self, rotation: NDArray[np.float64]) -> Image:
        """Show the template in a pose as the tomogram would, neither normalised nor cut: float32[n, n, n]."""
        n = self.size
        turned_rft = np.empty((n, n, n // 2 + 1), np.complex64)
        turn_transform(turned_rft, self._source_rft, self._filter_rft, rotation.T * self._cells_per_frequency)
        box: Image = scipy.fft.irfftn(turned_rft, (n, n, n), overwrite_x=True)
        return box


def _transform(template: Template, width_ang: float, voxel_ang: float) -> tuple[NDArray[np.complex64], float]:
    """Transform a template in a box `_PADDING` times as wide, up to the Nyquist frequency of the tomogram.

    Returns
    -------
    transform : complex64[m, m, m // 2 + 1]
        The template's centre is voxel 0.
    cells : float
        Its samples per frequency of a box of `width_ang`.
    """
    side = next_fast_size(int(np.ceil(_PADDING * width_ang / template.voxel_ang)))
    masked = template.volume_zyx * template.mask_zyx
    n = min(len(masked), side)
    # Straight lines between samples fade the box towards its sides; undo that beforehand.
    fading = np.sinc((np.arange(n) - n // 2) / side) ** 2
    sharpened = crop_centred(masked, (n,) * 3) / (fading[:, None, None] * fading[:, None] * fading)
    padded = np.fft.ifftshift(pad_centred(sharpened.astype(np.float32), (side,) * 3, "constant"))
    whole = scipy.fft.rfftn(padded)
    width = side * template.voxel_ang
    kept = min(side, 2 * int(np.ceil(0.5 * width / voxel_ang)) + 2)
    rows = np.rint(np.fft.fftfreq(kept) * kept).astype(np.int64) % side
    cropped = whole[np.ix_(rows, rows, np.arange(kept // 2 + 1))]
    return np.ascontiguousarray(cropped, np.complex64), width / width_ang
