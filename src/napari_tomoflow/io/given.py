"""Nouns that a person gives a stage as files, of any program, beside what the project holds."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Curve, DensityMap, Labels, Noun, ParticleSet, Tomogram
from napari_tomoflow.io.curves import read_curve
from napari_tomoflow.io.maps import open_map
from napari_tomoflow.io.particle_formats import TomogramFrame, Unit
from napari_tomoflow.io.particle_tables import read_particle_table
from napari_tomoflow.io.volumes import open_volume


def read_given(
    kind: type[Noun],
    path: Path,
    *,
    voxel_ang: float | None = None,
    unit: Unit | None = None,
    tomogram: Tomogram | None = None,
) -> Noun:
    """Read a noun from a file.

    Parameters
    ----------
    kind : type
        `Curve`, `DensityMap`, `Labels`, `ParticleSet` or `Tomogram`.
    path : Path
    voxel_ang : float, optional
        For volumes: goes before what the file says.
    unit : {"px", "ang", "ang-corner"}, optional
        For particles: what positions are counted in, where the file does not say it.
    tomogram : Tomogram, optional
        For particles: where they lie, if the file counts voxels or names no tomogram.

    Raises
    ------
    DataError
        The file is missing, damaged, or holds something else.
    """
    if kind is Curve:
        return read_curve(path)
    if kind is ParticleSet:
        if tomogram is None:
            return read_particle_table(path, unit=unit)
        return read_particle_table(path, frames=TomogramFrame.of(tomogram), tomogram=tomogram.name, unit=unit)
    return _VOLUMES[kind](path, voxel_ang=voxel_ang)


def _open_labels(path: Path, *, voxel_ang: float | None = None) -> Labels:
    opened = open_volume(path, voxel_ang=voxel_ang)
    volume: Any = opened.volume
    if not np.issubdtype(volume.dtype, np.integer):
        volume = np.asarray(volume)
        if not np.array_equal(volume, np.rint(volume)):
            raise DataError(f"{path} holds densities, not labels: {volume.dtype} with fractions; give a segmentation.")
        volume = volume.astype(np.int32)
    return Labels(name=opened.name, volume=volume, voxel_ang=opened.voxel_ang, quality=opened.quality)


_VOLUMES: Mapping[type[Noun], Callable[..., Noun]] = {
    DensityMap: open_map,
    Labels: _open_labels,
    Tomogram: open_volume,
}
