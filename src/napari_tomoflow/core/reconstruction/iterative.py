"""SIRT and SART: a few lines at a time, for as many iterations as bring two halves of the tilts closer."""

from collections.abc import Iterator, Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.kernels.backprojection import ROWS
from napari_tomoflow.core.kernels.resample import transpose_into_blocks
from napari_tomoflow.core.ops.backprojection import LineGeometry, angular_spacing, grid_in_image
from napari_tomoflow.core.ops.iterative import Blocks, Rays, Solver, Volume
from napari_tomoflow.core.ops.resample import shift_rows
from napari_tomoflow.core.reconstruction.density_store import DensityStore
from napari_tomoflow.core.reconstruction.lines import LineMaker
from napari_tomoflow.core.reconstruction.params import ReconstructParams
from napari_tomoflow.core.reconstruction.setting import Setting
from napari_tomoflow.core.report import Report, part, silent, watched

_SART_RELAX = 0.3
_MOST_ITERATIONS = 30
_PATIENCE = 2
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0


class IterativeReconstruction:
    """A `Solution`: measured lines that wait to be solved, block of lines after block.

    Memory is the measured lines and twice the part of the volume that as many blocks of lines see as
    there are threads. What a tilt's own x-tilt differs from the others' is left out;
    ``quality["line_error_px"]`` tells by how much a line may miss a voxel for it.

    References
    ----------
    .. [1] Gilbert, P. J. Theor. Biol. 36, 105 (1972), doi:10.1016/0022-5193(72)90180-4. SIRT.
    .. [2] Andersen, A. H. and Kak, A. C. Ultrason. Imaging 6, 81 (1984),
       doi:10.1177/016173468400600107. SART.
    """

    def __init__(self, setting: Setting, params: ReconstructParams, report: Report) -> None:
        geometry = setting.lines()
        is_sirt = params.method == "sirt"
        self._geometry, self._relax = geometry, params.relax or (1.0 if is_sirt else _SART_RELAX)
        n_subsets = 1 if is_sirt else -(-len(setting.tilts) // params.tilts_per_update)
        subsets = interleaved(setting.tilt_deg, n_subsets)
        self._rays = [Rays.of(geometry, subset) for subset in subsets]
        self._is_positive = params.positive
        share = part(report, 0, 2)
        self._measured = _measured(setting, geometry, params, subsets, part(share, 0, 2))
        self._start = _Start(setting, geometry, params, part(share, 1, 2)) if params.warm_start else None
        held_out: list[float] = []
        if params.iterations is None:
            held_out = self._held_out_residuals(setting, subsets, part(report, 1, 2))
        self._iterations = params.iterations or int(np.argmin(held_out)) + 1
        self._residuals = np.zeros(self._iterations)
        self.quality: dict[str, Any] = {
            "iterations": self._iterations,
            "held_out_residuals": held_out,
            "line_error_px": float(np.abs(geometry.own_lean).max() * geometry.shape_zyx[0] / 2),
            "lines_mb": sum(blocks.nbytes for blocks in self._measured) / 1e6,
        }
        report(1, 1, "Ready to iterate")

    def typical_sd(self) -> float:
        """Measure the spread of the middle lines."""
        return float(np.std(self._solved(self._middle(), silent), dtype=np.float64))

    def write(self, store: DensityStore, report: Report) -> None:
        """Solve all lines, and undo the lean all tilts share."""
        geometry = self._geometry
        nz, ny, nx = geometry.shape_zyx
        lean = geometry.common_lean * (np.arange(nz) - nz // 2)
        spare, done = geometry.n_v - ny, 0
        waiting = np.empty((nz, 0, nx), np.float32)
        self._residuals[:] = 0.0
        for lines_zvx in self._all_lines(report):
            waiting = np.concatenate([waiting, lines_zvx], axis=1)
            n_rows = waiting.shape[1] - spare
            if n_rows > 0:
                with store.part(slice(None), slice(done, done + n_rows)) as part_zyx:
                    part_zyx[:] = shift_rows(waiting, lean, n_rows) if spare else waiting
                waiting, done = waiting[:, n_rows:], done + n_rows
        self.quality["residuals"] = (self._residuals / max(self._residuals[0], 1e-30)).tolist()

    def _all_lines(self, report: Report) -> Iterator[Volume]:
        """Solve as many blocks at a time as there are threads: float32[nz, lines, nx] each."""
        n_blocks, at_once = len(self._measured[0]), numba.get_num_threads()
        starts = range(0, n_blocks, at_once)
        for number, first in enumerate(starts):
            yield self._solved(slice(first, first + at_once), part(report, number, len(starts)))

    def _solved(self, blocks: slice, report: Report) -> Volume:
        """Solve neighbouring blocks of lines, and add to the residual of each iteration."""
        nz, _, nx = self._geometry.shape_zyx
        measured = [subset[blocks] for subset in self._measured]
        start = np.zeros((nz, self._lines_in(blocks), nx), np.float32)
        if self._start is not None:
            self._start.fill(start, blocks)
        solver = Solver(self._rays, measured, start, self._relax, self._is_positive)
        for number in watched(range(self._iterations), report, "Iterating"):
            self._residuals[number] += solver.iterate()
        return solver.volume_zyx

    def _middle(self) -> slice:
        """Choose the block of lines in the middle."""
        middle = len(self._measured[0]) // 2
        return slice(middle, middle + 1)

    def _held_out_residuals(
        self, setting: Setting, subsets: Sequence[NDArray[np.int64]], report: Report
    ) -> list[float]:
        """Measure after each iteration how well either half of the tilts predicts the images of the other.

        Every other tilt makes a half, and the middle lines stand for all. Until the residual, over
        that of an empty volume, has grown `_PATIENCE` times. The correlation of the two halves
        themselves is no guide: it falls from the first iteration on, because the smoothest volumes
        agree best.
        """
        rank = np.argsort(np.argsort(setting.tilt_deg, kind="stable"))
        halves = [
            self._middle_solver([subset[rank[subset] % 2 == half] for subset in subsets], subsets) for half in (0, 1)
        ]
        empty = sum(half.misfit(half.volume_zyx) for half in halves)
        residuals: list[float] = []
        for _ in watched(range(_MOST_ITERATIONS), report, "Comparing halves"):
            for half in halves:
                half.iterate()
            residuals.append(sum(a.misfit(b.volume_zyx) for a, b in (halves, halves[::-1])) / max(empty, 1e-30))
            if len(residuals) - 1 - int(np.argmin(residuals)) >= _PATIENCE:
                break
        report(1, 1, "Comparing halves")
        return residuals

    def _middle_solver(self, chosen: Sequence[NDArray[np.int64]], subsets: Sequence[NDArray[np.int64]]) -> Solver:
        """Prepare to solve the middle lines from the chosen tilts of each subset."""
        middle = self._middle()
        nz, _, nx = self._geometry.shape_zyx
        rays, measured = [], []
        for tilts, subset, blocks in zip(chosen, subsets, self._measured, strict=True):
            if len(tilts):
                rays.append(Rays.of(self._geometry, tilts))
                measured.append(np.ascontiguousarray(blocks[middle][:, np.isin(subset, tilts)]))
        start = np.zeros((nz, self._lines_in(middle), nx), np.float32)
        if self._start is not None:
            self._start.fill(start, middle, np.concatenate(chosen))
        return Solver(rays, measured, start, self._relax, self._is_positive)

    def _lines_in(self, blocks: slice) -> int:
        """Count the lines of neighbouring blocks."""
        first, stop = blocks.start * ROWS, blocks.stop * ROWS
        return int(min(stop, self._geometry.n_v) - first)


class _Start:
    """The weighted back-projection of any blocks of lines, to start from."""

    def __init__(self, setting: Setting, geometry: LineGeometry, params: ReconstructParams, report: Report) -> None:
        self._geometry, self._tilt_deg = geometry, setting.tilt_deg
        self._blocks = np.empty((-(-geometry.n_v // ROWS), len(setting.tilts), geometry.n_u, ROWS), np.float32)
        lines_of = LineMaker(setting, geometry, params.replace(weighting="ramp"))
        for index in watched(range(len(setting.tilts)), report, "Filtering images"):
            transpose_into_blocks(self._blocks[:, index], lines_of(index))

    def fill(self, volume_zyx: Volume, blocks: slice, tilts: NDArray[np.int64] | None = None) -> None:
        """Back-project these blocks, or only some tilts of them, each weighted by the angle to its neighbours."""
        tilts = np.arange(len(self._tilt_deg)) if tilts is None else np.sort(tilts)
        spacing = angular_spacing(self._tilt_deg[tilts]).astype(np.float32)
        weighted = np.ascontiguousarray(self._blocks[blocks][:, tilts] * spacing[:, None, None])
        Rays.of(self._geometry, tilts).backproject(volume_zyx, weighted)


def interleaved(tilt_deg: NDArray[np.float64], n_subsets: int) -> list[NDArray[np.int64]]:
    """Split tilts into subsets, each spread over all angles, in an order in which neighbours lie far apart."""
    by_angle = np.argsort(tilt_deg, kind="stable")
    order = np.argsort((np.arange(n_subsets) * _GOLDEN) % 1.0, kind="stable")
    return [np.sort(by_angle[first::n_subsets]) for first in order]


def _measured(
    setting: Setting,
    geometry: LineGeometry,
    params: ReconstructParams,
    subsets: Sequence[NDArray[np.int64]],
    report: Report,
) -> list[Blocks]:
    """Lay the unweighted lines of each subset out in blocks, NaN beyond the image: float32[B, T, n_u, ROWS]."""
    lines_of = LineMaker(setting, geometry, params.replace(weighting="none"))
    n_blocks = -(-geometry.n_v // ROWS)
    measured = [np.empty((n_blocks, len(subset), geometry.n_u, ROWS), np.float32) for subset in subsets]
    places = [(number, place, tilt) for number, subset in enumerate(subsets) for place, tilt in enumerate(subset)]
    for number, place, tilt in watched(places, report, "Filtering images"):
        lines_vu = lines_of(int(tilt))
        lines_vu[~_is_seen(setting, geometry, int(tilt))] = np.nan
        transpose_into_blocks(measured[number][:, place], lines_vu)
    return measured


def _is_seen(setting: Setting, geometry: LineGeometry, index: int) -> NDArray[np.bool_]:
    """Tell which points of the lines lie in the image, its faded margin not counted: bool[n_v, n_u].

    Beyond it the lines are 0, which is no measurement: taken for one, it empties the volume's sides.
    """
    affine = grid_in_image(geometry, index, (0, 0), setting.px_per_voxel)
    v, u = np.ogrid[: geometry.n_v, : geometry.n_u]
    ny, nx = setting.series.shape_yx
    x, y = (row[0] * u + row[1] * v + row[2] for row in affine)
    return np.asarray((2 * np.abs(x) <= nx / setting.factor) & (2 * np.abs(y) <= ny / setting.factor))
