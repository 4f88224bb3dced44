"""Correlation of a volume with many stencils, block by block: the whole of an exhaustive search.

The locally normalised correlation (Roseman 2003) at x of a volume v and a stencil t, which has mean 0 and standard
deviation 1 under the mask m of sum P::

    LCC(x) = Σ_y m(y) t(y) v(x + y) / (P σ(x)),   σ²(x) = Σ m v² / P − (Σ m v / P)²

The mask of σ is a ball, so one σ serves all rotations, and the largest of the sums is that of the largest LCC: the
division comes at the end.

References
----------
Roseman 2003, doi:10.1016/S0304-3991(02)00333-9.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import scipy.fft
from numba import get_num_threads
from numpy.typing import NDArray

from napari_tomoflow.core.kernels.matching import multiply_conjugate, raise_maximum
from napari_tomoflow.core.matching.threads import each_in_threads
from napari_tomoflow.core.ops.fourier import next_fast_size
from napari_tomoflow.core.report import Report

Image = NDArray[np.float32]
Stencil = Callable[[NDArray[np.float64]], Image]

VOXELS_PER_BLOCK = 16e6
"""A transform of a block takes a tenth of a second, and a thread's buffers 200 MB."""

_ELEMENTS_AT_A_TIME = 100_000
"""Complex numbers in the cache: their megabyte is read and written again while it is there."""

_LEAST_SPREAD = 0.05
"""Of the volume's own standard deviation: places that vary less than this hold nothing, e.g. beyond the border."""


@dataclass(frozen=True, eq=False)
class BestMatch:
    """What an exhaustive search found.

    Attributes
    ----------
    score_zyx : float32[nz, ny, nx]
        The largest LCC at each voxel.
    number_zyx : int32[nz, ny, nx]
        Which rotation gave it.
    """

    score_zyx: Image
    number_zyx: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class _Block:
    """A part of the volume: where its voxels lie, and its transform with a margin all round."""

    inside: tuple[slice, ...]
    volume_rft: NDArray[np.complex64]


