"""Pictures of results: what a job leaves beside its tables for the eye."""

from pathlib import Path
from typing import TYPE_CHECKING

from napari_tomoflow.core.model import Alignment, CtfSeries, Noun, TiltSeries
from napari_tomoflow.io.files import written_aside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DRAWN", "figures_of", "save_figures"]

DRAWN: tuple[type[Noun], ...] = (Alignment, CtfSeries, TiltSeries)
"""Nouns of which there are figures."""

_DOTS_PER_INCH = 110


def figures_of(noun: Noun, series: TiltSeries) -> "dict[str, Figure]":
    """Draw a result: name → figure, none for a noun that is not in `DRAWN`.

    Parameters
    ----------
    noun
    series
        What the result was made from.
    """
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


def save_figures(noun: Noun, series: TiltSeries, folder: Path) -> list[Path]:
    """Draw a result into a folder, ``NAME.png`` for every figure, and return the files.

    Raises
    ------
    DataError
        The disk is full or the folder cannot be written.
    """
    paths = []
    for name, figure in figures_of(noun, series).items():
        path = folder / f"{name}.png"
        with written_aside(path) as aside:
            figure.savefig(aside, format="png", dpi=_DOTS_PER_INCH)
        paths.append(path)
    return paths
