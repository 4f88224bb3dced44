"""Exact scores of chosen rotations around chosen places, in small cut-outs of the volume."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.kernels.matching import correlate_near, multiply_conjugate
from napari_tomoflow.core.matching.correlation import Stencil
from napari_tomoflow.core.ops.fourier import next_fast_size

Image = NDArray[np.float32]
Floats = NDArray[np.float64]

_NEAR_VOX = 1
"""Sums at 27 places cost a fifth of two transforms; those at 125 cost as much."""


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
        sums = self._sums(place_zyx, reach_vox)
        spread = _window(self._spread_zyx, place_zyx - reach_vox, width, np.inf)
        best = LocalBest(-np.inf, place_zyx, 0, np.zeros((width,) * 3, np.float32))
        for number, rotation in enumerate(rotations):
            values = sums(stencil(rotation)) / spread
            top = int(np.argmax(values))
            if values.ravel()[top] > best.score:
                at = np.array(np.unravel_index(top, values.shape), np.int64)
                best = LocalBest(float(values.ravel()[top]), place_zyx - reach_vox + at, number, values)
        return best

    def _sums(self, place_zyx: NDArray[np.int64], reach_vox: int) -> Callable[[Image], Image]:
        """Return what sums the products of a stencil and the volume at all voxels within a reach."""
        width = 2 * reach_vox + 1
        # Sample (0, 0, 0) is the stencil's centre at the lowest corner of the reach.
        corner = place_zyx - reach_vox - self._size // 2
        if reach_vox <= _NEAR_VOX:
            window = _window(self._volume_zyx, corner, self._size + 2 * reach_vox, 0.0)

            def straight(box_zyx: Image) -> Image:
                result = np.empty((width,) * 3, np.float32)
                correlate_near(result, box_zyx, window)
                return result

            return straight
        side = next_fast_size(self._size + 2 * reach_vox)
        volume_rft = scipy.fft.rfftn(_window(self._volume_zyx, corner, side, 0.0))

        def by_transforms(box_zyx: Image) -> Image:
            box_rft = scipy.fft.rfftn(box_zyx, (side,) * 3)
            multiply_conjugate(box_rft, volume_rft)
            whole: Image = scipy.fft.irfftn(box_rft, (side,) * 3, overwrite_x=True)
            return whole[:width, :width, :width]

        return by_transforms


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
