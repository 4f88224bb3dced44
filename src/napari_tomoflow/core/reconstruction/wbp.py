"""Weighted back-projection: filtered lines spread through the volume, slab by slab."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ops.backprojection import Backprojector, LineGeometry
from napari_tomoflow.core.reconstruction.density_store import DensityStore
from napari_tomoflow.core.reconstruction.layers import Layer, layers_of
from napari_tomoflow.core.reconstruction.lines import LineMaker
from napari_tomoflow.core.reconstruction.method import Solution
from napari_tomoflow.core.reconstruction.params import ReconstructParams
from napari_tomoflow.core.reconstruction.setting import Setting
from napari_tomoflow.core.reconstruction.weights import tilt_weights
from napari_tomoflow.core.report import Report, part, silent, watched

_UPDATES_PER_SLAB = 2e9
_VOXELS_PER_SLAB = 64e6
_PLANES_SAMPLED = 8


def weighted_backprojection(setting: Setting, params: ReconstructParams, report: Report) -> Solution:
    """Filter all images; cost is n_tilts × voxels, memory n_tilts × one binned image plus one slab.

    Where bending changes with height, lines are made anew for each of a few layers (`layers`).

    References
    ----------
    .. [1] Radermacher, M. in *Electron Tomography*, 2nd ed. (Springer, 2006), pp. 245-273,
       doi:10.1007/978-0-387-69008-7_9. Ramp weighting of single-axis series.
    """
    weights = tilt_weights(setting, params)
    if len(layers_of(setting)) > 1:
        return LayerwiseBackprojection(setting, params, weights, report)
    projector = Backprojector(setting.lines())
    lines_of = LineMaker(setting, projector.geometry, params)
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


class LayerwiseBackprojection:
    """A `Solution`: binned images that wait to be unbent, filtered and spread, one layer of the volume after the other.

    Memory is another binned image per tilt; cost beyond plain back-projection is resampling and filtering all images
    once for each layer.
    """

    def __init__(
        self, setting: Setting, params: ReconstructParams, weights: NDArray[np.float64], report: Report
    ) -> None:
        self._geometry, self._weights, self._layers = setting.lines(), weights, layers_of(setting)
        self._lines_of = LineMaker(setting, self._geometry, params)
        tilts = range(len(setting.tilts))
        self._images = [self._lines_of.image(index) for index in watched(tilts, report, "Filtering images")]
        self.quality: dict[str, Any] = {
            "tilt_weights_deg": np.rad2deg(weights).tolist(),
            "layers": len(self._layers),
        }

    def typical_sd(self) -> float:
        """Measure the spread of the central planes, unbent as the layer in the middle is."""
        return sd_of_central_planes(self._projector(self._layers[len(self._layers) // 2], silent))

    def write(self, store: DensityStore, report: Report) -> None:
        """Compute layer after layer, each slab by slab."""
        for number, layer in enumerate(self._layers):
            share = part(report, number, len(self._layers))
            projector = self._projector(layer, part(share, 0, 2))
            write_slabs(projector, store, slice(None), part(share, 1, 2), (layer.first, layer.end))

    def _projector(self, layer: Layer, report: Report) -> Backprojector:
        projector = Backprojector(self._geometry)
        for index in watched(range(len(self._images)), report, "Unbending images"):
            lines_vu = self._lines_of.of_image(self._images[index], index, layer.height_ang)
            projector.add(index, lines_vu * np.float32(self._weights[index]))
        return projector


def sd_of_central_planes(projector: Backprojector) -> float:
    """Measure the spread of densities in the middle of a volume."""
    nz, ny, nx = projector.geometry.shape_zyx
    n_planes = min(_PLANES_SAMPLED, nz, projector.geometry.slab_limit)
    central = np.empty((n_planes, ny, nx), np.float32)
    projector.fill(central, nz // 2 - n_planes // 2)
    return float(np.std(central, dtype=np.float64))


def write_slabs(
    projector: Backprojector,
    store: DensityStore,
    rows: slice,
    report: Report,
    planes: tuple[int, int] | None = None,
) -> None:
    """Compute some rows of a volume, those the projector is for, slab after slab; of some planes or all."""
    first, end = planes or (0, projector.geometry.shape_zyx[0])
    height = _slab_height(projector.geometry)
    for z0 in watched(range(first, end, height), report, "Back-projecting"):
        with store.part(slice(z0, min(z0 + height, end)), rows) as slab_zyx:
            projector.fill(slab_zyx, z0)


def _slab_height(geometry: LineGeometry) -> int:
    """Choose so many planes that a slab takes a tenth of a second to a second, and 256 MB at most."""
    nz, _, nx = geometry.shape_zyx
    planes = min(_UPDATES_PER_SLAB / geometry.step_x.size, _VOXELS_PER_SLAB) / (geometry.n_v * nx)
    return int(np.clip(planes, 1, min(nz, geometry.slab_limit)))
