"""Volumes around points, reconstructed without the rest of the tomogram."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.kernels.backprojection import backproject
from napari_tomoflow.core.model import Alignment, TiltSeries
from napari_tomoflow.core.ops.backprojection import LEAN_ERROR_PX, LineGeometry
from napari_tomoflow.core.ops.iterative import blocks_of_lines
from napari_tomoflow.core.ops.resample import shift_rows
from napari_tomoflow.core.reconstruction.lines import LineMaker
from napari_tomoflow.core.reconstruction.params import ReconstructParams
from napari_tomoflow.core.reconstruction.setting import Setting
from napari_tomoflow.core.reconstruction.weights import tilt_weights
from napari_tomoflow.core.report import Report, part, silent, watched

Volume = NDArray[np.float32]

_SPARE_PX = 4


def subvolumes(
    series: TiltSeries,
    alignment: Alignment,
    centres_ang_zyx: ArrayLike,
    shape_zyx: tuple[int, int, int],
    params: ReconstructParams = ReconstructParams(),
    report: Report = silent,
) -> Iterator[Volume]:
    """Reconstruct a box around each point by weighted back-projection, with the tomogram's densities.

    Parameters
    ----------
    series, alignment
    centres_ang_zyx : float[P, 3]
        Å from the tomogram's centre; need not fall on voxels. Each lies on voxel ``n // 2`` of its box.
    shape_zyx : tuple of int
        Size of the boxes, any parity.
    params : ReconstructParams
        As for the tomogram; its width, height and method do not matter.

    Yields
    ------
    float32[nz, ny, nx]
        One box for each point, in their order.

    Notes
    -----
    Memory is one filtered image per tilt. The ramp is applied to whole lines, so a box is what would be cut from the
    tomogram, interpolated between its voxels.
    """
    centres = np.asarray(centres_ang_zyx, np.float64)
    if centres.ndim != 2 or centres.shape[1] != 3:
        raise DataError(f"Points are an array of (points, 3), zyx; got {centres.shape}; give one row for each.")
    if not len(centres):
        return
    setting = Setting.of(series, alignment, params)
    centres = centres / setting.voxel_ang
    reach = 2 * np.ceil(np.abs(centres).max(axis=0) + np.array(shape_zyx) / 2 + _SPARE_PX).astype(int)
    geometry = replace(setting, shape_zyx=(int(reach[0]), int(reach[1]), int(reach[2]))).lines()
    lines = _Lines(setting, geometry, params, part(report, 0, 2))
    for centre in watched(list(centres), part(report, 1, 2), "Reconstructing around points"):
        yield lines.box(centre, shape_zyx)


class _Lines:
    """The filtered lines of a field that holds every box."""

    def __init__(self, setting: Setting, geometry: LineGeometry, params: ReconstructParams, report: Report) -> None:
        self._geometry = geometry
        lines_of = LineMaker(setting, self._geometry, params)
        weights = tilt_weights(setting, params).astype(np.float32)
        self._lines = np.empty((len(weights), self._geometry.n_v, self._geometry.n_u), np.float32)
        for index in watched(range(len(weights)), report, "Filtering images"):
            np.multiply(lines_of(index), weights[index], out=self._lines[index])

    def box(self, centre_zyx: NDArray[np.float64], shape_zyx: tuple[int, int, int]) -> Volume:
        """Reconstruct one box, so few planes at a time that no line leaves its row."""
        most = np.abs(self._geometry.lean).max()
        height = int(np.clip(2 * LEAN_ERROR_PX / max(most, 1e-9), 1, shape_zyx[0]))
        box = np.empty(shape_zyx, np.float32)
        for z0 in range(0, shape_zyx[0], height):
            slab = box[z0 : z0 + height]
            middle = centre_zyx[0] + z0 + (len(slab) - 1) / 2 - shape_zyx[0] // 2
            self._fill(slab, (middle, centre_zyx[1], centre_zyx[2]))
        return box

    def _fill(self, slab: Volume, middle_zyx: tuple[float, float, float]) -> None:
        """Back-project a slab whose middle plane, row ``ny // 2`` and column ``nx // 2`` are given."""
        geometry, (nz, ny, nx) = self._geometry, slab.shape
        z, y, x = middle_zyx
        width = nx + nz + 2 * _SPARE_PX
        centre_u = geometry.n_u // 2 + geometry.step_x * x + geometry.step_z * z
        first_u = np.floor(centre_u).astype(int) - width // 2
        cut = np.stack([lines[:, u : u + width] for lines, u in zip(self._lines, first_u, strict=True)])
        blocks = blocks_of_lines(shift_rows(cut, y + geometry.lean * z, ny))
        start_u = centre_u - first_u - geometry.step_x * (nx // 2) - geometry.step_z * ((nz - 1) / 2)
        backproject(slab, blocks, start_u, geometry.step_x, geometry.step_z)
