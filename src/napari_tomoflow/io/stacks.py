"""Stacks of images, whatever the format: one function that tells formats apart by name."""

from pathlib import Path

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.dm import DM_SUFFIXES, open_dm
from napari_tomoflow.io.mrc import MRC_SUFFIXES, PACKED_SUFFIXES, open_mrc
from napari_tomoflow.io.relion import STAR_SUFFIXES, open_star_stack
from napari_tomoflow.io.stack_file import StackFile
from napari_tomoflow.io.tiff import TIFF_SUFFIXES, open_tiff

STACK_SUFFIXES = (*MRC_SUFFIXES, *TIFF_SUFFIXES, *DM_SUFFIXES, *STAR_SUFFIXES)
"""Endings of the names of files `open_stack` opens."""


def open_stack(path: Path) -> StackFile:
    """Open a stack of images without reading them.

    Parameters
    ----------
    path : Path
        MRC (plain, gzip or bzip2), TIFF, DM3, DM4, or a STAR file that lists the images of one series.

    Raises
    ------
    DataError
        The file is missing, damaged, or of no kind we know.
    """
    suffix = suffix_of(path)
    if suffix in MRC_SUFFIXES:
        return open_mrc(path)
    if suffix in TIFF_SUFFIXES:
        return open_tiff(path)
    if suffix in DM_SUFFIXES:
        return open_dm(path)
    if suffix in STAR_SUFFIXES:
        return open_star_stack(path)
    raise DataError(f"{path} has no ending we know; give one of {', '.join(STACK_SUFFIXES)}.")


def suffix_of(path: Path) -> str:
    """Return the ending that tells the format, in lower case: ``.mrc``, or ``.mrc.gz`` for a packed file."""
    last = path.suffix.lower()
    return Path(path.stem).suffix.lower() + last if last in PACKED_SUFFIXES else last


def stem_of(path: Path) -> str:
    """Return the name without the ending that tells the format: ``TS_01`` for ``TS_01.mrc.gz``."""
    return path.name[: len(path.name) - len(suffix_of(path))]
