"""Noun: a reconstructed volume."""

from dataclasses import dataclass
from typing import Literal

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.noun import Array, Noun


@dataclass(frozen=True, eq=False, kw_only=True)
class Tomogram(Noun):
    """A volume in the specimen's frame.

    Attributes
    ----------
    name : str
        Name of its tilt series.
    volume : array[nz, ny, nx]
        May lie on disk. Voxel ``n // 2`` along each axis is the centre.
    voxel_ang : float
    origin_ang_zyx : tuple of float
        Position of the volume's centre in the specimen's frame, Å; zero for a whole tomogram.
    half : {"", "half1", "half2"}
        Which half of the data it is made from; empty for all.
    contrast : {"dark", "bright"}
        Whether dense matter is dark or bright.
    halves : pair of arrays [nz, ny, nx], or None
        The same volume from either half of the data, alike in everything else.
    """

    name: str
    volume: Array
    voxel_ang: float
    origin_ang_zyx: tuple[float, float, float] = (0.0, 0.0, 0.0)
    half: Literal["", "half1", "half2"] = ""
    contrast: Literal["dark", "bright"] = "dark"
    halves: tuple[Array, Array] | None = None

    def __post_init__(self) -> None:
        """Check the shape and the voxel size."""
        if len(self.volume.shape) != 3:
            raise DataError(f"A tomogram has shape (nz, ny, nx); got {tuple(self.volume.shape)}; open a single volume.")
        if not self.voxel_ang > 0:
            raise DataError(f"The voxel size cannot be {self.voxel_ang:g} Å; mend the header or give it.")
        for half in self.halves or ():
            if tuple(half.shape) != tuple(self.volume.shape):
                raise DataError(
                    f"{self.name}: a half has shape {tuple(half.shape)}, the tomogram {tuple(self.volume.shape)}; "
                    "give halves of this tomogram."
                )
