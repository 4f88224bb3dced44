"""Plain lists of angles (``.tlt``, ``.rawtlt``, ``.xtilt``) and of the order of acquisition."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.files import read_text, write_text

_MATCH_DEG = 0.5
"""An angle of an order list stands for an angle of the series this close to it."""


def read_tilts(path: Path) -> NDArray[np.float64]:
    """Read tilt angles in degrees, in the order of the stack: float64[N].

    The first column is taken; where that only counts the lines, the second. Commas may stand between columns.

    Raises
    ------
    DataError
        A line is not an angle, or there is none; the text names file and line.
    """
    rows = read_rows(path, "a list of tilt angles")
    table = np.array([row[: min(map(len, rows))] for row in rows])
    counts = np.arange(len(table))
    only_counts = table.shape[1] > 1 and any(np.array_equal(table[:, 0], counts + first) for first in (0, 1))
    angles: NDArray[np.float64] = table[:, 1 if only_counts and len(table) > 1 else 0]
    steep = np.flatnonzero(~(np.abs(angles) <= 180.0))
    if len(steep):
        raise DataError(f"{path}, angle {steep[0] + 1}: {angles[steep[0]]:g} is no tilt in degrees; mend the file.")
    return angles


def write_tilts(path: Path, tilt_deg: ArrayLike) -> None:
    """Write one angle per line, with four decimals or as many as it takes to read back the same."""
    lines = [f"{angle:.4f}" if float(f"{angle:.4f}") == angle else repr(float(angle)) for angle in np.asarray(tilt_deg)]
    write_text(path, "\n".join(lines) + "\n")


def read_order(path: Path, tilt_deg: NDArray[np.float64]) -> NDArray[np.int64]:
    """Read the order of acquisition: the place of each image of the stack in time, from 0.

    A file of one column gives that place for each image of the stack, counting from 0 or 1. A file of
    two columns, as RELION 4 takes, lists place and angle; each angle is looked up among those of the series.

    Raises
    ------
    DataError
        Places are missing or come twice, or an angle is not among those of the series.
    """
    rows = read_rows(path, "an order of acquisition")
    n = len(tilt_deg)
    if len(rows) != n:
        raise DataError(f"{path} gives the order of {len(rows)} images but the stack has {n}; list each image once.")
    places = np.array([row[0] for row in rows])
    order = ranks(places)
    if not np.array_equal(order, places - places.min()) or places.min() not in (0, 1):
        raise DataError(f"{path} does not count from 0 or 1 to {n} without gap or repeat; mend its first column.")
    if min(map(len, rows)) < 2:
        return order
    of_tilt = match_angles(np.array([row[1] for row in rows]), tilt_deg, _MATCH_DEG)
    if of_tilt is None:
        raise DataError(f"{path} lists angles that are not those of the series within {_MATCH_DEG}°; mend the file.")
    return order[of_tilt]


def ranks(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the place of each value in sorted order, from 0; equal values keep their order."""
    return np.argsort(np.argsort(values, kind="stable"), kind="stable")


def match_angles(
    listed_deg: NDArray[np.float64], tilt_deg: NDArray[np.float64], within_deg: float
) -> NDArray[np.int64] | None:
    """Find, for each tilt, the entry of a list with the same angle, each used once.

    Equal numbers of angles are paired by rank, once a common offset (a refined against a nominal list)
    is taken off; a longer list gives the nearest entries.

    Returns
    -------
    int64[N] or None
        Index into `listed_deg` for each tilt; None when some tilt has no partner within `within_deg`.
    """
    if len(listed_deg) < len(tilt_deg):
        return None
    if len(listed_deg) == len(tilt_deg):
        found = np.empty(len(tilt_deg), np.int64)
        found[np.argsort(tilt_deg, kind="stable")] = np.argsort(listed_deg, kind="stable")
        gap = listed_deg[found] - tilt_deg
        return found if np.all(np.abs(gap - np.median(gap)) <= within_deg) else None
    nearest = np.argmin(np.abs(listed_deg[None, :] - tilt_deg[:, None]), axis=1)
    close = np.abs(listed_deg[nearest] - tilt_deg) <= within_deg
    return nearest if np.all(close) and len(np.unique(nearest)) == len(nearest) else None


def read_rows(path: Path, kind: str) -> list[list[float]]:
    """Read lines of numbers; empty lines and ``#`` comments are passed over."""
    rows = []
    for number, line in enumerate(read_text(path, kind).splitlines(), start=1):
        words = line.partition("#")[0].replace(",", " ").split()
        try:
            row = [float(word) for word in words]
        except ValueError:
            raise DataError(
                f"{path}, line {number}: {line.strip()[:40]!r} is not made of numbers; give {kind}."
            ) from None
        if row:
            rows.append(row)
    if not rows:
        raise DataError(f"{path} holds no numbers; give {kind}.")
    return rows
