"""Density from the atoms of a model."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.kernels.splat import splat_volume
from napari_tomoflow.core.model import DensityMap
from napari_tomoflow.core.ops.fourier import next_fast_size

VOXEL_ANG = 3.0
"""Fine enough for any tomogram."""

_SIGMA_ANG = 2.5
"""Of an atom: together they are as smooth as a map of 6 to 8 Å."""

_MARGIN_ANG = 15.0


def density_of_atoms(
    name: str, positions_ang_xyz: ArrayLike, weights: ArrayLike, voxel_ang: float = VOXEL_ANG
) -> DensityMap:
    """Make a map whose centre is the centre of mass of its atoms.

    Parameters
    ----------
    name : str
    positions_ang_xyz : float[A, 3]
    weights : float[A]
        Density each atom sums up to, e.g. its atomic number.
    voxel_ang : float

    Returns
    -------
    DensityMap
        ``quality`` tells where its centre lies in the frame of the positions, and the width of an atom.

    Raises
    ------
    DataError
        There are no atoms.
    """
    positions = np.asarray(positions_ang_xyz, np.float64).reshape(-1, 3)
    mass = np.asarray(weights, np.float64)
    if not len(positions) or not mass.sum() > 0:
        raise DataError(f"{name} has no atoms to make a density of; give a model with coordinates.")
    centre = np.average(positions, axis=0, weights=mass)
    offsets = positions - centre
    reach_ang = float(np.linalg.norm(offsets, axis=1).max()) + _MARGIN_ANG
    size = next_fast_size(int(np.ceil(2 * reach_ang / voxel_ang)))
    volume: NDArray[np.float32] = np.zeros((size,) * 3, np.float32)
    points = (offsets[:, ::-1] / voxel_ang + size // 2).astype(np.float32)
    sigma = max(_SIGMA_ANG / voxel_ang, 0.7)
    splat_volume(volume, points, mass.astype(np.float32), np.full(len(points), sigma, np.float32))
    quality = {"centre_ang_zyx": centre[::-1].tolist(), "atom_sigma_ang": sigma * voxel_ang}
    return DensityMap(name=name, volume=volume, voxel_ang=voxel_ang, quality=quality)
