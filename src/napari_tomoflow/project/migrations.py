"""Old records are brought up to date by pure steps; newer ones are refused by name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from napari_tomoflow import __version__
from napari_tomoflow.core.errors import DataError

SCHEMA = 2
"""Number of the newest shape of ``tomoflow.json`` and ``job.json``; both carry it as ``schema``.

2: an item may be a part of another (``part_of``), and an input may come from an item of another name (``item``).
"""

Step = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns the values of one schema into those of the next; leaves what it is given alone."""


def _as_it_is(values: dict[str, Any]) -> dict[str, Any]:
    """Take what the next schema only adds to, with defaults that say what was true before."""
    return values


JOB_STEPS: Mapping[int, Step] = {1: _as_it_is}
"""The step from schema n to n + 1 of ``job.json``, by n."""

PROJECT_STEPS: Mapping[int, Step] = {1: _as_it_is}
"""The step from schema n to n + 1 of ``tomoflow.json``, by n."""


def migrate(values: dict[str, Any], path: Path, steps: Mapping[int, Step], newest: int = SCHEMA) -> dict[str, Any]:
    """Bring the values read from `path` to the newest schema.

    Raises
    ------
    DataError
        There is no schema number, or a newer program wrote the file.
    """
    schema = values.get("schema")
    if not isinstance(schema, int) or schema < 1:
        raise DataError(f"{path} has the schema {schema!r}, which no version wrote; restore the file from a copy.")
    if schema > newest:
        raise DataError(
            f"{path} has schema {schema}, but napari-tomoflow {__version__} reads up to {newest}; "
            "update napari-tomoflow to open it."
        )
    for number in range(schema, newest):
        values = {**steps[number](values), "schema": number + 1}
    return values