class LocalCorrelation:
    """Correlates one volume with stencils of one size.

    Parameters
    ----------
    volume_zyx : float32[nz, ny, nx]
        Beyond its borders it counts as 0; subtract its mean.
    ball_zyx : float32[n, n, n]
        The mask under which the local mean and spread are taken; n even.
    voxels_per_block : float
        Upper limit, stencils' margin not counted.
    """

    def __init__(self, volume_zyx: Image, ball_zyx: Image, voxels_per_block: float = VOXELS_PER_BLOCK) -> None:
        self.shape_zyx = volume_zyx.shape
        self._size = len(ball_zyx)
        self._of_thread = threading.local()
        counts = _block_counts(self.shape_zyx, voxels_per_block)
        edges = [np.linspace(0, n, count + 1).astype(int) for n, count in zip(self.shape_zyx, counts, strict=True)]
        self._shape = tuple(
            # A single block needs its margin once: beyond one end it goes on at the other.
            next_fast_size(int(np.diff(edge).max()) + (self._size if len(edge) > 2 else self._size // 2))
            for edge in edges
        )
        sides = ([slice(int(a), int(b)) for a, b in pairwise(edge)] for edge in edges)
        self._blocks = [_Block(inside, self._transform(volume_zyx, inside)) for inside in product(*sides)]
        self.spread_zyx = self._local_spread(volume_zyx, ball_zyx)

    @property
    def block_shape(self) -> tuple[int, ...]:
        """Shape of the transforms, margins counted."""
        return self._shape

    @property
    def n_blocks(self) -> int:
        """Transforms per rotation."""
        return len(self._blocks)

    @property
    def blocks(self) -> list[tuple[slice, ...]]:
        """Where the voxels of each block lie."""
        return [block.inside for block in self._blocks]

    def best(
        self, stencil: Stencil, rotations: NDArray[np.float64], report: Report, doing: str = "Matching"
    ) -> BestMatch:
        """Try all rotations everywhere.

        Parameters
        ----------
        stencil
            Makes float32[n, n, n] from a rotation; called from several threads.
        rotations : float64[R, 3, 3]
        report
            Called a few times a second.
        """
        best = np.full(self.shape_zyx, -np.inf, np.float32)
        number = np.zeros(self.shape_zyx, np.int32)
        locks = [threading.Lock() for _ in self._blocks]

        def one_rotation(index: int, stop: threading.Event) -> None:
            lines_rft = self._stencil_lines(stencil(rotations[index]))
            for block, lock in zip(self._blocks, locks, strict=True):
                for planes, values in self._correlate(block, lines_rft):
                    with lock:
                        raise_maximum(best[block.inside][planes], number[block.inside][planes], values, index)
                    if stop.is_set():
                        return

        each_in_threads(one_rotation, len(rotations), report, doing)
        return BestMatch(self._normalised(best), number)

    def single(self, box_zyx: Image) -> Image:
        """Correlate with one stencil: LCC as float32[nz, ny, nx]."""
        sums = np.empty(self.shape_zyx, np.float32)
        for number, block in enumerate(self._blocks):
            sums[block.inside] = self.sums(number, box_zyx)
        return self._normalised(sums)

    def sums(self, block: int, box_zyx: Image) -> Image:
        """Sum the products of a stencil and the voxels under it in one block, not divided by the local spread."""
        nz, ny, nx = (side.stop - side.start for side in self._blocks[block].inside)
        result = np.empty((nz, ny, nx), np.float32)
        for planes, values in self._correlate(self._blocks[block], self._stencil_lines(box_zyx)):
            result[planes] = values
        return result

    def _normalised(self, sums_zyx: Image) -> Image:
        """Divide in place by the local spread, which leaves 0 where there is none."""
        return np.divide(sums_zyx, self.spread_zyx, out=sums_zyx)

    def _transform(self, volume_zyx: Image, inside: tuple[slice, ...]) -> NDArray[np.complex64]:
        """Transform a block with the margin stencils reach into; its first voxel lies at n // 2 of each axis."""
        window = np.zeros(self._shape, np.float32)
        half = self._size // 2
        read, write = [], []
        for side, n, length in zip(inside, self.shape_zyx, self._shape, strict=True):
            first = max(side.start - half, 0)
            start = first - (side.start - half)
            last = min(side.stop + half, n, first + length - start)
            read.append(slice(first, last))
            write.append(slice(start, start + last - first))
        window[tuple(write)] = volume_zyx[tuple(read)]
        return np.asarray(scipy.fft.rfftn(window, workers=get_num_threads(), overwrite_x=True))

    def _stencil_lines(self, box_zyx: Image) -> NDArray[np.complex64]:
        """Transform a stencil along x and y, in the corner of a block: complex64[n, ny, nx // 2 + 1]."""
        _, ny, nx = self._shape
        return np.asarray(scipy.fft.fft(scipy.fft.rfft(box_zyx, nx, axis=2), ny, axis=1))

    def _correlate(self, block: _Block, lines_rft: NDArray[np.complex64]) -> Iterator[tuple[slice, Image]]:
        """Sum the products of stencil and volume: planes of the block, and float32[planes, ny, nx] of it.

        Only what is needed is transformed, in portions that stay in the cache: along z the columns of a few rows at
        a time, then the planes that hold voxels of the block.
        """
        nz, ny, nx = (side.stop - side.start for side in block.inside)
        length_z, length_y, length_x = self._shape
        columns = self._buffer()[:nz]
        for rows in portions(length_y, length_z * lines_rft.shape[2]):
            part = scipy.fft.fft(lines_rft[:, rows], length_z, axis=0)
            multiply_conjugate(part, block.volume_rft[:, rows])
            columns[:, rows] = scipy.fft.ifft(part, axis=0, overwrite_x=True)[:nz]
        for planes in portions(nz, length_y * lines_rft.shape[2]):
            part = scipy.fft.ifft(columns[planes], axis=1, overwrite_x=True)
            yield planes, scipy.fft.irfft(part[:, :ny], length_x, axis=2, overwrite_x=True)[..., :nx]

    def _buffer(self) -> NDArray[np.complex64]:
        """Return this thread's own columns, the same at every call: fresh memory costs as much as a transform."""
        if not hasattr(self._of_thread, "columns"):
            length_z, length_y, length_x = self._shape
            self._of_thread.columns = np.empty((length_z, length_y, length_x // 2 + 1), np.complex64)
        columns: NDArray[np.complex64] = self._of_thread.columns
        return columns

    def _local_spread(self, volume_zyx: Image, ball_zyx: Image) -> Image:
        """Measure the standard deviation under the ball at each voxel; infinite where there is next to none."""
        lines_rft = self._stencil_lines(np.asarray(ball_zyx / ball_zyx.sum(dtype=np.float64), np.float32))
        squared_zyx = np.square(volume_zyx)
        variance = np.empty(self.shape_zyx, np.float32)
        for block in self._blocks:
            here = variance[block.inside]
            squares = _Block(block.inside, self._transform(squared_zyx, block.inside))
            for planes, mean_square in self._correlate(squares, lines_rft):
                here[planes] = mean_square
            for planes, mean in self._correlate(block, lines_rft):
                here[planes] -= np.square(mean)
        least = (_LEAST_SPREAD * float(volume_zyx.std(dtype=np.float64))) ** 2
        variance[variance <= least] = np.inf
        return np.sqrt(variance, out=variance)


def portions(count: int, elements_of_one: int) -> list[slice]:
    """Divide a range into portions that fit a core's cache, all threads' results being small beside them.

    Parameters
    ----------
    count : int
        Rows or planes to divide.
    elements_of_one : int
        Complex numbers in each.
    """
    width = max(1, round(_ELEMENTS_AT_A_TIME / elements_of_one))
    return [slice(first, min(first + width, count)) for first in range(0, count, width)]


def _block_counts(shape_zyx: tuple[int, ...], voxels_per_block: float) -> tuple[int, ...]:
    """Halve the longest side until a block is small enough."""
    counts = [1] * len(shape_zyx)
    while np.prod(sides := [n / count for n, count in zip(shape_zyx, counts, strict=True)]) > voxels_per_block:
        counts[int(np.argmax(sides))] += 1
    return tuple(counts)
