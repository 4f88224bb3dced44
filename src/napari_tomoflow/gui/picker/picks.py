"""The picks of one tomogram, as columns that grow. Legend: n rows, k of them."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.gui.picker.particle_types import SPECIES

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]

CENTERS, QUATERNIONS, TYPE, IS_THERE, SCORE, ID = (
    "centers_ang_zyx", "quaternions_xyzw", "type", "is_there", "score", "id",
)  # fmt: skip
"""Names of the columns."""

_LIKE: dict[str, tuple[tuple[int, ...], type, Any]] = {
    CENTERS: ((3,), np.float64, 0.0),
    QUATERNIONS: ((4,), np.float64, (0.0, 0.0, 0.0, 1.0)),
    TYPE: ((), np.int64, 0),
    IS_THERE: ((), np.bool_, False),
    SCORE: ((), np.float64, np.nan),
    ID: ((), np.int64, 0),
}
_FIRST_CAPACITY = 1024


class Picks:
    """Rows that are never taken out: a deleted pick is one that is not there.

    A row therefore means the same particle for ever, undoing needs no bookkeeping, and adding one costs
    nothing however many there are.
    """

    def __init__(self) -> None:
        self._n = 0
        self._columns: dict[str, NDArray[Any]] = {
            name: np.zeros((_FIRST_CAPACITY, *shape), kind) for name, (shape, kind, _) in _LIKE.items()
        }
        self._sources: list[tuple[int, ParticleSet]] = []

    def __len__(self) -> int:
        """Return the number of rows, those that are not there included."""
        return self._n

    def __getitem__(self, column: str) -> NDArray[Any]:
        """Return a column of all rows, to be read or written in place: [n, ...]."""
        return self._columns[column][: self._n]

    def append(self, n_rows: int, **columns: ArrayLike) -> Rows:
        """Add rows that are not there yet, under new ids; what is not given has its default."""
        self._make_room(self._n + n_rows)
        first, self._n = self._n, self._n + n_rows
        for name, (_, _, default) in _LIKE.items():
            self._columns[name][first : self._n] = columns.get(name, default)
        if ID not in columns:
            self._columns[ID][first : self._n] = self._next_id(first) + np.arange(n_rows)
        return np.arange(first, self._n)

    def append_set(self, particles: ParticleSet, types: NDArray[np.int64]) -> Rows:
        """Add the particles of a set, whose further columns are kept for `to_set`; ids are kept where they are free.

        An id is free unless a pick that is there has it: rows that are not there come back only with the change
        that took them away, before which these rows were not there.
        """
        ids: dict[str, ArrayLike] = {}
        if not np.isin(particles.ids, self[ID][self[IS_THERE]]).any():
            ids[ID] = particles.ids
        self._sources.append((self._n, particles))
        return self.append(
            len(particles),
            centers_ang_zyx=particles.centers_ang_zyx,
            quaternions_xyzw=particles.quaternions_xyzw,
            type=types,
            score=particles.score,
            **ids,
        )

    def there(self) -> Rows:
        """Return the rows of the picks there are."""
        return np.flatnonzero(self[IS_THERE])

    def to_set(self, rows: Rows, tomogram: str, type_names: NDArray[np.str_]) -> ParticleSet:
        """Make a noun of some rows.

        Parameters
        ----------
        rows : int64[k]
        tomogram
        type_names : str array
            Name of each type.
        """
        plain = ParticleSet(
            centers_ang_zyx=self[CENTERS][rows],
            quaternions_xyzw=self[QUATERNIONS][rows].reshape(-1, 4),
            tomogram=np.array(tomogram),
            ids=self[ID][rows],
            score=self[SCORE][rows],
        )
        half, class_ids = np.zeros(self._n, np.int64), np.zeros(self._n, np.int64)
        features: dict[str, NDArray[Any]] = {}
        for first, source in self._sources:
            part = slice(first, first + len(source))
            half[part], class_ids[part] = source.half, source.class_ids
            for name, values in source.features.items():
                features[name] = _filled(features.get(name), values, part, self._n)
        features[SPECIES] = type_names[self[TYPE]]
        return plain.replace(
            half=half[rows],
            class_ids=class_ids[rows],
            features={name: column[rows] for name, column in features.items()},
        )

    def _make_room(self, n: int) -> None:
        capacity = len(self._columns[ID])
        if n <= capacity:
            return
        grown = max(n, 2 * capacity)
        for name, column in self._columns.items():
            bigger = np.zeros((grown, *column.shape[1:]), column.dtype)
            bigger[: self._n] = column[: self._n]
            self._columns[name] = bigger

    def _next_id(self, n_taken: int) -> int:
        return int(self._columns[ID][:n_taken].max(initial=-1)) + 1


def _filled(column: NDArray[Any] | None, values: NDArray[Any], part: slice, n: int) -> NDArray[Any]:
    """Write values into part of a column of n rows; where nothing is known it is NaN, empty or zero."""
    values = np.asarray(values)
    if column is None:
        nothing = np.nan if values.dtype.kind == "f" else np.zeros((), values.dtype)
        column = np.full(n, nothing, values.dtype)
    else:
        column = column.astype(np.promote_types(column.dtype, values.dtype))
    column[part] = values
    return column
