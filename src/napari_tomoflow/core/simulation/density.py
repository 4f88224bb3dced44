"""The true density of the specimen, to compare reconstructions with."""

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.kernels.splat import splat_volume
from napari_tomoflow.core.model import Tomogram
from napari_tomoflow.core.report import Report, watched
from napari_tomoflow.core.simulation.params import SimulateParams
from napari_tomoflow.core.simulation.specimen import Population
from napari_tomoflow.core.simulation.view import look

_NARROWEST_SPOT_PX = 0.8
_VOXELS_AT_ONCE = 2**25
_AIR_ANG = 600.0
"""Room above and below the ice together, for what lies on its surfaces."""


def true_density(populations: list[Population], params: SimulateParams, voxel_ang: float, report: Report) -> Tomogram:
    """Put every scatterer into a volume: minus the potential above that of ice, in V, so matter is dark.

    Spots narrower than 0.8 voxels are widened to that, which no comparison by resolution shell notices.
    """
    size = _even(params.field_ang / voxel_ang)
    height = params.thickness_ang + (_AIR_ANG if params.n_contaminants else 0.0)
    shape = (_even(height / voxel_ang), size, size)
    volume = np.zeros(shape, np.float32)
    slab = max(1, _VOXELS_AT_ONCE // size**2)
    for start in watched(range(0, shape[0], slab), report, "Drawing the true density"):
        _fill_slab(volume[start : start + slab], start - shape[0] // 2, populations, voxel_ang)
    return Tomogram(name=params.name, volume=volume, voxel_ang=voxel_ang)


def _fill_slab(slab_zyx: NDArray[np.float32], first_z: int, populations: list[Population], voxel_ang: float) -> None:
    """Fill some planes, the first of which is `first_z` voxels above the centre."""
    nz, ny, nx = slab_zyx.shape
    middle = voxel_ang * (first_z + 0.5 * nz)
    centred = np.eye(3, 4)
    centred[2, 3] = -middle
    half = voxel_ang * (0.5 * np.array([nz, ny, nx]) + 2.0)
    for matter in ("soft", "metal"):
        view = look(populations, matter, centred, half)
        if not len(view):
            continue
        sigmas = np.maximum(view.sigmas_ang / np.float32(voxel_ang), np.float32(_NARROWEST_SPOT_PX))
        points = view.points_ang_zyx / np.float32(voxel_ang) + np.array([0.5 * nz, ny // 2, nx // 2], np.float32)
        splat_volume(slab_zyx, points, -view.weights / np.float32(voxel_ang**3), sigmas)


def _even(size: float) -> int:
    """Round up to an even number of voxels."""
    return 2 * int(np.ceil(size / 2 - 1e-6))
