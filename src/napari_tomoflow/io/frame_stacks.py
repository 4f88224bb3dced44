"""The frames of one tilt, and gain references: MRC, TIFF and EER files as arrays."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.io.stack_file import Planes, StackFile
from napari_tomoflow.io.stacks import open_stack
from napari_tomoflow.io.tiff import open_tiff

EER_SUFFIX = ".eer"
_EER_FRACTIONS = 10
"""An EER file holds hundreds of frames with hardly an electron each; so many sums of them are the frames."""

_DIVIDED_GAIN = ".gain"
"""The Falcon's references hold what frames are divided by."""


def open_frames(path: Path) -> StackFile:
    """Open the frames of a tilt without reading them; those of an EER file are sums of consecutive ones.

    Raises
    ------
    DataError
        The file is missing, damaged, of no kind we know, or nothing here can decode it.
    """
    if path.suffix.lower() != EER_SUFFIX:
        return open_stack(path)
    _require_eer_decoder(path)
    header = open_tiff(path).header
    return StackFile(path, _load_fractions, header)


def open_gain(path: Path) -> "GainFile":
    """Open a gain reference: the first image of a file.

    Raises
    ------
    DataError
        The file is missing, damaged, or of no kind we know.
    """
    return GainFile(path)


class GainFile:
    """A gain reference in a file, what frames are multiplied with: float32[ny, nx].

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_divided = path.suffix.lower() == _DIVIDED_GAIN
        self._stack = (open_tiff if self._is_divided else open_stack)(path)

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self._stack.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return np.dtype(np.float32)

    def __getitem__(self, key: Any, /) -> Any:
        """Read a part."""
        gain = np.asarray(self._stack[0], np.float32)
        if self._is_divided:
            with np.errstate(divide="ignore"):
                gain = np.float32(1) / gain  # a dead pixel becomes infinite, and is known by that
        return gain[key]


class _Fractions(Planes):
    """Sums of consecutive planes, as even in number as can be: uint16[F, ny, nx]."""

    def __init__(self, planes: Array, count: int) -> None:
        n = int(planes.shape[0])
        self._ends = np.linspace(0, n, min(count, n) + 1).round().astype(int)
        super().__init__((len(self._ends) - 1, *planes.shape[1:]), np.dtype(np.uint16))
        self._planes = planes

    def plane(self, index: int) -> NDArray[Any]:
        total = np.zeros(self.shape[1:], np.uint16)
        for frame in range(self._ends[index], self._ends[index + 1]):
            total += self._planes[frame]
        return total


def _load_fractions(path: Path) -> Array:
    return _Fractions(open_tiff(path), _EER_FRACTIONS)


def _require_eer_decoder(path: Path) -> None:
    import imagecodecs

    if not imagecodecs.EER.available:
        raise DataError(
            f"{path} is an EER movie, which this imagecodecs {imagecodecs.__version__} cannot decode; "
            "install a newer imagecodecs, or convert the movie to TIFF."
        )
