"""An array that stays in its file: slices are read when asked for."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tomoflow.core.model.noun import Array

Load = Callable[[Path], Array]
"""Opens the array of a file. A module-level function, so that a `StackFile` can go to another process."""


@dataclass(frozen=True)
class FileHeader:
    """What the header of an image file says. None = it does not say. Legend: N planes.

    Attributes
    ----------
    pixel_ang : float or None
        Edge of a (square) pixel.
    voxel_ang_zyx : tuple of float or None
        Edges of a voxel, when the header has three.
    origin_ang_zyx : tuple of float
        Position of the volume's centre, Å; zero when the file does not follow our convention.
    axis_deg : float or None
        Tilt axis, counter-clockwise from +y.
    voltage_kv : float or None
    tilt_deg, dose_of_tilt_e_ang2 : float64[N] or None
    labels : tuple of str
        Free text of the header.
    notes : tuple of str
        What a person should know of how the file was read.
    """

    pixel_ang: float | None = None
    voxel_ang_zyx: tuple[float, float, float] | None = None
    origin_ang_zyx: tuple[float, float, float] = (0.0, 0.0, 0.0)
    axis_deg: float | None = None
    voltage_kv: float | None = None
    tilt_deg: NDArray[np.float64] | None = None
    dose_of_tilt_e_ang2: NDArray[np.float64] | None = None
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Planes(ABC):
    """An array of which one plane at a time can be decoded; slices decode the planes they touch."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._shape, self._dtype = shape, dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Length along each of the three axes."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self._dtype

    @abstractmethod
    def plane(self, index: int) -> NDArray[Any]:
        """Decode one plane."""

    def __getitem__(self, key: Any, /) -> Any:
        """Read a part: any index along the first axis, slices and numbers along the others."""
        first, *rest = _spelled_out(key)
        wanted = np.arange(self.shape[0])[first]
        if wanted.ndim == 0:
            return self.plane(int(wanted))[tuple(rest)]
        if not len(wanted):
            return np.empty((0, *self.shape[1:]), self.dtype)[(slice(None), *rest)]
        return np.stack([self.plane(int(index))[tuple(rest)] for index in wanted])


def _spelled_out(key: Any) -> tuple[Any, ...]:
    """Write an index with one entry for each of three axes."""
    keys = key if isinstance(key, tuple) else (key,)
    dots = [place for place, one in enumerate(keys) if one is Ellipsis]
    before, after = (keys[: dots[0]], keys[dots[0] + 1 :]) if dots else (keys, ())
    return (*before, *[slice(None)] * (3 - len(before) - len(after)), *after)


class StackFile:
    """A three-dimensional array in a file: a stack of images, or the sections of a volume.

    It can be sliced from several threads at once, pickled (the copy opens the file again) and turned
    into an array. What it gives has the native byte order.

    Parameters
    ----------
    path : Path
    load : callable
        Opens the array of the file; called again in every process.
    header : FileHeader
        What else the file says.
    """

    def __init__(self, path: Path, load: Load, header: FileHeader) -> None:
        self.path = path
        self.header = header
        self._load = load
        self._array = load(path)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length along each axis."""
        return tuple(int(n) for n in self._array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements, in native byte order."""
        return self._array.dtype.newbyteorder("=")

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        """Return the number of planes."""
        return self.shape[0]

    def __getitem__(self, key: Any, /) -> Any:
        """Read a part."""
        return np.asarray(self._array[key], self.dtype)[()]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Read everything."""
        array = np.asarray(self[...], dtype)
        return array.copy() if copy else array

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path, not the pixels."""
        return StackFile, (self.path, self._load, self.header)

    def __repr__(self) -> str:
        """Name the file; shape and type might have to be read first."""
        return f"StackFile({str(self.path)!r})"
