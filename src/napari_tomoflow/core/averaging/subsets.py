"""How resolution grows with the number of particles: what more of them would bring."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.fsc_curve import fsc_curve
from napari_tomoflow.core.averaging.images import ImageSource
from napari_tomoflow.core.averaging.reconstruct import solve, sum_halves, whole_sum
from napari_tomoflow.core.averaging.refinement import Refined
from napari_tomoflow.core.ops.so3 import symmetry_operators
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import MapBatches, in_order

_REPEATS = 3
_HALVINGS = 4
_FEWEST = 16
"""Particles that are worth averaging."""

_FEWEST_SIZES = 3
"""That a line is fitted to."""

_GRID_LIMIT = 1.01
"""Of twice the voxel: what is no coarser is a limit of the grid, and tells nothing of the particles."""


def rosenthal_henderson(
    source: ImageSource,
    refined: Refined,
    symmetry: str = "C1",
    seed: int = 0,
    report: Report = silent,
    map_batches: MapBatches = in_order,
) -> dict[str, Any]:
    """Measure the resolution of averages of a half, a quarter, an eighth and a sixteenth of the particles.

    Parameters
    ----------
    source : ImageSource
        Its particles lie where they ended.
    refined : Refined
        The average of all of them, whose mask and weights their parts get too.
    symmetry : str
    seed : int
        Which parts are drawn.
    report, map_batches
        See `core.report` and `core.stage`.

    Returns
    -------
    dict
        ``particles`` and ``resolution_ang`` of every average that has one, ``b_factor_ang2`` and ``intercept`` of the
        line ``1 / resolution² = intercept + 2 / B · ln(particles)``; None where there is none. Averages that end at
        twice the voxel are no part of the line.

    Notes
    -----
    Three parts of each size; smaller ones lie within larger ones, so that each particle is read at most three times.
    Poses are those all particles have led to: what fewer would have done to them is not in the plot.

    References
    ----------
    Rosenthal and Henderson 2003, doi:10.1016/j.jmb.2003.07.013.
    """
    grid, particles, weights = CubeGrid(source.box_px), source.particles, refined.weights
    counted = np.flatnonzero(weights)
    found = [(len(counted), refined.curve.resolution_ang())]
    sizes = [len(counted) >> halvings for halvings in range(_HALVINGS, 0, -1)]
    sizes = [size for size in sizes if size >= _FEWEST]
    for repeat in range(_REPEATS if sizes else 0):
        order = _by_turns(counted, particles.half, np.random.default_rng([seed, repeat]))
        sums = [np.zeros((*grid.shape, 4), np.float32) for _ in range(2)]
        for number, (first, last) in enumerate(zip([0, *sizes], sizes, strict=False)):
            chosen = np.zeros(len(particles))
            chosen[order[first:last]] = weights[order[first:last]]
            here = part(part(report, repeat, _REPEATS), number, len(sizes))
            more = sum_halves(source, grid, chosen, here, map_batches)
            sums = [one + other for one, other in zip(sums, more, strict=True)]
            whole = [whole_sum(one.copy(), symmetry, grid) for one in sums]
            halves = solve(whole, grid, symmetry_operators(symmetry)).halves
            found.append((last, fsc_curve(*halves, source.pixel_ang, refined.mask, seed).resolution_ang()))
    report(1, 1, "Averaged parts")
    known = sorted((count, resolution) for count, resolution in found if resolution is not None)
    return _line(known, _GRID_LIMIT * 2 * source.pixel_ang)


def _by_turns(counted: NDArray[np.int64], half: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Shuffle particles so that the first of them, however many, are as many of either half as there are."""
    mixed = rng.permutation(counted)
    places = np.empty(len(mixed))
    for number in (1, 2):
        mine = half[mixed] == number
        places[mine] = (np.arange(mine.sum()) + 0.5) / max(mine.sum(), 1)
    return mixed[np.argsort(places, kind="stable")]


def _line(found: list[tuple[int, float]], finest_ang: float) -> dict[str, Any]:
    """Fit the line through all points coarser than some, if they are of enough sizes and resolution grows with them."""
    counts = np.array([count for count, _ in found], np.float64)
    resolution = np.array([one for _, one in found], np.float64)
    line: dict[str, Any] = {
        "particles": counts.astype(int).tolist(),
        "resolution_ang": np.round(resolution, 4).tolist(),
        "b_factor_ang2": None,
        "intercept": None,
    }
    told = resolution > finest_ang
    if len(np.unique(counts[told])) >= _FEWEST_SIZES:
        slope, intercept = np.polyfit(np.log(counts[told]), 1.0 / resolution[told] ** 2, 1)
        if slope > 0:
            line |= {"b_factor_ang2": round(float(2.0 / slope), 2), "intercept": float(intercept)}
    return line
