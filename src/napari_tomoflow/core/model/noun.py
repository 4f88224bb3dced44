"""What all nouns share: they are frozen, checked when made, and carry the quality of what made them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError


class Array(Protocol):
    """What a noun asks of a big array: a shape, a dtype, and slices on demand. It may lie on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length along each axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements as stored."""

    def __getitem__(self, key: Any, /) -> Any:
        """Read a part."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Noun:
    """Base of the nouns.

    Attributes
    ----------
    quality : mapping of str to number, text, list or mapping
        What the stage that made it says of its quality; becomes ``quality.json`` and ``--json``.
    """

    quality: Mapping[str, Any] = field(default_factory=dict)

    def replace(self, **changes: Any) -> Self:
        """Return a checked copy with some fields changed."""
        return replace(self, **changes)

    def parts(self) -> "Mapping[str, Sequence[Noun]]":
        """Return what of it belongs to other items than its own: item → nouns. Most nouns have no such part."""
        return {}


def per_item(noun: str, count: int, /, **columns: Any) -> None:
    """Check that every column has one entry per item; the message names the one that has not."""
    for name, column in columns.items():
        if len(column) != count:
            raise DataError(f"{noun}: {name} has {len(column)} entries for {count} items; give one for each.")


def finite(noun: str, **columns: NDArray[Any]) -> None:
    """Check that geometry holds no NaN and no infinity."""
    for name, column in columns.items():
        if not np.all(np.isfinite(column)):
            where = int(np.argwhere(~np.isfinite(np.asarray(column)))[0][0])
            raise DataError(f"{noun}: {name} is not a number at index {where}; mend the file it came from.")


def floats(value: Any, shape: tuple[int, ...] | None = None) -> NDArray[np.float64]:
    """Take a column as read-only float64, spreading a single number over `shape` if one is given."""
    array = np.asarray(value, np.float64)
    array = np.array(np.broadcast_to(array, shape) if shape is not None and array.ndim < len(shape) else array)
    array.setflags(write=False)
    return array


def flags(value: Any, count: int) -> NDArray[np.bool_]:
    """Take a column of yes or no as read-only bool, spreading a single value over `count` items."""
    array = np.asarray(value, np.bool_)
    array = np.array(np.broadcast_to(array, (count,)) if array.ndim == 0 else array)
    array.setflags(write=False)
    return array
