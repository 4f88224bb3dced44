"""What is reconstructed from what: the tilts in use, the voxel and the size of the tomogram."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, CtfSeries, TiltSeries
from napari_tomoflow.core.ops.backprojection import LineGeometry, line_geometry
from napari_tomoflow.core.reconstruction.params import ReconstructParams

_USUAL_VOXEL_ANG = 10.0
_MARGIN_OVER_SPECIMEN = 1.3
_TILT_OF_A_ROD_DEG = 75.0
_ROUNDING = 1e-6


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
        Pixels per pixel of the binned images.
    shape_zyx : tuple of int
    ctf : CtfSeries or None
        For all tilts of the series; None when not known.
    px_per_voxel : float
        Pixels of the binned images per voxel, at least 1 and below 2; 1 where the voxel is a whole number of pixels.
    """

    series: TiltSeries
    alignment: Alignment
    tilts: NDArray[np.int64]
    factor: int
    shape_zyx: tuple[int, int, int]
    ctf: CtfSeries | None = None
    px_per_voxel: float = 1.0

    @classmethod
    def of(
        cls, series: TiltSeries, alignment: Alignment, params: ReconstructParams, ctf: CtfSeries | None = None
    ) -> Self:
        """Choose what the parameters leave open."""
        tilts = usable_tilts(series, alignment)
        factor, px_per_voxel = _sampling(series, params)
        voxel_ang = factor * px_per_voxel * series.pixel_ang
        shape_zyx = volume_shape(series, alignment, tilts, params, voxel_ang)
        return cls(series, alignment, tilts, factor, shape_zyx, ctf, px_per_voxel)

    @property
    def image_px_ang(self) -> float:
        """Width of a pixel of the binned images."""
        return self.factor * self.series.pixel_ang

    @property
    def voxel_ang(self) -> float:
        """Width of a voxel."""
        return self.px_per_voxel * self.image_px_ang

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


def _sampling(series: TiltSeries, params: ReconstructParams) -> tuple[int, float]:
    """Choose the binning of the images, and how many of their pixels make a voxel."""
    if params.voxel_ang is None:
        return params.bin or max(1, round(_USUAL_VOXEL_ANG / series.pixel_ang)), 1.0
    ratio = params.voxel_ang / series.pixel_ang
    if ratio < 1.0 - _ROUNDING:
        raise DataError(
            f"{series.name}: a voxel of {params.voxel_ang:g} Å is finer than the pixels of {series.pixel_ang:g} Å; "
            "give one at least as large."
        )
    factor = int(ratio * (1.0 + _ROUNDING))
    return factor, max(1.0, ratio / factor)


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
    series: TiltSeries, alignment: Alignment, tilts: NDArray[np.int64], params: ReconstructParams, voxel_ang: float
) -> tuple[int, int, int]:
    """Size of the tomogram, even along every axis, its x across the tilt axis as the specimen's is."""
    ny_ang, nx_ang = (n * series.pixel_ang for n in series.shape_yx)
    # Doubling the angles makes an axis and its half-turn the same before they are averaged.
    if np.cos(2 * np.deg2rad(alignment.axis_deg[tilts])).mean() < 0:
        ny_ang, nx_ang = nx_ang, ny_ang
    ny = _even((params.height_ang or ny_ang) / voxel_ang)
    nx = _even((params.width_ang or nx_ang) / voxel_ang)
    thickness_ang = params.thickness_ang
    if thickness_ang is None and alignment.thickness_ang is not None:
        thickness_ang = _MARGIN_OVER_SPECIMEN * alignment.thickness_ang
    if thickness_ang is None:
        is_rod = np.abs(alignment.tilt_deg[tilts]).max() > _TILT_OF_A_ROD_DEG
        thickness_ang = voxel_ang * nx * (1.0 if is_rod else 0.25)
    return _even(thickness_ang / voxel_ang), ny, nx


def _even(size: float) -> int:
    """Round up to an even number of voxels, at least 2."""
    return 2 * max(1, int(np.ceil(size / 2 - 1e-6)))
