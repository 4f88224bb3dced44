"""A tomogram at one sampling, ready to be searched: the whole of it, or coarsened."""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.matching.correlation import VOXELS_PER_BLOCK, LocalCorrelation
from napari_tomoflow.core.matching.cutouts import Cutouts
from napari_tomoflow.core.matching.preparation import filtered, transfer_of, whitening_filter
from napari_tomoflow.core.matching.stencils import Stencils
from napari_tomoflow.core.matching.template import Template, ball, box_size, mask_radius_ang

Image = NDArray[np.float32]


class Transfer(Protocol):
    """What a tomogram has kept of each frequency; see `sampling`."""

    def transfer(self, size: int, voxel_ang: float) -> Image:
        """Return it over the half transform of a cube."""


@dataclass(frozen=True, eq=False)
class Level:
    """One sampling of a tomogram.

    Attributes
    ----------
    voxel_ang : float
    correlation : LocalCorrelation
    cutouts : Cutouts
    ball_zyx : float32[n, n, n]
    transfer_rft : float32[n, n, n // 2 + 1]
    """

    voxel_ang: float
    correlation: LocalCorrelation
    cutouts: Cutouts
    ball_zyx: Image
    transfer_rft: Image

    @classmethod
    def of(
        cls,
        volume_zyx: Image,
        voxel_ang: float,
        diameter_ang: float,
        resolution_ang: float,
        whiten: bool,
        sampling: Transfer,
        voxels_per_block: float = VOXELS_PER_BLOCK,
    ) -> Self:
        """Filter a volume and measure its local spread.

        Parameters
        ----------
        volume_zyx : float32[nz, ny, nx]
            Dense matter bright.
        voxel_ang : float
        diameter_ang : float
            Of the particle.
        resolution_ang : float
        whiten : bool
        sampling : Transfer
        voxels_per_block : float
            Of the correlation.
        """
        size = box_size(diameter_ang, voxel_ang)
        cutoff = voxel_ang / resolution_ang
        whitening = whitening_filter(volume_zyx) if whiten else None
        ball_zyx = ball(size, mask_radius_ang(diameter_ang, voxel_ang) / voxel_ang)
        volume_zyx = filtered(volume_zyx, whitening, cutoff)
        correlation = LocalCorrelation(volume_zyx, ball_zyx, voxels_per_block)
        return cls(
            voxel_ang=voxel_ang,
            correlation=correlation,
            cutouts=Cutouts(volume_zyx, correlation.spread_zyx, size),
            ball_zyx=ball_zyx,
            transfer_rft=sampling.transfer(size, voxel_ang) * transfer_of(size, whitening, cutoff),
        )

    def stencils(self, template: Template) -> Stencils:
        """Make what turns a template for this level."""
        return Stencils(template, self.ball_zyx, self.voxel_ang, self.transfer_rft)
