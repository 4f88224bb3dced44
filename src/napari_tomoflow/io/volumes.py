"""Volumes in MRC files as tomograms."""

from pathlib import Path
from typing import Any

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Tomogram
from napari_tomoflow.io.mrc import MRC_SUFFIXES, open_mrc
from napari_tomoflow.io.mrc_header import is_cubic
from napari_tomoflow.io.stacks import stem_of

VOLUME_SUFFIXES = MRC_SUFFIXES
"""Endings of the names of files `open_volume` opens."""


def open_volume(path: Path, *, voxel_ang: float | None = None) -> Tomogram:
    """Open a volume without reading it; the tomogram is named by the file's stem.

    Parameters
    ----------
    path : Path
        An MRC file, plain or packed.
    voxel_ang : float, optional
        Goes before the header's. Where neither says, a voxel is 1 Å and ``quality["warnings"]`` says so.

    Raises
    ------
    DataError
        The file is missing or damaged, or its voxels are not cubes.
    """
    stack = open_mrc(path)
    header, edges = stack.header, stack.header.voxel_ang_zyx
    warnings = list(header.notes)
    # A section thickness of 0 is what programs write for a stack; the other two edges then stand for it.
    if voxel_ang is None and edges is not None:
        if not is_cubic(edges if edges[0] > 0 else edges[1:]):
            text = " × ".join(f"{edge:.4g}" for edge in reversed(edges))
            raise DataError(f"{path} has voxels of {text} Å; resample it to cubic voxels, or give the voxel size.")
        voxel_ang = edges[2]
    if voxel_ang is None:
        warnings.append(f"{path.name} does not say its voxel size; 1 Å is assumed, so give it if it matters.")
    quality: dict[str, Any] = {"warnings": warnings} if warnings else {}
    return Tomogram(
        name=stem_of(path),
        volume=stack,
        voxel_ang=voxel_ang or 1.0,
        origin_ang_zyx=header.origin_ang_zyx,
        quality=quality,
    )
