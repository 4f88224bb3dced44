"""A species of particles, and its average as fine as a round of polishing needs it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.fsc_curve import FscCurve, agreement_radius, fsc_curve, settled_fsc
from napari_tomoflow.core.averaging.images import ImageSource
from napari_tomoflow.core.averaging.recipe import Recipe
from napari_tomoflow.core.averaging.reconstruct import Reconstruction, solve, sum_halves, whole_sum
from napari_tomoflow.core.averaging.resizing import shell_filtered
from napari_tomoflow.core.ops.fourier import fourier_crop
from napari_tomoflow.core.ops.so3 import symmetry_operators
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import MapBatches, in_order

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

_LEAST_RADIUS = 4.0
"""Frequency, in steps of the box, that any comparison reaches to."""


@dataclass(frozen=True, eq=False)
class Species:
    """One kind of particle, and how it is averaged.

    Attributes
    ----------
    recipe : Recipe
    mask : float32[n, n, n]
        Of the recipe's box.
    weights : float64[P]
        How much each particle counts in the average.
    """

    recipe: Recipe
    mask: Reals
    weights: Floats


@dataclass(frozen=True, eq=False)
class Averaged:
    """The average of a species, at full size or as fine as needed.

    Attributes
    ----------
    cubes : two float32[2 c + 1, 2 c + 1, c + 1, 4]
        Whole sums over either half.
    grid : CubeGrid
    result : Reconstruction
        Filtered by how much of each shell is signal.
    curve : FscCurve
    agreed : float64[n / 2 + 1]
        How much of each shell is signal, see `settled_fsc`.
    """

    cubes: Sequence[Reals]
    grid: CubeGrid
    result: Reconstruction
    curve: FscCurve
    agreed: Floats

    @classmethod
    def of(cls, cubes: Sequence[Reals], grid: CubeGrid, species: Species, seed: int) -> "Averaged":
        """Solve sums, and compare the halves."""
        recipe = species.recipe
        mask = np.clip(fourier_crop(species.mask, (grid.box_px,) * 3), 0.0, 1.0)
        operators = symmetry_operators(recipe.symmetry)
        raw = solve(cubes, grid, operators)
        curve = fsc_curve(*raw.halves, recipe.width_ang / grid.box_px, mask, seed)
        agreed = settled_fsc(curve.corrected, raw.weight, recipe.coarsest)
        return cls(cubes, grid, solve(cubes, grid, operators, agreed), curve, agreed)

    @classmethod
    def made(
        cls,
        source: ImageSource,
        species: Species,
        seed: int,
        report: Report = silent,
        map_batches: MapBatches = in_order,
    ) -> "Averaged":
        """Sum the images of a species where they are, and solve that."""
        grid = CubeGrid(source.box_px)
        sums = sum_halves(source, grid, species.weights, report, map_batches)
        return cls.of([whole_sum(cube, species.recipe.symmetry, grid) for cube in sums], grid, species, seed)

    @property
    def radius(self) -> float:
        """How far the halves agree, in steps of the box."""
        return float(np.clip(agreement_radius(self.curve.corrected), _LEAST_RADIUS, self.grid.box_px / 2 - 1))

    def filtered(self, mask: Reals) -> list[Reals]:
        """Return what particles of either half are compared with."""
        agreed = self.agreed[: int(self.radius) + 2]
        soft = np.clip(fourier_crop(mask, (self.grid.box_px,) * 3), 0.0, 1.0)
        return [shell_filtered(half, agreed) * soft for half in self.result.halves]
