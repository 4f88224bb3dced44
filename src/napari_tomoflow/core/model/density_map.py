"""Noun: the density of one particle."""

from dataclasses import dataclass
from typing import Literal

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.noun import Array, Noun


@dataclass(frozen=True, eq=False, kw_only=True)
class DensityMap(Noun):
    """A map in the frame of the particle: an average, a template, a model.

    Attributes
    ----------
    name : str
        What it shows, e.g. the species.
    volume : array[nz, ny, nx]
        Voxel ``n // 2`` along each axis is the centre.
    voxel_ang : float
    halves : pair of arrays [nz, ny, nx], or None
        The same map from either half of the particles; neither has seen the other.
    mask : array[nz, ny, nx] or None
        From 0 outside to 1 inside the particle.
    symmetry : str
        Point group in Schoenflies' notation about z, e.g. ``C1``, ``D7``.
    contrast : {"bright", "dark"}
        Whether dense matter is bright or dark.
    """

    name: str
    volume: Array
    voxel_ang: float
    halves: tuple[Array, Array] | None = None
    mask: Array | None = None
    symmetry: str = "C1"
    contrast: Literal["bright", "dark"] = "bright"

    def __post_init__(self) -> None:
        """Check shapes and voxel size."""
        shape = tuple(self.volume.shape)
        if len(shape) != 3:
            raise DataError(f"A map has shape (nz, ny, nx); got {shape}; open a single volume.")
        if not self.voxel_ang > 0:
            raise DataError(f"The voxel size cannot be {self.voxel_ang:g} Å; mend the header or give it.")
        masks = () if self.mask is None else (self.mask,)
        for what, parts in (("a half", self.halves or ()), ("the mask", masks)):
            for each in parts:
                if tuple(each.shape) != shape:
                    raise DataError(
                        f"{self.name}: {what} has shape {tuple(each.shape)}, the map {shape}; give {what} of this map."
                    )
