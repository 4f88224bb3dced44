"""The frames of one tilt, and gain references: MRC, TIFF and EER files as arrays."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.io.dm import DM_SUFFIXES
from napari_tomoflow.io.eer import EER_SUFFIX, EerFile, EerSums, open_eer
from napari_tomoflow.io.mrc import MRC_SUFFIXES
from napari_tomoflow.io.stack_file import StackFile
from napari_tomoflow.io.stacks import open_stack
from napari_tomoflow.io.tiff import TIFF_SUFFIXES, open_tiff

FRAME_SUFFIXES = (EER_SUFFIX, *TIFF_SUFFIXES, *MRC_SUFFIXES, *DM_SUFFIXES)
"""Endings of the names of files that hold frames."""

_DIVIDED_GAIN = ".gain"
"""The Falcon's references hold what frames are divided by."""


def open_frames(path: Path, eer: EerSums = EerSums()) -> StackFile:
    """Open the frames of a tilt without reading them; those of an EER file are sums of consecutive ones.

    Raises
    ------
    DataError
        The file is missing, damaged, of no kind we know, or nothing here can decode it.
    """
    return open_eer(path, eer) if path.suffix.lower() == EER_SUFFIX else open_stack(path)


def gain_of(path: Path, stacks: Sequence[Array]) -> "GainFile":
    """Open the gain reference of some frames; it may be of the detector's pixels where those are finer."""
    finest = max((stack.sums.upsampling for stack in stacks if isinstance(stack, EerFile)), default=1)
    whole = open_gain(path)
    shapes = {tuple(stack.shape[1:]) for stack in stacks}
    return whole if {whole.shape, whole.shape[::-1]} & shapes else GainFile(path, finest)


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
    upsampling : int
        Each of its pixels stands for so many by so many of the frames.
    """

    def __init__(self, path: Path, upsampling: int = 1) -> None:
        self.path = path
        self._upsampling = upsampling
        self._is_divided = path.suffix.lower() == _DIVIDED_GAIN
        self._stack = (open_tiff if self._is_divided else open_stack)(path)

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return tuple(n * self._upsampling for n in self._stack.shape[1:])

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
        return _repeated(gain, self._upsampling)[key]


def _repeated(image_yx: NDArray[np.float32], times: int) -> NDArray[np.float32]:
    return image_yx if times == 1 else np.repeat(np.repeat(image_yx, times, axis=0), times, axis=1)
