"""Tables of particles that are given to a picker, parted by tomogram. It knows no viewer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from napari_tomoflow.core.errors import MissingError
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.io.particle_formats import ANY, Told, TomogramFrame, Unit
from napari_tomoflow.io.particle_tables import outside_warnings, read_as_told

_NAMES_SHOWN = 5


class Tomograms(Protocol):
    """What is known of the tomograms that are picked."""

    @property
    def title(self) -> str:
        """Where they are from."""

    def names(self) -> tuple[str, ...]:
        """Name those that can be picked."""

    def named(self, name: str) -> str | None:
        """Find the one, or the series without any, that a table means by a name."""

    def frame(self, name: str) -> TomogramFrame:
        """Return where one of them has its voxels."""


@dataclass(frozen=True)
class TakenApart:
    """What a table holds.

    Attributes
    ----------
    parts : mapping of str to ParticleSet
        By tomogram.
    warnings : sequence of str
        Sentences on what a person should know: what was left out, what lies outside.
    """

    parts: Mapping[str, ParticleSet]
    warnings: Sequence[str]


def read_by_tomogram(path: Path, tomograms: Tomograms, in_view: str, unit: Unit | None = None) -> TakenApart:
    """Read a table and give each tomogram its particles.

    A table that names no tomogram is about the one it is called after, else about that in view; so is one
    whose only name means no series. Of several tomograms, those not picked here are left out, with a warning.

    Raises
    ------
    TomoflowError
        The table cannot be read, or holds nothing of the tomograms there are.
    """
    meant = path.stem if path.stem in tomograms.names() else in_view
    particles = read_as_told(path, Told(_Frames(tomograms, meant), meant, unit))
    names = [str(name) for name in np.unique(particles.tomogram)]
    if not names:
        raise MissingError(f"{path} holds no particle; give a table that does.")
    warnings = list(particles.quality["warnings"])
    series_of = {name: tomograms.named(name) for name in names}
    if len(names) == 1 and series_of[names[0]] is None:
        series_of[names[0]] = meant
        warnings.append(f"it is about {names[0]}, which means nothing in {tomograms.title}; taken for {meant}.")
    parts = {name: _of_series(particles, name, series_of) for name in tomograms.names() if name in series_of.values()}
    warnings += _left_out(path, particles, [name for name in names if series_of[name] not in parts], tomograms)
    own = Told({name: tomograms.frame(name) for name in parts})
    warnings += [sentence for part in parts.values() for sentence in outside_warnings(part, own)]
    return TakenApart(parts, warnings)


class _Frames(Mapping[str, TomogramFrame]):
    """Frames by whatever name a table has for a tomogram.

    A name that means none here gets the frame of the one in view: a table must be read as a whole, and what is
    not of these tomograms is left out afterwards.
    """

    def __init__(self, tomograms: Tomograms, in_view: str) -> None:
        self._tomograms = tomograms
        self._in_view = in_view
        self._known: dict[str, TomogramFrame] = {}

    def __getitem__(self, name: str) -> TomogramFrame:
        if name == ANY:
            raise KeyError(name)
        series = self._tomograms.named(name)
        if series not in self._tomograms.names():
            series = self._in_view
        if series not in self._known:
            self._known[series] = self._tomograms.frame(series)
        return self._known[series]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tomograms.names())

    def __len__(self) -> int:
        return len(self._tomograms.names())


def _of_series(particles: ParticleSet, series: str, series_of: Mapping[str, str | None]) -> ParticleSet:
    names = [name for name, meant in series_of.items() if meant == series]
    return particles[np.isin(particles.tomogram, names)].replace(tomogram=np.array(series))


def _left_out(path: Path, particles: ParticleSet, names: Sequence[str], tomograms: Tomograms) -> list[str]:
    """Say which particles are of tomograms that are not picked here; refuse where all are."""
    count = int(np.isin(particles.tomogram, names).sum())
    if count == len(particles):
        raise MissingError(
            f"{path} is about {_listed(names)}, but {tomograms.title} has tomograms only of "
            f"{_listed(tomograms.names())}; reconstruct what is missing, or name one of these in the table."
        )
    if not count:
        return []
    return [
        f"{count} of {len(particles)} particles were left out: {tomograms.title} has no tomogram of {_listed(names)}."
    ]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more
