"""Coarse levels of a big array: those stored beside it, or computed only where somebody looks.

A tomogram of many gigabytes opens at once though nothing need be binned in advance: a coarse level
knows its shape, takes slices lazily like a view, and averages the planes it is asked for. The
coarsest level, which napari shows in 3-D and in thumbnails, remembers its planes.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.core.ops.memory_map import release_pages
from napari_tomoflow.io.pyramids import COARSEST_SIZE, open_pyramid
from napari_tomoflow.io.stack_file import StackFile

READ_BYTES = 2**30
"""Reading a whole coarse level touches about this much of the source: bigger arrays are sampled along z."""


def pyramid(array: Array, binned: tuple[bool, bool, bool] = (True, True, True)) -> list[Any]:
    """Give the levels of `array`, finest first; the finest is the array itself, the coarsest fits any graphics card.

    Parameters
    ----------
    array : array[nz, ny, nx]
        Any sliceable array, maybe on disk.
    binned : tuple of bool
        Which axes get coarser; a tilt series keeps all its tilts.
    """
    levels: list[Any] = [array if isinstance(array, np.ndarray) else Level(array, (1, 1, 1))]
    if all(binned) and isinstance(array, StackFile):
        levels += [Level(stored, (1, 1, 1)) for stored in open_pyramid(array.path)]
    factor = 1
    while math.prod(levels[-1].shape) > COARSEST_SIZE:
        factor *= 2
        factors = tuple(min(factor, n) if coarser else 1 for coarser, n in zip(binned, array.shape, strict=True))
        levels.append(Level(array, factors))
    if len(levels) > 1:
        levels[-1] = levels[-1].remembering()
    return levels


class Level:
    """An array binned by whole factors, as lazy as a view; `numpy.asarray` computes it.

    In y and x every pixel counts. Along z the middle planes of each block are averaged: all of them
    when reading the whole level then touches less than `READ_BYTES`, else as many as fit, at least one.
    A remainder that fills no block is left out.

    Attributes
    ----------
    source : array[nz, ny, nx]
    factors : tuple of int
        Binning along z, y and x; an array that is merely lazy has ones.
    """

    def __init__(self, source: Array, factors: tuple[int, ...]) -> None:
        self.factors = factors
        self.source = source
        self._ranges = tuple(range(n // f) for n, f in zip(source.shape, factors, strict=True))
        self._dropped: frozenset[int] = frozenset()
        self._planes: dict[int, NDArray[Any]] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Length along each axis."""
        return tuple(len(r) for axis, r in enumerate(self._ranges) if axis not in self._dropped)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._ranges) - len(self._dropped)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements: that of the source, in the byte order of this machine."""
        return self.source.dtype.newbyteorder("=")

    def remembering(self) -> "Level":
        """Return this level with a memory for whole planes."""
        level = self._part(self._ranges, self._dropped)
        level._planes = {}
        return level

    def __getitem__(self, key: Any, /) -> "Level":
        """Take a part, by whole numbers and slices; nothing is read."""
        keys = iter(key if isinstance(key, tuple) else (key,))
        ranges, dropped = list(self._ranges), set(self._dropped)
        for axis in sorted(set(range(len(ranges))) - self._dropped):
            one = next(keys, slice(None))
            if isinstance(one, slice):
                ranges[axis] = ranges[axis][one]
            else:
                index = ranges[axis][one]
                ranges[axis] = range(index, index + 1)
                dropped.add(axis)
        return self._part(tuple(ranges), frozenset(dropped))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Read and average what this part covers."""
        if set(self.factors) == {1}:
            part = self.source[tuple(slice(r.start, r.stop, r.step) for r in self._ranges)]
            return np.asarray(part, dtype or self.dtype).reshape(self.shape)
        z, y, x = self._ranges
        out = np.empty((len(z), len(y), len(x)), dtype or self.dtype)
        for i, plane in enumerate(z):
            out[i] = self._plane(plane, y, x)
        return out.reshape(self.shape)

    def _part(self, ranges: tuple[range, ...], dropped: frozenset[int]) -> "Level":
        level = Level(self.source, self.factors)
        level._ranges, level._dropped, level._planes = ranges, dropped, self._planes
        return level

    def _plane(self, z: int, y: range, x: range) -> NDArray[Any]:
        """Compute a plane of the level, or take it from memory."""
        if self._planes is None:
            return self._mean(z, y, x)
        ny, nx = (n // f for n, f in zip(self.source.shape[1:], self.factors[1:], strict=True))
        if z not in self._planes and (len(y), len(x)) == (ny, nx):
            self._planes[z] = self._mean(z, range(ny), range(nx))
        if z in self._planes:
            return self._planes[z][y.start : y.stop : y.step, x.start : x.stop : x.step]
        return self._mean(z, y, x)

    def _mean(self, z: int, y: range, x: range) -> NDArray[Any]:
        """Read the source under one plane of the level and average it."""
        fz, fy, fx = self.factors
        n_planes = self._planes_per_block()
        first = z * fz + (fz - n_planes) // 2
        rows, columns = slice(y[0] * fy, (y[-1] + 1) * fy), slice(x[0] * fx, (x[-1] + 1) * fx)
        planes = range(first, first + n_planes)
        blocks = [_binned(np.asarray(self.source[plane, rows, columns]), fy, fx) for plane in planes]
        mean: NDArray[np.float32] = np.mean(blocks, axis=0)
        stored = mean if self.dtype.kind == "f" else np.rint(mean)
        return stored.astype(self.dtype)[:: y.step, :: x.step]

    def _planes_per_block(self) -> int:
        nz, ny, nx = self.source.shape
        bytes_of_one_each = (nz // self.factors[0]) * ny * nx * self.source.dtype.itemsize
        return min(self.factors[0], max(1, READ_BYTES // bytes_of_one_each))

    def prepare(self) -> Iterator[int]:
        """Compute the planes not yet remembered, one per step, so that a later look at the whole is quick."""
        z, y, x = self._ranges
        for plane in z:
            self._plane(plane, y, x)
            yield plane


def _binned(block_yx: NDArray[Any], fy: int, fx: int) -> NDArray[np.float32]:
    """Average blocks of fy × fx pixels."""
    ny, nx = block_yx.shape[0] // fy, block_yx.shape[1] // fx
    rows = block_yx.reshape(ny, fy, nx * fx).sum(axis=1, dtype=np.float32)
    mean: NDArray[np.float32] = rows.reshape(ny, nx, fx).sum(axis=2) / np.float32(fy * fx)
    release_pages(block_yx)
    return mean
