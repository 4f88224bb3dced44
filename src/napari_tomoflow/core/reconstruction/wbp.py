"""Weighted back-projection: filtered lines spread through the volume, slab by slab."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ops.backprojection import Backprojector, LineGeometry
from napari_tomoflow.core.reconstruction.density_store import DensityStore
from napari_tomoflow.core.reconstruction.lines import LineMaker
from napari_tomoflow.core.reconstruction.params import ReconstructParams
from napari_tomoflow.core.reconstruction.setting import Setting
from napari_tomoflow.core.reconstruction.weights import tilt_weights
from napari_tomoflow.core.report import Report, watched

_UPDATES_PER_SLAB = 2e9
_VOXELS_PER_SLAB = 64e6
_PLANES_SAMPLED = 8


def weighted_backprojection(setting: Setting, params: ReconstructParams, report: Report) -> "WeightedBackprojection":
    """Filter all images; cost is n_tilts × voxels, memory n_tilts × one binned image plus one slab.

    References
    ----------
    .. [1] Radermacher, M. in *Electron Tomography*, 2nd ed. (Springer, 2006), pp. 245-273,
       doi:10.1007/978-0-387-69008-7_9. Ramp weighting of single-axis series.
    """
    projector = Backprojector(setting.lines())
    lines_of = LineMaker(setting, projector.geometry, params)
    weights = tilt_weights(setting, params)
    for index in watched(range(len(setting.tilts)), report, "Filtering images"):
        lines_vu = lines_of(index)
        lines_vu *= np.float32(weights[index])
        projector.add(index, lines_vu)
    return WeightedBackprojection(projector, weights)


class WeightedBackprojection:
    """A `Solution`: filtered lines that wait to be spread."""

    def __init__(self, projector: Backprojector, weights: NDArray[np.float64]) -> None:
        self._projector = projector
        self.quality: dict[str, Any] = {
            "tilt_weights_deg": np.rad2deg(weights).tolist(),
            "lines_mb": projector.nbytes / 1e6,
        }

    def typical_sd(self) -> float:
        """Measure the spread of the central planes."""
        return sd_of_central_planes(self._projector)

    def write(self, store: DensityStore, report: Report) -> None:
        """Compute slab after slab."""
        write_slabs(self._projector, store, slice(None), report)


def sd_of_central_planes(projector: Backprojector) -> float:
    """Measure the spread of densities in the middle of a volume."""
    nz, ny, nx = projector.geometry.shape_zyx
    n_planes = min(_PLANES_SAMPLED, nz, projector.geometry.slab_limit)
    central = np.empty((n_planes, ny, nx), np.float32)
    projector.fill(central, nz // 2 - n_planes // 2)
    return float(np.std(central, dtype=np.float64))


def write_slabs(projector: Backprojector, store: DensityStore, rows: slice, report: Report) -> None:
    """Compute some rows of a volume, those the projector is for, slab after slab."""
    nz, height = projector.geometry.shape_zyx[0], _slab_height(projector.geometry)
    for z0 in watched(range(0, nz, height), report, "Back-projecting"):
        with store.part(slice(z0, min(z0 + height, nz)), rows) as slab_zyx:
            projector.fill(slab_zyx, z0)


def _slab_height(geometry: LineGeometry) -> int:
    """Choose so many planes that a slab takes a tenth of a second to a second, and 256 MB at most."""
    nz, _, nx = geometry.shape_zyx
    planes = min(_UPDATES_PER_SLAB / geometry.step_x.size, _VOXELS_PER_SLAB) / (geometry.n_v * nx)
    return int(np.clip(planes, 1, min(nz, geometry.slab_limit)))
