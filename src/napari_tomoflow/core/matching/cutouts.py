"""Exact scores of chosen rotations around chosen places, in small cut-outs of the volume."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.kernels.matching import multiply_conjugate
from napari_tomoflow.core.matching.correlation import Stencil
from napari_tomoflow.core.ops.fourier import next_fast_size

Image = NDArray[np.float32]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LocalBest:
    """The best of some rotations near a place.

    Attributes
    ----------
    score : float
        LCC.
    place_zyx : int64[3]
        Voxel of the volume.
    rotation : int
        Its number among those tried.
    around_zyx : float32[2r + 1, 2r + 1, 2r + 1]
        LCC of this rotation around the place asked for.
    """

    score: float
    place_zyx: NDArray[np.int64]
    rotation: int
    around_zyx: Image


class Cutouts:
    """Scores rotations near places as `LocalCorrelation` does, at the cost of a box each.

    Parameters
    ----------
    volume_zyx : float32[nz, ny, nx]
    spread_zyx : float32[nz, ny, nx]
        `LocalCorrelation.spread_zyx`.
    size : int
        Of the stencils.
    """

    def __init__(self, volume_zyx: Image, spread_zyx: Image, size: int) -> None:
        self._volume_zyx, self._spread_zyx, self._size = volume_zyx, spread_zyx, size

    def best(self, stencil: Stencil, rotations: Floats, place_zyx: NDArray[np.int64], reach_vox: int) -> LocalBest:
        """Try rotations at all voxels within a reach of a place.

        Parameters
        ----------
        stencil
        rotations : float64[R, 3, 3]
            At least one.
        place_zyx : int64[3]
        reach_vox : int
        """
        width = 2 * reach_vox + 1
        side = next_fast_size(self._size + 2 * reach_vox)
        # Sample (0, 0, 0) of the correlation is the stencil's centre at the lowest corner of the reach.
        volume_rft = scipy.fft.rfftn(_window(self._volume_zyx, place_zyx - reach_vox - self._size // 2, side, 0.0))
        spread = _window(self._spread_zyx, place_zyx - reach_vox, width, np.inf)
        best = LocalBest(-np.inf, place_zyx, 0, np.zeros((width,) * 3, np.float32))
        for number, rotation in enumerate(rotations):
            part_rft = scipy.fft.rfftn(stencil(rotation), (side,) * 3)
            multiply_conjugate(part_rft, volume_rft)
            sums = scipy.fft.irfftn(part_rft, (side,) * 3, overwrite_x=True)[:width, :width, :width]
            values = sums / spread
            top = int(np.argmax(values))
            if values.ravel()[top] > best.score:
                at = np.array(np.unravel_index(top, values.shape), np.int64)
                best = LocalBest(float(values.ravel()[top]), place_zyx - reach_vox + at, number, values)
        return best


def _window(volume_zyx: Image, corner_zyx: NDArray[np.int64], side: int, beyond: float) -> Image:
    """Cut a cube out of a volume, which goes on with one value beyond its borders."""
    window = np.full((side,) * 3, beyond, np.float32)
    first = np.maximum(corner_zyx, 0)
    last = np.minimum(corner_zyx + side, volume_zyx.shape)
    if np.all(last > first):
        read = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        write = tuple(slice(a, b) for a, b in zip(first - corner_zyx, last - corner_zyx, strict=True))
        window[write] = volume_zyx[read]
    return window
