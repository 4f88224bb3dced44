"""Noun: a segmentation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.noun import Array, Noun


@dataclass(frozen=True, eq=False, kw_only=True)
class Labels(Noun):
    """A volume of whole numbers that name what each voxel is; 0 is nothing.

    Attributes
    ----------
    name : str
        Name of the tilt series whose tomogram is segmented.
    volume : integer array[nz, ny, nx]
    voxel_ang : float
    names : mapping of int to str
        What each label stands for.
    """

    name: str
    volume: Array
    voxel_ang: float
    names: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check shape, type and voxel size."""
        if len(self.volume.shape) != 3 or not np.issubdtype(self.volume.dtype, np.integer):
            raise DataError(
                f"Labels are whole numbers of shape (nz, ny, nx); got {self.volume.dtype} {tuple(self.volume.shape)}; "
                "convert the segmentation to an integer volume."
            )
        if not self.voxel_ang > 0:
            raise DataError(f"The voxel size cannot be {self.voxel_ang:g} Å; mend the header or give it.")
