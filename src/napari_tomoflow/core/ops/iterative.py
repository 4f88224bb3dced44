"""Iterative reconstruction of lines: SIRT, and SART in ordered subsets.

One step takes the lines of some tilts, b, and the volume x it has so far to::

    x + relax · C Aᵀ R (b - A x)

with A the projection and Aᵀ its exact transpose (`kernels.backprojection`), R one over the length
of each ray in the volume (less for the shorter rays of a tilt), and C one over the number of rays a
voxel meets. With all tilts at once this is SIRT, whose residual ``|b - A x|`` weighted by R never
grows; with a few tilts at a time, SART.

Every line of a single-axis series is a problem of its own, so any number of neighbouring lines can
be solved without the others. Legend: B blocks of lines, T tilts, M lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.kernels import backprojection as kernels
from napari_tomoflow.core.kernels.resample import transpose_into_blocks
from napari_tomoflow.core.ops.backprojection import LineGeometry

Floats = NDArray[np.float64]
Volume = NDArray[np.float32]
Blocks = NDArray[np.float32]

_SHORTEST_RAY_PX = 1.0


@dataclass(frozen=True, eq=False)
class Rays:
    """The rays of some tilts through a volume.

    Attributes
    ----------
    start_u, step_x, step_z : float64[T]
        Position on the line of the first voxel, and per voxel of x and of z.
    per_length : float32[T, n_u]
        R: one over the length of each ray for the longest of a tilt, less for others, 0 beside the volume.
    """

    start_u: Floats
    step_x: Floats
    step_z: Floats
    per_length: NDArray[np.float32]

    @classmethod
    def of(cls, geometry: LineGeometry, tilts: NDArray[np.int64]) -> "Rays":
        """Take the rays of some tilts."""
        nz, _, nx = geometry.shape_zyx
        step_x, step_z = geometry.step_x[tilts], geometry.step_z[tilts]
        start_u = geometry.n_u // 2 - step_x * (nx // 2) - step_z * (nz // 2)
        lengths = np.zeros((1, len(tilts), geometry.n_u, kernels.ROWS), np.float32)
        kernels.project(lengths, np.ones((nz, 1, nx), np.float32), start_u, step_x, step_z)
        length = lengths[0, :, :, 0]
        # No more than one over the length, so the steps converge; less for rays that only clip a corner:
        # most of what they meet lies beside the volume, and taken in full it piles up along the edges.
        per_length = length / np.maximum(length.max(axis=1, keepdims=True), _SHORTEST_RAY_PX) ** 2
        return cls(start_u, step_x, step_z, per_length.astype(np.float32))

    def project(self, volume_zyx: Volume) -> Blocks:
        """Return A x: float32[B, T, n_u, ROWS]."""
        n_blocks = -(-volume_zyx.shape[1] // kernels.ROWS)
        blocks = np.zeros((n_blocks, *self.per_length.shape, kernels.ROWS), np.float32)
        kernels.project(blocks, volume_zyx, self.start_u, self.step_x, self.step_z)
        return blocks

    def residuals(self, volume_zyx: Volume, measured: Blocks) -> tuple[Blocks, float]:
        """Return R (b - A x), and Σ R (b - A x)²; rays whose measured value is NaN have none."""
        blocks = self.project(volume_zyx)
        sums = np.empty(len(self.start_u))
        kernels.weigh_residuals(blocks, measured, self.per_length, sums)
        return blocks, float(sums.sum())

    def backproject(self, volume_zyx: Volume, blocks: Blocks) -> None:
        """Overwrite the volume with Aᵀ b."""
        kernels.backproject(volume_zyx, blocks, self.start_u, self.step_x, self.step_z)


def blocks_of_lines(lines_tvu: NDArray[np.float32]) -> Blocks:
    """Lay lines out as the kernels want them: float32[T, M, n_u] → float32[B, T, n_u, ROWS], padded with 0."""
    n_tilts, n_v, n_u = lines_tvu.shape
    blocks = np.empty((-(-n_v // kernels.ROWS), n_tilts, n_u, kernels.ROWS), np.float32)
    for tilt, lines_vu in enumerate(lines_tvu):
        transpose_into_blocks(blocks[:, tilt], lines_vu)
    return blocks


class Solver:
    """Improves the part of a volume that some blocks of lines see.

    Parameters
    ----------
    rays : sequence of Rays
        Of each subset of tilts; one subset is SIRT.
    measured : sequence of float32[B, T, n_u, ROWS]
        The lines of each subset; NaN where a ray missed the image.
    volume_zyx : float32[nz, M, nx]
        Where to start; improved in place.
    relax : float
        Length of a step, between 0 and 2.
    is_positive : bool
        Whether densities below 0 become 0 after every iteration.
    """

    def __init__(
        self,
        rays: Sequence[Rays],
        measured: Sequence[Blocks],
        volume_zyx: Volume,
        relax: float = 1.0,
        is_positive: bool = False,
    ) -> None:
        self.volume_zyx = volume_zyx
        self._subsets = list(zip(rays, measured, strict=True))
        self._change = np.empty_like(volume_zyx)
        self._relax, self._is_positive = relax, is_positive

    def iterate(self) -> float:
        """Use every tilt once; return the residual before each of its steps, summed: Σ R (b - A x)²."""
        residual = 0.0
        for rays, measured in self._subsets:
            weighted, squares = rays.residuals(self.volume_zyx, measured)
            residual += squares
            rays.backproject(self._change, weighted)
            self._change *= np.float32(self._relax / len(rays.start_u))
            self.volume_zyx += self._change
        if self._is_positive:
            np.maximum(self.volume_zyx, np.float32(0.0), out=self.volume_zyx)
        return residual

    def misfit(self, volume_zyx: Volume) -> float:
        """Measure how badly a volume, any of the same lines, predicts the measured ones: Σ R (b - A x)²."""
        return sum(rays.residuals(volume_zyx, measured)[1] for rays, measured in self._subsets)
