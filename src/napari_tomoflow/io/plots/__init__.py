"""Pictures of results: what a job leaves beside its tables for the eye."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from napari_tomoflow.core.model import (
    Alignment,
    Average,
    Classes,
    CtfSeries,
    DensityMap,
    FinishedMap,
    MappedBack,
    Noun,
    ParticleSet,
    Polished,
    TiltSeries,
    Tomogram,
)
from napari_tomoflow.io.files import written_aside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DRAWN", "DRAWN_ALONE", "figures_of", "save_figures"]

_ALONE: dict[type[Noun], str] = {
    Average: "average",
    Classes: "classes",
    DensityMap: "aligned_map",
    FinishedMap: "finished_map",
    MappedBack: "map_back",
    Polished: "polish",
}
"""Nouns drawn by themselves → NAME, for `NAME_figures` of the module NAME, imported late as it costs matplotlib."""

_BESIDE_SERIES: dict[type[Noun], str] = {Alignment: "alignment", CtfSeries: "ctf"}
"""Those drawn beside the series they were made from."""

DRAWN_ALONE: tuple[type[Noun], ...] = (ParticleSet, *_ALONE)
"""Nouns that need no series to be drawn."""

DRAWN: tuple[type[Noun], ...] = (*_BESIDE_SERIES, TiltSeries, *DRAWN_ALONE)
"""Nouns of which there are figures."""

_DOTS_PER_INCH = 110


def figures_of(noun: Noun, series: TiltSeries | None = None, tomogram: Tomogram | None = None) -> "dict[str, Figure]":
    """Draw a result: name → figure, none for a noun that is not in `DRAWN`.

    Parameters
    ----------
    noun
    series
        What the result was made from; without it only what is `DRAWN_ALONE` is drawn.
    tomogram
        What particles were found in, to be drawn on.
    """
    if isinstance(noun, ParticleSet):
        return _figures_of_particles(noun, tomogram)
    for kind, name in _ALONE.items():
        if isinstance(noun, kind):
            return _drawer(name)(noun)
    if series is None:
        return {}
    if isinstance(noun, TiltSeries):
        return _drawer("motion")(noun)
    for kind, name in _BESIDE_SERIES.items():
        if isinstance(noun, kind):
            return _drawer(name)(noun, series)
    return {}


def _drawer(name: str) -> "Callable[..., dict[str, Figure]]":
    draw: Callable[..., dict[str, Figure]] = getattr(import_module(f"{__name__}.{name}"), f"{name}_figures")
    return draw


def _figures_of_particles(particles: ParticleSet, tomogram: Tomogram | None) -> "dict[str, Figure]":
    from napari_tomoflow.io.plots.match import match_figure
    from napari_tomoflow.io.plots.particles import particle_figures

    figures = particle_figures(particles)
    if "threshold_z" in particles.quality:
        figures["scores"] = match_figure(particles, tomogram)
    return figures


def save_figures(noun: Noun, series: TiltSeries | None, folder: Path, tomogram: Tomogram | None = None) -> list[Path]:
    """Draw a result into a folder, ``NAME.png`` for every figure, and return the files.

    Raises
    ------
    DataError
        The disk is full or the folder cannot be written.
    """
    paths = []
    for name, figure in figures_of(noun, series, tomogram).items():
        path = folder / f"{name}.png"
        with written_aside(path) as aside:
            figure.savefig(aside, format="png", dpi=_DOTS_PER_INCH)
        paths.append(path)
    return paths
