"""What is reconstructed from what: the tilts in use, the voxel and the size of the tomogram."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, CtfSeries, TiltSeries
from napari_tomoflow.core.ops.backprojection import LineGeometry, line_geometry
from napari_tomoflow.core.ops.fourier import binned_shape
from napari_tomoflow.core.reconstruction.params import ReconstructParams

_USUAL_VOXEL_ANG = 10.0
_MARGIN_OVER_SPECIMEN = 1.3
_TILT_OF_A_ROD_DEG = 75.0


@dataclass(frozen=True, eq=False)
class Setting:
    """A series, its geometry and the volume wanted. Legend: T tilts in use.

    Attributes
    ----------
    series : TiltSeries
    alignment : Alignment
    tilts : int64[T]
        Indices of the tilts in use.
    factor : int
        Pixels per voxel.
    shape_zyx : tuple of int
    ctf : CtfSeries or None
        For all tilts of the series; None when not known.
    """

    series: TiltSeries
    alignment: Alignment
    tilts: NDArray[np.int64]
    factor: int
    shape_zyx: tuple[int, int, int]
    ctf: CtfSeries | None = None

    @classmethod
    def of(
        cls, series: TiltSeries, alignment: Alignment, params: ReconstructParams, ctf: CtfSeries | None = None
    ) -> Self:
        """Choose what the parameters leave open."""
        tilts = usable_tilts(series, alignment)
        factor = params.bin or max(1, round(_USUAL_VOXEL_ANG / series.pixel_ang))
        return cls(series, alignment, tilts, factor, volume_shape(series, alignment, tilts, params, factor), ctf)

    @property
    def voxel_ang(self) -> float:
        """Width of a voxel."""
        return self.factor * self.series.pixel_ang

    @property
    def tilt_deg(self) -> NDArray[np.float64]:
        """Angles of the tilts in use: float64[T]."""
        return self.alignment.tilt_deg[self.tilts]

    def lines(self) -> LineGeometry:
        """Work out which point of which line every voxel sees."""
        return line_geometry(self.alignment.image_from_sample()[self.tilts], self.voxel_ang, self.shape_zyx)

    def only(self, tilts: NDArray[np.int64]) -> Self:
        """Reconstruct the same volume from fewer tilts."""
        return replace(self, tilts=tilts)


def usable_tilts(series: TiltSeries, alignment: Alignment) -> NDArray[np.int64]:
    """Choose the tilts that series and alignment both keep."""
    if alignment.n_tilts != series.n_tilts:
        raise DataError(
            f"{series.name}: the alignment is for {alignment.n_tilts} tilts, the series has {series.n_tilts}; "
            "align it again."
        )
    tilts = np.flatnonzero(series.kept & alignment.kept)
    if len(tilts) < 2:
        raise DataError(f"{series.name}: {len(tilts)} of {series.n_tilts} tilts are in use; keep at least 2.")
    return tilts


def volume_shape(
    series: TiltSeries, alignment: Alignment, tilts: NDArray[np.int64], params: ReconstructParams, factor: int
) -> tuple[int, int, int]:
    """Size of the tomogram, even along every axis, its x across the tilt axis as the specimen's is."""
    ny, nx = (n + n % 2 for n in binned_shape(series.shape_yx, factor))
    # Doubling the angles makes an axis and its half-turn the same before they are averaged.
    if np.cos(2 * np.deg2rad(alignment.axis_deg[tilts])).mean() < 0:
        ny, nx = nx, ny
    thickness_ang = params.thickness_ang
    if thickness_ang is None and alignment.thickness_ang is not None:
        thickness_ang = _MARGIN_OVER_SPECIMEN * alignment.thickness_ang
    voxel_ang = factor * series.pixel_ang
    if thickness_ang is None:
        is_rod = np.abs(alignment.tilt_deg[tilts]).max() > _TILT_OF_A_ROD_DEG
        thickness_ang = voxel_ang * nx * (1.0 if is_rod else 0.25)
    return 2 * max(1, int(np.ceil(thickness_ang / voxel_ang / 2 - 1e-6))), ny, nx
