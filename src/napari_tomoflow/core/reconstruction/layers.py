"""Layers of a volume, each so thin that all of it is bent alike.

A specimen that bends displaces what lies higher otherwise than what lies lower (`Deformation.slopes_yx`). Images are
unbent once for each layer, as is right for its middle; what is left at its faces stays below a quarter of a voxel.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from napari_tomoflow.core.reconstruction.setting import Setting

_MOST_OFF_PX = 0.25
"""Largest displacement, in voxels, of what lies in a layer against its middle."""


@dataclass(frozen=True)
class Layer:
    """Some planes of a volume.

    Attributes
    ----------
    first, end : int
        The planes ``first … end − 1``.
    height_ang : float
        Of their middle, for which images are unbent.
    """

    first: int
    end: int
    height_ang: float


def layers_of(setting: Setting) -> list[Layer]:
    """Cut a volume into as few layers as its bending allows: one where that does not change with height."""
    nz = setting.shape_zyx[0]
    deformation = setting.alignment.deformation
    slopes = None if deformation is None else deformation.slopes_yx
    # Å of displacement to an Å of height, or voxels to a voxel.
    worst = 0.0 if slopes is None else float(np.abs(slopes[setting.tilts]).max())
    count = min(nz, max(1, int(np.ceil(worst * nz / (2 * _MOST_OFF_PX)))))
    edges = np.rint(np.linspace(0, nz, count + 1)).astype(int).tolist()
    if count == 1:
        return [Layer(0, nz, 0.0)]
    return [Layer(first, end, ((first + end - 1) / 2 - nz // 2) * setting.voxel_ang) for first, end in pairwise(edges)]
