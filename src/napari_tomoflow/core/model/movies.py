"""Noun: a tilt series whose tilts were recorded as movies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.core.model.tilt_series import TiltSeries


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames of all tilts. As an array it is their sums as recorded, float32[N, ny, nx], read when asked for.

    Attributes
    ----------
    stacks : tuple of array[F, ny, nx]
        Frames of each tilt in the order of time, any number type; F is 0 where they are not there.
    gain : array[ny, nx] or None
        What each pixel of a frame is multiplied with, in any of its eight orientations; None when the
        frames are corrected.
    absent : mapping of int to str
        Why tilts have no frames.
    """

    stacks: tuple[Array, ...]
    gain: Array | None = None
    absent: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that all images have one size, which the gain shares."""
        if not self.stacks:
            raise DataError("A movie series needs the frames of at least one tilt; got none.")
        shape_yx = tuple(self.stacks[0].shape[1:])
        for tilt, stack in enumerate(self.stacks):
            if len(stack.shape) != 3 or tuple(stack.shape[1:]) != shape_yx:
                raise DataError(
                    f"{name_of(stack, f'Tilt {tilt}')} holds frames of shape {tuple(stack.shape)} where tilt 0 has "
                    f"{shape_yx[0]} × {shape_yx[1]} px; give frames of one size."
                )
        if self.gain is not None and tuple(self.gain.shape) not in (shape_yx, shape_yx[::-1]):
            found = " × ".join(map(str, self.gain.shape))
            raise DataError(
                f"{name_of(self.gain, 'The gain')} is {found} px but the frames are {shape_yx[0]} × {shape_yx[1]} px; "
                "give the gain reference these frames were recorded with."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Tilts, ny, nx."""
        return (len(self.stacks), *(int(n) for n in self.stacks[0].shape[1:]))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the sums."""
        return np.dtype(np.float32)

    def __getitem__(self, key: Any, /) -> Any:
        """Sum up the frames of a tilt, or of several."""
        first, *rest = key if isinstance(key, tuple) else (key,)
        chosen = np.arange(len(self.stacks))[first]
        if chosen.ndim == 0:
            return self._sum(int(chosen))[tuple(rest)]
        sums = np.empty((len(chosen), *self.shape[1:]), np.float32)
        for place, tilt in enumerate(chosen):
            sums[place] = self._sum(int(tilt))
        return sums[(slice(None), *rest)]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Sum up the frames of all tilts."""
        return np.asarray(self[:], dtype)

    def _sum(self, tilt: int) -> NDArray[np.float32]:
        total = np.zeros(self.shape[1:], np.float32)
        stack = self.stacks[tilt]
        for frame in range(stack.shape[0]):
            total += stack[frame]
        return total


@dataclass(frozen=True, eq=False, kw_only=True)
class Movies(TiltSeries):
    """A tilt series whose images are the sums of frames nobody has aligned yet.

    Everything else is as in a series; the dose of a tilt is that of all of its frames. Only `motion`
    takes it: the other stages want images.

    Attributes
    ----------
    images : Frames
    """

    images: Frames

    def frames(self, tilt: int) -> Array:
        """Return the frames of a tilt, array[F, ny, nx], in the order of time."""
        return self.images.stacks[tilt]

    @property
    def gain(self) -> Array | None:
        """Gain reference, array[ny, nx] or turned; None when the frames are corrected."""
        return self.images.gain


def name_of(array: Array, otherwise: str) -> str:
    """Return the file an array lies in, for messages."""
    return str(getattr(array, "path", otherwise))
