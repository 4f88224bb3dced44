"""The average of particles at given poses: a weighted Wiener reconstruction, its halves kept apart.

Batches of particles are inserted into cubes of their own, which are summed in the order of the batches: any number
of workers gives the same bits. With D and P as in `core.averaging.images`, and per shell of frequencies::

    map = Σ D / (Σ P + 1 / τ²)            1 / τ² = ⟨Σ P⟩ of a half · (1 − FSC) / FSC

The halves are divided by their weights alone, so that their FSC owes nothing to a filter. Cells in which these fall
far below the mean of their shell are left weak rather than divided by next to nothing: what was not measured is
not made up.

References
----------
Scheres 2012, doi:10.1016/j.jsb.2012.09.006, equations 6 and 14, for the filter; Bharat et al. 2015,
doi:10.1016/j.str.2015.06.026, for images with different weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.images import ImageSource, Indices, batches
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.kernels import slices
from napari_tomoflow.core.ops.fsc import shell_sums
from napari_tomoflow.core.ops.so3 import symmetry_operators
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import MapBatches, in_order

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

BATCH = 32
"""Particles worked on together: memory is their images and one cube."""

_WEIGHT_FLOOR = 0.05
"""Weight of a cell, in means of its shell, below which it is not fully restored."""

_LARGEST_SSNR = 1e4


@dataclass(frozen=True, eq=False)
class InsertBatch:
    """Inserts the images of a batch of particles into an empty cube; fit to be sent to another process.

    Attributes
    ----------
    source : ImageSource
    grid : CubeGrid
    weights : float64[P] or None
        How much each particle of the source counts; all alike without.
    """

    source: ImageSource
    grid: CubeGrid
    weights: Floats | None = None

    def __call__(self, chosen: Indices) -> Reals:
        """Return the sums over some particles: float32[2 c + 1, 2 c + 1, c + 1, 4], the plane kx = 0 not completed."""
        images = self.source.images(chosen)
        cube = np.zeros((*self.grid.shape, 4), np.float32)
        count = np.ones(len(chosen)) if self.weights is None else self.weights[chosen]
        n, n_tilts = images.box_px, images.visible.shape[1]
        slices.insert_slices(
            cube,
            images.images_rft.reshape(-1, n, n // 2 + 1),
            images.power.reshape(-1, n, n // 2 + 1),
            np.repeat(count, n_tilts).astype(np.float32) * images.visible.ravel(),
            images.axes(self.source.particles.matrices[chosen]).reshape(-1, 2, 3),
            self.grid.scale,
            self.grid.reach,
            get_num_threads(),
        )
        return cube


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """An average.

    Attributes
    ----------
    volume : float32[n, n, n]
        Of all particles, Wiener filtered; dense matter bright, voxel ``n // 2`` the centre.
    halves : pair of float32[n, n, n]
        Of either half, divided by the weights alone.
    fsc : float64[n / 2 + 1]
        Of the halves, unmasked, for each step of frequency.
    coverage : float64[n / 2 + 1]
        Share of the cells of each shell that were measured.
    weight : float64[n / 2 + 1]
        Mean Σ P of the cells of each shell of a half.
    """

    volume: Reals
    halves: tuple[Reals, Reals]
    fsc: Floats
    coverage: Floats
    weight: Floats


def reconstruct_at_poses(
    source: ImageSource,
    *,
    grid: CubeGrid | None = None,
    symmetry: str = "C1",
    weights: Floats | None = None,
    fsc: Floats | None = None,
    report: Report = silent,
    map_batches: MapBatches = in_order,
    batch: int = BATCH,
) -> Reconstruction:
    """Average particles where and as they lie now.

    Parameters
    ----------
    source : ImageSource
        Its particles all belong to half 1 or 2.
    grid : CubeGrid, optional
        By default with padding 2 and all frequencies.
    symmetry : str
        Point group the average is given.
    weights : float64[P], optional
        How much each particle counts.
    fsc : float64[n / 2 + 1], optional
        Agreement of the halves the filter goes by, e.g. of masked ones; that of the halves themselves by default.
    report, map_batches
        See `core.report` and `core.stage`.
    batch : int
        Particles in each; the result depends on it in the last digits only.
    """
    grid = grid or CubeGrid(source.box_px)
    sums = sum_halves(source, grid, weights, report, map_batches, batch)
    cubes = [whole_sum(cube, symmetry, grid) for cube in sums]
    return solve(cubes, grid, symmetry_operators(symmetry), fsc)


def sum_halves(
    source: ImageSource,
    grid: CubeGrid,
    weights: Floats | None = None,
    report: Report = silent,
    map_batches: MapBatches = in_order,
    batch: int = BATCH,
) -> list[Reals]:
    """Sum the particles of either half: two arrays as of `InsertBatch`. Images that do not count are not read."""
    half = source.particles.half
    if not np.isin(half, (1, 2)).all() or len(np.unique(half)) < 2:
        raise DataError(
            f"An average needs particles of both halves, 1 and 2; got halves {sorted(set(half.tolist()))}; assign them."
        )
    counted = np.ones(len(half), np.bool_) if weights is None else weights != 0
    jobs = [
        (number, part[counted[part] & (half[part] == number)])
        for part in batches(source.particles, 2 * batch)
        for number in (1, 2)
    ]
    jobs = [(number, part) for number, part in jobs if len(part)]
    cubes = [np.zeros((*grid.shape, 4), np.float32) for _ in range(2)]
    insert = InsertBatch(source, grid, weights)
    report(0, len(jobs), "Averaging")
    for done, cube in enumerate(map_batches(insert, [part for _, part in jobs])):
        cubes[jobs[done][0] - 1] += cube
        report(done + 1, len(jobs), "Averaging")
    return cubes


def whole_sum(cube: Reals, symmetry: str, grid: CubeGrid) -> Reals:
    """Complete a sum of all slices, in place, and add up its symmetric copies."""
    complete_plane(cube)
    operators = symmetry_operators(symmetry)
    return symmetrised(cube, operators, grid) if len(operators) > 1 else cube


def complete_plane(cube: Reals) -> None:
    """Give every cell of the plane kx = 0 what its opposite got, in place; once, when all slices are inserted."""
    plane = cube[:, :, 0]
    opposite = plane[::-1, ::-1].copy()
    opposite[..., 1] *= -1
    plane += opposite


def symmetrised(cube: Reals, operators: Floats, grid: CubeGrid) -> Reals:
    """Add up what a cube holds in all orientations that are alike."""
    total = cube.copy()
    for operator in operators[1:]:
        # What is at S · k in one copy of the particle is at k in another.
        slices.add_rotated(total, cube, operator.astype(np.float32), grid.reach * grid.scale)
    return total


def solve(cubes: Sequence[Reals], grid: CubeGrid, operators: Floats, fsc: Floats | None = None) -> Reconstruction:
    """Divide the sums of both halves by their weights.

    Parameters
    ----------
    cubes : two float32[2 c + 1, 2 c + 1, c + 1, 4]
    grid : CubeGrid
    operators : float64[S, 3, 3]
        With which the cubes were symmetrised; the identity first.
    fsc : float64[n / 2 + 1], optional
        See `reconstruct_at_poses`.
    """
    shells = _Shells(grid)
    means = [shells.mean(cube[..., 2]) for cube in cubes]
    blur = _blur_of_symmetry(operators, grid)
    halves = [shells.divided(cube, _WEIGHT_FLOOR * mean) / blur for cube, mean in zip(cubes, means, strict=True)]
    own_fsc = shell_sums(halves[0], halves[1]).fsc
    trusted = own_fsc if fsc is None else fsc
    ssnr = np.minimum(np.clip(trusted, 1e-4, 1.0) / np.maximum(1.0 - trusted, 1e-9), _LARGEST_SSNR)
    ssnr[0] = ssnr[1]
    both = np.asarray(cubes[0] + cubes[1], np.float32)
    mean = (means[0] + means[1]) / 2
    volume = shells.divided(both, np.maximum(mean / ssnr, _WEIGHT_FLOOR * mean)) / blur
    coverage = shells.mean((both[..., 2] > _WEIGHT_FLOOR * 2 * mean[shells.number]).astype(np.float32))
    return Reconstruction(volume, (halves[0], halves[1]), own_fsc, coverage, mean)


class _Shells:
    """Shells of the cells of a cube, one step of frequency wide; those beyond the reach form the last one."""

    def __init__(self, grid: CubeGrid) -> None:
        self._grid = grid
        self.count = grid.box_px // 2 + 1
        frequency = grid.frequencies()
        self.number = np.minimum(np.rint(frequency).astype(np.int64), self.count - 1)
        self._used = frequency < grid.reach
        self._cells = np.maximum(np.bincount(self.number[self._used], minlength=self.count), 1)

    def mean(self, values: Reals) -> Floats:
        """Average over the cells of each shell that slices can reach."""
        total = np.bincount(self.number[self._used], values[self._used], self.count)
        return np.asarray(total / self._cells)

    def divided(self, cube: Reals, added: Floats) -> Reals:
        """Divide sums by weights plus something for each shell, and transform back."""
        weight = cube[..., 2] + added.astype(np.float32)[self.number]
        ratio = np.where(self._used & (weight > 0), 1.0 / np.where(weight > 0, weight, 1.0), 0.0).astype(np.float32)
        return self._grid.map_of(np.asarray((cube[..., 0] + 1j * cube[..., 1]) * ratio, np.complex64))


def _blur_of_symmetry(operators: Floats, grid: CubeGrid) -> Reals | float:
    """Return what the interpolation of the rotated copies did to the map; the first copy was not interpolated."""
    if len(operators) == 1:
        return 1.0
    rest = sum(grid.gridding(operator.T) for operator in operators[1:])
    return np.asarray((1.0 + rest) / len(operators), np.float32)
