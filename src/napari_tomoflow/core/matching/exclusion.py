"""Where in a tomogram nothing is looked for: gold, the border, beyond the specimen."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, find_objects, gaussian_filter, label

from napari_tomoflow.core.ops.peaks import noise_sd

Image = NDArray[np.float32]
Marks = NDArray[np.bool_]

_SMOOTHED_ANG = 20.0
"""Beads are wider than this, noise is finer."""


def gold_in(volume_zyx: Image, voxel_ang: float, limit_sd: float) -> Marks:
    """Mark what is far denser than any molecule: gold, and other dirt.

    Parameters
    ----------
    volume_zyx : float32[nz, ny, nx]
        Dense matter bright.
    voxel_ang : float
    limit_sd : float
        In robust standard deviations of the volume smoothed over 20 Å. 10 nm beads at 100 e/Å² stand at 35,
        proteasomes and ribosomal subunits below 6.
    """
    smooth = gaussian_filter(volume_zyx, max(1.0, _SMOOTHED_ANG / 2 / voxel_ang))
    sample = smooth.ravel()[:: max(1, smooth.size // 1_000_000)]
    return np.asarray(smooth > np.median(sample) + limit_sd * noise_sd(sample))


def widened(marks_zyx: Marks, distance_vox: float) -> Marks:
    """Mark also what is nearer to a mark than a distance.

    Distances are measured in a box around each patch of marks: in the whole of a large tomogram they take 50 bytes a
    voxel.
    """
    result = marks_zyx.copy()
    reach = int(np.ceil(distance_vox))
    for patch in find_objects(label(marks_zyx)[0]):
        box = tuple(slice(max(side.start - reach, 0), side.stop + reach) for side in patch)
        result[box] |= distance_transform_edt(~marks_zyx[box]) <= distance_vox
    return result


def inside_slab(shape_zyx: tuple[int, int, int], margin_vox: float, thickness_vox: float | None) -> Marks:
    """Mark what is `margin_vox` from the borders in x and y, and within a slab about the middle plane.

    Parameters
    ----------
    shape_zyx : tuple of int
    margin_vox : float
        Along z there is no margin: a specimen may reach to its faces.
    thickness_vox : float or None
        All of it when None.
    """
    nz, ny, nx = shape_zyx
    height = np.abs(np.arange(nz) - nz // 2)
    across, along = (np.minimum(np.arange(n), n - 1 - np.arange(n)) >= margin_vox for n in (ny, nx))
    within = height <= (np.inf if thickness_vox is None else thickness_vox / 2)
    return np.asarray(within[:, None, None] & across[:, None] & along)
