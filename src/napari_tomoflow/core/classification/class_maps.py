"""The average of each class, its halves kept apart."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.fsc_curve import FscCurve, fsc_curve, settled_fsc
from napari_tomoflow.core.averaging.images import ImageSource
from napari_tomoflow.core.averaging.reconstruct import complete_plane, solve, sum_halves, symmetrised
from napari_tomoflow.core.ops.so3 import symmetry_operators
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import MapBatches, in_order

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Indices = NDArray[np.int64]

LEAST = 4
"""Particles of a class at least: two in each half."""


@dataclass(frozen=True, eq=False)
class ClassMap:
    """The average of a class.

    Attributes
    ----------
    volume : float32[n, n, n]
        Filtered by how much of each shell is signal.
    halves : pair of float32[n, n, n]
    curve : FscCurve
    """

    volume: Reals
    halves: tuple[Reals, Reals]
    curve: FscCurve


def class_maps(
    source: ImageSource,
    class_of: Indices,
    weights: Floats,
    symmetry: str,
    diameter_ang: float,
    mask: Reals,
    seed: int,
    report: Report = silent,
    map_batches: MapBatches = in_order,
) -> tuple[ClassMap, ...]:
    """Average each class.

    Parameters
    ----------
    source : ImageSource
        Its particles all belong to half 1 or 2.
    class_of : int64[P]
        Class of each particle, from 0.
    weights : float64[P]
        How much each particle counts.
    symmetry : str
    diameter_ang : float
        Of the particle.
    mask : float32[n, n, n]
        For the FSC.
    seed : int
        Of random phases.
    report, map_batches
        See `core.report` and `core.stage`.

    Notes
    -----
    Classes were chosen with both halves in view: their FSC tells how well each map is determined, not that the classes
    are real. The particles of a class that all lie in one half are dealt to both in turn.
    """
    count = int(class_of.max()) + 1
    made = []
    for number in range(count):
        mine = np.where(class_of == number, weights, 0.0)
        halves = _both_halves(source.particles.half, mine > 0)
        here = source.at(source.particles.replace(half=halves))
        made.append(_average(here, mine, symmetry, diameter_ang, mask, seed, part(report, number, count), map_batches))
    return tuple(made)


def _both_halves(half: Indices, mine: NDArray[np.bool_]) -> Indices:
    """Keep the halves, unless fewer than two of some particles are in either."""
    if min(np.count_nonzero(half[mine] == number) for number in (1, 2)) >= LEAST // 2:
        return half
    dealt = half.copy()
    dealt[mine] = np.arange(np.count_nonzero(mine)) % 2 + 1
    return dealt


def _average(
    source: ImageSource,
    weights: Floats,
    symmetry: str,
    diameter_ang: float,
    mask: Reals,
    seed: int,
    report: Report,
    map_batches: MapBatches,
) -> ClassMap:
    grid, operators = CubeGrid(source.box_px), symmetry_operators(symmetry)
    cubes = sum_halves(source, grid, weights, report, map_batches)
    for cube in cubes:
        complete_plane(cube)
    if len(operators) > 1:
        cubes = [symmetrised(cube, operators, grid) for cube in cubes]
    raw = solve(cubes, grid, operators)
    curve = fsc_curve(*raw.halves, source.pixel_ang, mask, seed)
    agreed = settled_fsc(curve.corrected, raw.weight, source.box_px * source.pixel_ang / diameter_ang)
    return ClassMap(solve(cubes, grid, operators, agreed).volume, raw.halves, curve)
