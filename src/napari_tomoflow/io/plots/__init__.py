"""Pictures of results: what a job leaves beside its tables for the eye."""

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

DRAWN: tuple[type[Noun], ...] = (
    Alignment,
    CtfSeries,
    TiltSeries,
    ParticleSet,
    Average,
    Classes,
    DensityMap,
    FinishedMap,
    MappedBack,
    Polished,
)
"""Nouns of which there are figures."""

DRAWN_ALONE: tuple[type[Noun], ...] = (ParticleSet, Average, Classes, DensityMap, FinishedMap, MappedBack, Polished)
"""Those that need no series to be drawn."""

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
    if isinstance(noun, Average):
        from napari_tomoflow.io.plots.average import average_figures

        return average_figures(noun)
    if isinstance(noun, Classes):
        from napari_tomoflow.io.plots.classes import classes_figures

        return classes_figures(noun)
    if isinstance(noun, DensityMap):
        from napari_tomoflow.io.plots.aligned_map import aligned_map_figures

        return aligned_map_figures(noun)
    if isinstance(noun, FinishedMap):
        from napari_tomoflow.io.plots.finished_map import finished_map_figures

        return finished_map_figures(noun)
    if isinstance(noun, MappedBack):
        from napari_tomoflow.io.plots.map_back import map_back_figures

        return map_back_figures(noun)
    if isinstance(noun, Polished):
        from napari_tomoflow.io.plots.polish import polish_figures

        return polish_figures(noun)
    if series is None:
        return {}
    if isinstance(noun, Alignment):
        from napari_tomoflow.io.plots.alignment import alignment_figures  # costs matplotlib

        return alignment_figures(noun, series)
    if isinstance(noun, CtfSeries):
        from napari_tomoflow.io.plots.ctf import ctf_figures

        return ctf_figures(noun, series)
    if isinstance(noun, TiltSeries):
        from napari_tomoflow.io.plots.motion import motion_figures

        return motion_figures(noun)
    return {}


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
