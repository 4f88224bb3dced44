"""Weighted back-projection in which every voxel sees images corrected for its own depth (3D-CTF)."""

from itertools import product
from typing import Any

import numpy as np

from napari_tomoflow.core.ops.backprojection import line_geometry
from napari_tomoflow.core.reconstruction.ctf_correction import (
    DepthBackprojector,
    bands_of_rows,
    correction_for,
    moved_to_band,
)
from napari_tomoflow.core.reconstruction.density_store import DensityStore
from napari_tomoflow.core.reconstruction.layers import Layer, layers_of
from napari_tomoflow.core.reconstruction.lines import LineMaker
from napari_tomoflow.core.reconstruction.params import ReconstructParams
from napari_tomoflow.core.reconstruction.setting import Setting
from napari_tomoflow.core.reconstruction.wbp import sd_of_central_planes, write_slabs
from napari_tomoflow.core.reconstruction.weights import tilt_weights
from napari_tomoflow.core.report import Report, part, silent, watched

_BYTES_OF_LINES = 1e9


class DepthwiseBackprojection:
    """A `Solution`: images that wait to be corrected, filtered and spread, one band of rows after the other.

    Memory is one binned image per tilt, a gigabyte of lines, and a slab. Cost beyond plain back-projection is
    the correction of every image for every depth, once per band and layer (`layers`).
    """

    def __init__(self, setting: Setting, params: ReconstructParams, report: Report) -> None:
        self._setting, self._params = setting, params
        self._matrices = setting.alignment.image_from_sample()[setting.tilts]
        self._weights = tilt_weights(setting, params)
        geometry = setting.lines()
        steps = correction_for(setting, params, self._matrices, setting.shape_zyx, setting.image_px_ang).steps
        self._bands = bands_of_rows(steps, geometry, _BYTES_OF_LINES)
        self._layers = layers_of(setting)
        images_of = LineMaker(setting, geometry, params)
        self._images = [
            images_of.image(index) for index in watched(range(len(setting.tilts)), report, "Filtering images")
        ]
        self.quality: dict[str, Any] = {
            "tilt_weights_deg": np.rad2deg(self._weights).tolist(),
            "ctf_depths_per_tilt": steps.counts.tolist(),
            "bands_of_rows": len(self._bands),
            "layers": len(self._layers),
        }

    def typical_sd(self) -> float:
        """Measure the spread of the central planes in the middle band."""
        band, layer = self._bands[len(self._bands) // 2], self._layers[len(self._layers) // 2]
        return sd_of_central_planes(self._projector(band, layer, silent))

    def write(self, store: DensityStore, report: Report) -> None:
        """Compute layer after layer, each band by band and slab by slab."""
        parts = list(product(self._layers, self._bands))
        for number, (layer, band) in enumerate(parts):
            share = part(report, number, len(parts))
            projector = self._projector(band, layer, part(share, 0, 2))
            write_slabs(projector, store, slice(*band), part(share, 1, 2), (layer.first, layer.end))

    def _projector(self, band: tuple[int, int], layer: Layer, report: Report) -> DepthBackprojector:
        """Make all versions of the lines that cross a band of rows, unbent for a layer."""
        setting = self._setting
        nz, ny, nx = setting.shape_zyx
        matrices = moved_to_band(self._matrices, setting.voxel_ang, ny, band)
        shape_zyx = (nz, band[1] - band[0], nx)
        geometry = line_geometry(matrices, setting.voxel_ang, shape_zyx)
        correction = correction_for(setting, self._params, matrices, shape_zyx, setting.image_px_ang)
        projector = DepthBackprojector(geometry, correction.steps)
        lines_of = LineMaker(setting, geometry, self._params)
        for index in watched(range(len(self._images)), report, "Correcting for the CTF"):
            start, weight = correction.steps.starts[index], np.float32(self._weights[index])
            for number, version_yx in enumerate(correction.versions(self._images[index], index)):
                projector.add(start + number, lines_of.lines(version_yx, index, layer.height_ang) * weight)
        return projector
