"""Which movies make up a series: files, folders and lists as a person names them, in an order."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError, ParamError
from napari_tomoflow.io.frame_stacks import FRAME_SUFFIXES
from napari_tomoflow.io.mdoc import MDOC_SUFFIX
from napari_tomoflow.io.stacks import STACK_SUFFIXES, stem_of, suffix_of

_NUMBERS = re.compile(r"(\d+)")
_PARTING = "_-. "
_WORDS = re.compile(rf"[^{re.escape(_PARTING)}]+|[{re.escape(_PARTING)}]")


@dataclass(frozen=True, eq=False)
class MovieList:
    """Movies in their order.

    Attributes
    ----------
    movies : tuple of Path
    tilt_deg : float64[N] or None
        Angles that lists give them.
    """

    movies: tuple[Path, ...]
    tilt_deg: NDArray[np.float64] | None = None


def find_movies(named: Sequence[Path], but: Path | None = None) -> MovieList:
    """Find the movies a person means.

    Parameters
    ----------
    named : sequence of Path
        Movies in their order; folders, of which all movies are taken in the order of their names, numbers in them
        by value; or text files that list movies.
    but : Path, optional
        A file that is none, though it looks like one: the gain reference.

    Raises
    ------
    DataError
        One is not there, or a list is damaged.
    """
    lists = [_found(path, but) for path in named]
    angles = [one.tilt_deg for one in lists]
    told = [one for one in angles if one is not None]
    return MovieList(
        tuple(chain.from_iterable(one.movies for one in lists)),
        np.concatenate(told) if len(told) == len(lists) else None,
    )


def name_of_series(named: Sequence[Path]) -> str:
    """Name a series of movies: after its mdoc, list or folder, or by what the names of all movies begin with.

    Raises
    ------
    ParamError
        The names have nothing in common.
    """
    first = named[0]
    if len(named) == 1:
        name = first.name.removesuffix(MDOC_SUFFIX)
        return next((name.removesuffix(end) for end in STACK_SUFFIXES if name.endswith(end)), first.stem)
    words = zip(*(_WORDS.findall(stem_of(path)) for path in named), strict=False)
    shared = "".join(column[0] for column in takewhile(lambda column: len(set(column)) == 1, words))
    if not (name := shared.rstrip(_PARTING)):
        raise ParamError(f"The names of {first} and the other movies have no beginning in common; give --name.")
    return name


def _found(path: Path, but: Path | None) -> MovieList:
    """Find the movies one path stands for."""
    if path.is_dir():
        inside = [one for one in path.iterdir() if suffix_of(one) in FRAME_SUFFIXES and not _same(one, but)]
        return MovieList(tuple(sorted(inside, key=_natural)))
    return MovieList((path,)) if suffix_of(path) in FRAME_SUFFIXES else read_list(path)


def _same(path: Path, other: Path | None) -> bool:
    return other is not None and path.resolve() == other.resolve()


def _natural(path: Path) -> list[tuple[bool, int | str]]:
    """Order names by the numbers in them: tilt 10 comes after tilt 9."""
    return [(part.isdigit(), int(part) if part.isdigit() else part) for part in _NUMBERS.split(path.name)]


def read_list(path: Path) -> MovieList:
    """Read a list of movies: a file in each line, relative to the list, and behind it the tilt angle or nothing.

    Raises
    ------
    DataError
        It is no text, it is empty, or only some lines have an angle.
    """
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is no list of movies ({error}); give a folder, movies, or a text file of one movie a line."
        ) from None
    entries = [_entry(line) for line in lines if line and not line.startswith("#")]
    angles = [angle for _, angle in entries if angle is not None]
    if not entries:
        raise DataError(f"{path} names no movies; write one in each line.")
    if angles and len(angles) < len(entries):
        raise DataError(f"{path} has {len(angles)} angles for {len(entries)} movies; write one behind each, or none.")
    movies = tuple(path.parent / name for name, _ in entries)
    return MovieList(movies, np.array(angles, np.float64) if angles else None)


def _entry(line: str) -> tuple[str, float | None]:
    """Split a line into the name of a file, which may have blanks in it, and an angle."""
    name, _, last = line.rpartition(" ")
    try:
        return (name.strip(), float(last)) if name else (line, None)
    except ValueError:
        return line, None
