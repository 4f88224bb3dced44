"""Tomograms that programs know by number, with the list of names that Dynamo keeps beside its tables."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.io.files import read_text, write_text
from napari_tomoflow.io.particle_formats.frame import Floats, Names, Told
from napari_tomoflow.io.stacks import stem_of
from napari_tomoflow.io.volumes import VOLUME_SUFFIXES

Ints = NDArray[np.int64]

_LARGEST_ID = 2**53

MAP_SUFFIX = ".doc"
_DYNAMO_TABLE = ".tbl"
_DYNAMOS_OWN = "indices_column20.doc"
_LAST_DIGITS = re.compile(r"(\d+)\D*$")


def named(path: Path, tomogram_numbers: Ints, told: Told) -> Names:
    """Name the tomograms of a table by the list beside it (``NAME.doc``), else by their numbers.

    A table about one tomogram that no list names takes the name the person gives.
    """
    known = _read_map(path)
    distinct = np.unique(tomogram_numbers)
    if told.tomogram and len(distinct) == 1 and int(distinct[0]) not in known:
        known = {int(distinct[0]): told.tomogram}
    return np.array([known.get(int(number), str(int(number))) for number in tomogram_numbers], dtype=np.str_)


def numbered(particles: ParticleSet) -> Ints:
    """Give the tomograms of particles numbers.

    A name keeps the number it ends in if all names do and no two alike; others are counted from 1.
    """
    names = list(dict.fromkeys(map(str, particles.tomogram)))
    found = [_LAST_DIGITS.search(name) for name in names]
    digits = [int(match[1]) for match in found if match]
    counted = digits if len(set(digits)) == len(names) else list(range(1, len(names) + 1))
    numbers = dict(zip(names, counted, strict=True))
    return np.array([numbers[str(name)] for name in particles.tomogram], np.int64)


def write_names(path: Path, particles: ParticleSet, tomogram_numbers: Ints) -> None:
    """Write the list of names beside a table that numbers its tomograms."""
    names = dict(zip(tomogram_numbers.tolist(), map(str, particles.tomogram), strict=True))
    if any(names.values()):
        lines = [f"{number} {name}.mrc" for number, name in sorted(names.items())]
        write_text(path.with_suffix(MAP_SUFFIX), "\n".join(lines) + "\n")


def unique_ids(features: dict[str, NDArray[Any]], column: str) -> dict[str, Any]:
    """Take the column that numbers particles as their ids, if it does so uniquely; it stays a feature otherwise."""
    values = features.get(column)
    if values is None or values.dtype.kind not in "iuf" or len(np.unique(values)) != len(values):
        return {}
    if not np.all((np.abs(values) < _LARGEST_ID) & (values == np.rint(values))):
        return {}
    return {"ids": features.pop(column).astype(np.int64)}


def score_of(values: Floats) -> Floats:
    """Take a column of scores; zeros throughout are what programs write when there are none."""
    return values if np.any(values) else np.full(len(values), np.nan)


def score_to(particles: ParticleSet) -> Floats:
    """Return the scores for a program that wants a number even where there is none."""
    return particles.score if np.isfinite(particles.score).any() else np.zeros(len(particles))


def number_columns(particles: ParticleSet, names: frozenset[str]) -> Mapping[str, Floats]:
    """Return the features of these names that are made of numbers."""
    found = {name: np.asarray(values) for name, values in particles.features.items() if name in names}
    return {name: values.astype(np.float64) for name, values in found.items() if values.dtype.kind in "iufb"}


def _read_map(path: Path) -> dict[int, str]:
    beside = [path.with_suffix(MAP_SUFFIX)]
    if path.suffix == _DYNAMO_TABLE:
        beside.append(path.with_name(_DYNAMOS_OWN))
    file = next(filter(Path.is_file, beside), None)
    if file is None:
        return {}
    known = {}
    for number, line in enumerate(read_text(file, "a list of tomograms").splitlines(), start=1):
        words = line.split(maxsplit=1)
        if not words:
            continue
        if len(words) != 2 or not words[0].isdigit():
            raise DataError(f"{file}, line {number}: {line!r} is not a number and a tomogram; mend or delete the list.")
        last = Path(words[1].strip())
        known[int(words[0])] = stem_of(last) if last.suffix.lower() in VOLUME_SUFFIXES else last.name
    return known
