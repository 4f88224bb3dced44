"""Noun: a map as it is shown, measured and published."""

from dataclasses import dataclass

import numpy as np

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.noun import Array, Noun


@dataclass(frozen=True, eq=False, kw_only=True)
class FinishedMap(Noun):
    """An average sharpened for the eye, with what its halves tell of it.

    It is no `DensityMap`: a refinement that began with one as sharp would build on its noise. Dense matter is bright,
    voxel ``n // 2`` along each axis is the centre.

    Attributes
    ----------
    name : str
        What it shows, e.g. the species.
    volume : array[n, n, n]
        Sharpened, and filtered to its resolution.
    voxel_ang : float
    mask : array[n, n, n]
        From 0 outside to 1 inside the particle; what the resolution was measured under.
    halves : pair of arrays [n, n, n]
        Neither filtered nor masked, as programs for density modification ask for them.
    local_resolution_ang : array[n, n, n] or None
    local_volume : array[n, n, n] or None
        Sharpened, and filtered around each voxel to the resolution there.
    symmetry : str
    """

    name: str
    volume: Array
    voxel_ang: float
    mask: Array
    halves: tuple[Array, Array]
    local_resolution_ang: Array | None = None
    local_volume: Array | None = None
    symmetry: str = "C1"

    def __post_init__(self) -> None:
        """Check that all volumes have one shape."""
        shape = tuple(self.volume.shape)
        if len(shape) != 3 or not self.voxel_ang > 0:
            raise DataError(f"{self.name}: a map of shape {shape} with voxels of {self.voxel_ang:g} Å is none.")
        others = {
            "the mask": self.mask,
            "half 1": self.halves[0],
            "half 2": self.halves[1],
            "the local resolution": self.local_resolution_ang,
            "the locally filtered map": self.local_volume,
        }
        for what, volume in others.items():
            if volume is not None and tuple(volume.shape) != shape:
                raise DataError(
                    f"{self.name}: {what} has shape {tuple(volume.shape)}, the map {shape}; give volumes of one shape."
                )

    @property
    def masked(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        """The map with nothing around it, float32[n, n, n]."""
        return np.asarray(self.volume, np.float32) * np.asarray(self.mask, np.float32)
