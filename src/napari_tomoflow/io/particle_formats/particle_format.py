"""What is known of one program's tables of particles, so that all can be treated alike."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.io.particle_formats.frame import Told

ALL = frozenset({"turns", "tomogram", "ids", "class_ids", "half", "score"})
"""What a particle has besides its position, as `ParticleFormat.keeps` names it."""


_HEAD_BYTES = 1 << 12


def head_of(path: Path) -> list[str]:
    """Return the first lines of a text file, the last of them perhaps cut."""
    with path.open("rb") as file:
        return [line for line in file.read(_HEAD_BYTES).decode("utf-8", "replace").splitlines() if line.strip()]


def begins_with_numbers(at_least: int) -> Callable[[Path], bool]:
    """Make the test whether the first row of a text file is that many numbers or more."""

    def begins(path: Path) -> bool:
        first = next(iter(head_of(path)), "")
        words = first.replace(",", " ").split()
        try:
            return len([float(word) for word in words[:at_least]]) == at_least
        except ValueError:
            return False

    return begins


@dataclass(frozen=True)
class ParticleFormat:
    """One program's table of particles.

    Attributes
    ----------
    name : str
        By which a person asks for it.
    title : str
        What one of its files is called in a sentence.
    suffixes : tuple of str
        Endings of its files; the first is the one to write.
    recognises : callable
        ``path -> bool``: whether a file of such a name is one, by its contents.
    read : callable
        ``(path, told) -> particles``.
    write : callable
        ``(path, particles, told) -> sentences``: what the program is told otherwise than it is.
    keeps : frozenset of str
        Which of `ALL` it has a place for.
    columns : frozenset of str, or None
        Features it has a place for; None when any.
    in_voxels : bool
        Its positions count voxels of the tomogram, which must be known.
    one_tomogram, one_species : bool
        A file is about one tomogram, or about one kind of particle.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Told], ParticleSet]
    write: Callable[[Path, ParticleSet, Told], list[str]]
    keeps: frozenset[str]
    columns: frozenset[str] | None = None
    in_voxels: bool = True
    one_tomogram: bool = False
    one_species: bool = False
