"""Turn the Ta film's MATLAB files into what a microscope writes: an MRC stack and a .rawtlt beside it."""

from pathlib import Path

import mrcfile
import numpy as np
from scipy.io import loadmat

PIXEL_ANG = 0.347
"""The pixel of the published series; its value only labels the result."""


def write_ta_film(folder, out, axis_deg=0.0):
    """Write ``ta_film.mrc`` and ``ta_film.rawtlt`` into `out`; return the stack's path.

    The arrays are [across the axis, along it, tilt]. With `axis_deg` 0 the tilt axis becomes the
    stack's y, with 90 its x (the specimen's +x then points along +y). The angles turn the other way
    round than ours.
    """
    images = loadmat(Path(folder) / "Projections_area17.mat")["Proj_sub"].transpose(2, 1, 0)
    if axis_deg == 90.0:
        images = np.rot90(images, k=-1, axes=(1, 2))
    stack = Path(out) / "ta_film.mrc"
    with mrcfile.new(stack) as mrc:
        mrc.set_data(np.ascontiguousarray(images, np.float32))
        mrc.voxel_size = PIXEL_ANG
        mrc.set_image_stack()
    np.savetxt(stack.with_suffix(".rawtlt"), ta_film_tilts(folder), fmt="%.4f")
    return stack


def ta_film_tilts(folder):
    """The refined tilt angles in our sense of rotation, degrees."""
    return -loadmat(Path(folder) / "angles.mat")["angle"][:, 1].astype(float)


def ta_film_resire(folder):
    """The authors' RESIRE reconstruction as a volume zyx whose y is the tilt axis."""
    return loadmat(Path(folder) / "ReconObj_sub17.mat")["reconstruction"].transpose(2, 1, 0)
