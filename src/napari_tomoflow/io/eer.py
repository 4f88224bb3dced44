"""EER movies, which hold single electrons: hundreds of frames, summed to the few a movie is aligned by."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.io.stack_file import FileHeader, Planes, StackFile
from napari_tomoflow.io.tiff import FLIPPED_ROWS, goes_on, opened_tiff

if TYPE_CHECKING:
    import tifffile

EER_SUFFIX = ".eer"
_FRACTIONS = 10


@dataclass(frozen=True)
class EerSums:
    """How the electrons of an EER movie become frames.

    Attributes
    ----------
    grouping : int or None
        Frames of the file summed to one, on average: the sums are as even as can be and leave no frame out. None
        makes ten sums of any movie.
    upsampling : {1, 2}
        Pixels of the result along an edge of a detector pixel: 1 counts electrons where the detector has pixels
        (4096², "4K"), 2 on a grid twice as fine ("8K"), by where in its pixel an electron fell.
    """

    grouping: int | None = None
    upsampling: int = 1

    def ends(self, n_frames: int) -> NDArray[np.int64]:
        """Return where each sum begins and the last one ends: int64[F + 1]."""
        wanted = _FRACTIONS if self.grouping is None else max(1, round(n_frames / self.grouping))
        return np.linspace(0, n_frames, min(wanted, n_frames) + 1).round().astype(np.int64)


class EerFile(StackFile):
    """Sums of consecutive frames of an EER movie, made when asked for: uint16[F, ny, nx].

    Parameters
    ----------
    path : Path
    sums : EerSums
    """

    def __init__(self, path: Path, sums: EerSums) -> None:
        self.sums = sums
        super().__init__(path, partial(_load, sums=sums), FileHeader(notes=(FLIPPED_ROWS,)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path, not the pixels."""
        return EerFile, (self.path, self.sums)


def open_eer(path: Path, sums: EerSums) -> EerFile:
    """Open an EER movie without decoding it.

    Raises
    ------
    DataError
        The file is missing or damaged, holds no electrons, or nothing here can decode it.
    """
    import imagecodecs

    if not imagecodecs.EER.available:
        raise DataError(
            f"{path} is an EER movie, which this imagecodecs {imagecodecs.__version__} cannot decode; "
            "install a newer imagecodecs, or convert the movie to TIFF."
        )
    return EerFile(path, sums)


class _Sums(Planes):
    """Sums of consecutive frames. Each read opens the file anew, which makes it safe from several threads."""

    def __init__(self, path: Path, sums: EerSums, n_frames: int, shape_yx: tuple[int, int]) -> None:
        self._path, self._upsampling, self._ends = path, sums.upsampling, sums.ends(n_frames)
        super().__init__((len(self._ends) - 1, *shape_yx), np.dtype(np.uint16))

    def plane(self, index: int) -> NDArray[Any]:
        """Decode the frames of one sum."""
        total = np.zeros(self.shape[1:], np.uint16)
        with _opened(self._path, self._upsampling) as file:
            for frame in range(self._ends[index], self._ends[index + 1]):
                total += file.asarray(key=frame, series=0)
        return total[::-1]


def _load(path: Path, sums: EerSums) -> Array:
    with _opened(path, sums.upsampling) as file:
        # The sum of all frames that some files begin with is a series of its own.
        frames = file.series[0]
        if goes_on(file):
            raise DataError(f"{path} is cut short after {len(frames)} frames; copy it again from its source.")
        ny, nx = frames.keyframe.shape
        return _Sums(path, sums, len(frames), (int(ny), int(nx)))


@contextmanager
def _opened(path: Path, upsampling: int) -> Iterator["tifffile.TiffFile"]:
    """Open a file of electrons."""
    with opened_tiff(path, superres=upsampling - 1) as file:
        if not file.is_eer:
            raise DataError(f"{path} holds no electrons as EER has them; copy it again, or if it is TIFF, name it so.")
        yield file
