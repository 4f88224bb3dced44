"""Coarse copies of a big volume, for looking: ``NAME.pyramid/`` beside ``NAME.mrc``.

Each level is an MRC file of its own, ``bin2.mrc``, ``bin4.mrc``, …, a voxel the mean of 2 × 2 × 2 of the
level before. ``source.json`` says which file they were made from, by size and time: a volume that was
written since has no pyramid until one is made again. Deleting the folder costs nothing but time.
"""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.core.ops.memory_map import release_pages
from napari_tomoflow.io.files import cannot_write, partial, write_text
from napari_tomoflow.io.mrc import allocate_mrc, finish_mrc, open_mrc
from napari_tomoflow.io.stack_file import StackFile

WORTH_BYTES = 2**30
"""Smaller volumes are binned while they are looked at."""

COARSEST_SIZE = 256**3
"""Levels are added until one has no more voxels than this."""

_SOURCE = "source.json"


def pyramid_folder(path: Path) -> Path:
    """Name of the folder for the volume `path`."""
    return path.with_suffix(".pyramid")


def write_pyramid(path: Path, voxel_ang: float) -> tuple[Path, ...]:
    """Make the pyramid of a finished volume, in place of one it may have.

    Parameters
    ----------
    path : Path
        An MRC file, not packed.
    voxel_ang : float

    Returns
    -------
    tuple of Path
        The levels, finest first; empty when the volume is coarse enough itself.

    Raises
    ------
    DataError
        The disk is full or the folder cannot be written; then there is no pyramid.
    """
    folder = pyramid_folder(path)
    aside = partial(folder)
    for old in (folder, aside):
        shutil.rmtree(old, ignore_errors=True)
    try:
        aside.mkdir()
        names = _write_levels(path, voxel_ang, aside)
        write_text(aside / _SOURCE, json.dumps({"source": _identity(path), "levels": names}) + "\n")
        aside.rename(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return tuple(folder / name for name in names)


def open_pyramid(path: Path) -> tuple[StackFile, ...]:
    """Open the levels of a volume, finest first, lazily; none when they are missing, damaged or out of date."""
    folder = pyramid_folder(path)
    try:
        about = json.loads((folder / _SOURCE).read_text("utf-8"))
        if about["source"] != _identity(path):
            return ()
        levels = [folder / str(name) for name in about["levels"]]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return tuple(open_mrc(level) for level in levels) if all(level.is_file() for level in levels) else ()


def _identity(path: Path) -> list[int]:
    """Size and time of the last change: enough to know a file again."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _write_levels(path: Path, voxel_ang: float, folder: Path) -> list[str]:
    """Write level after level, each from the one before."""
    names: list[str] = []
    source = finest = open_mrc(path)
    factor = 1
    while math.prod(source.shape) > COARSEST_SIZE:
        factor *= 2
        names.append(f"bin{factor}.mrc")
        level = folder / names[-1]
        coarse = allocate_mrc(level, tuple(max(1, n // 2) for n in source.shape), source.dtype)
        for z in range(len(coarse)):
            coarse[z] = _mean_of_planes(source, z, coarse.dtype)
            release_pages(coarse)
        centre = [_centre_px(n, fine, factor) * voxel_ang for n, fine in zip(coarse.shape, finest.shape, strict=True)]
        origin_ang_zyx = (centre[0], centre[1], centre[2])
        finish_mrc(level, coarse, factor * voxel_ang, origin_ang_zyx=origin_ang_zyx, label=f"binned by {factor}")
        source = open_mrc(level)
    return names


def _centre_px(n: int, n_fine: int, factor: int) -> float:
    """Where voxel ``n // 2`` of a level lies, in voxels of the volume from its ``n_fine // 2``."""
    return (n // 2) * factor + (factor - 1) / 2 - n_fine // 2


def _mean_of_planes(source: Array, z: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Average two planes and squares of four pixels in them; a row or column left over is dropped."""
    planes = np.asarray(source[2 * z : 2 * z + 2])
    fy, fx = (min(2, n) for n in planes.shape[1:])
    ny, nx = planes.shape[1] // fy, planes.shape[2] // fx
    rows = planes[:, : ny * fy, : nx * fx].sum(axis=0, dtype=np.float32).reshape(ny, fy, nx * fx).sum(axis=1)
    mean = rows.reshape(ny, nx, fx).sum(axis=2) / np.float32(len(planes) * fy * fx)
    release_pages(planes)
    return np.asarray(mean if dtype.kind == "f" else np.rint(mean), dtype)
