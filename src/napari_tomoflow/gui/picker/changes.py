"""What a person did, as steps that can be taken back and told to a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.gui.picker.picks import CENTERS, ID, IS_THERE, QUATERNIONS, SCORE, TYPE

TYPES = "types"
"""Column of a change of the types themselves, the same for all tomograms."""

_KINDS: Mapping[str, type] = {
    CENTERS: np.float64, QUATERNIONS: np.float64, SCORE: np.float64, TYPE: np.int64, ID: np.int64, IS_THERE: np.bool_,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Change:
    """Other values in some rows of one column.

    Attributes
    ----------
    tomogram : str
        Where it was done, or from where, if it is a change of types.
    note : str
        What was done, a sentence with its numbers.
    column : str
        A column of `Picks`, or ``types``.
    rows : int64[k]
    before, after : array[k, ...] or a single value for all
        Of the types, a tuple of mappings.
    """

    tomogram: str
    note: str
    column: str
    rows: NDArray[np.int64]
    before: Any
    after: Any

    def to_dict(self) -> dict[str, Any]:
        """Return it fit for JSON."""
        return {
            "tomogram": self.tomogram,
            "note": self.note,
            "column": self.column,
            "rows": self.rows.tolist(),
            "before": _plain(self.before),
            "after": _plain(self.after),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Take it back as it was."""
        column = values["column"]
        before, after = values["before"], values["after"]
        if column != TYPES:
            before, after = (np.asarray(one, _KINDS[column]) for one in (before, after))
        rows = np.array(values["rows"], np.int64)
        return cls(values["tomogram"], values["note"], column, rows, before, after)


class History:
    """Changes done and taken back, without limit.

    Attributes
    ----------
    done, undone : list of Change
        The last one of either is the next to be taken back, or to be made again.
    """

    def __init__(self) -> None:
        self.done: list[Change] = []
        self.undone: list[Change] = []

    def do(self, change: Change) -> None:
        """Note a change; what was taken back before is gone."""
        self.done.append(change)
        self.undone.clear()

    def undo(self) -> Change:
        """Take the last change off."""
        self.undone.append(self.done.pop())
        return self.undone[-1]

    def redo(self) -> Change:
        """Put the change back that was taken off last."""
        self.done.append(self.undone.pop())
        return self.done[-1]

    def of(self, tomogram: str) -> tuple[Change, ...]:
        """Return what was done and stands in a tomogram."""
        return tuple(change for change in self.done if change.tomogram == tomogram and change.column != TYPES)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
