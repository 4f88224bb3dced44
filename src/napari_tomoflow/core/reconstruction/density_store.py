"""Where densities go: into the array of the tomogram, in its number type, with their spread kept per plane."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ops.memory_map import release_pages

_RANGE_SD = {"int16": 40.0, "int8": 10.0}
_SAMPLED_ROWS = 128

Volume = NDArray[np.float32]


def stored_per_density(dtype: str, sd: float) -> float:
    """Choose the factor by which densities of standard deviation `sd` are stored."""
    if dtype == "float32":
        return 1.0
    largest = np.iinfo(dtype).max / _RANGE_SD[dtype] if dtype in _RANGE_SD else 1.0
    return float(largest / (sd or 1.0))


class DensityStore:
    """Takes a tomogram part by part.

    Parameters
    ----------
    volume : array[nz, ny, nx]
        Written in place.
    scale : float
        Stored value of density 1.
    """

    def __init__(self, volume: NDArray[Any], scale: float) -> None:
        self.volume, self.scale = volume, scale
        self._sums = np.zeros((3, len(volume)))

    @contextmanager
    def part(self, planes: slice, rows: slice = slice(None)) -> Iterator[Volume]:
        """Lend float32[planes, rows, nx] to be filled; on leaving it is in the volume.

        Every voxel must be written exactly once. Where the volume lies in a mapped file, its memory is
        handed back after every part.
        """
        target = self.volume[planes, rows]
        is_direct = target.dtype == np.float32 and self.scale == 1.0 and target.flags.c_contiguous
        part = np.asarray(target) if is_direct else np.empty(target.shape, np.float32)
        yield part
        self._measure(planes, part)
        if not is_direct:
            self._convert(target, part)
        release_pages(self.volume)

    @property
    def sd_profile(self) -> NDArray[np.float64]:
        """Standard deviation of each plane, as density: float64[nz]."""
        count, total, squares = self._sums
        mean = total / np.maximum(count, 1)
        return np.asarray(np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0)))

    def _measure(self, planes: slice, part: Volume) -> None:
        """Add a sample of the rows to the sums of count, value and square per plane."""
        every = max(1, self.volume.shape[1] // _SAMPLED_ROWS)
        for sums, plane_yx in zip(self._sums.T[planes], part[:, ::every], strict=True):
            sums += plane_yx.size, plane_yx.sum(dtype=np.float64), np.square(plane_yx, dtype=np.float64).sum()

    def _convert(self, target: NDArray[Any], part: Volume) -> None:
        part *= np.float32(self.scale)
        if target.dtype.kind == "i":
            limits = np.iinfo(target.dtype)
            np.clip(np.rint(part, out=part), limits.min, limits.max, out=part)
        target[:] = part
