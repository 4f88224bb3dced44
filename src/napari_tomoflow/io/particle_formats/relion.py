"""RELION's tables of particles: versions 5 (Å from the centre), and 3 and 4 (pixels from a corner).

RELION 4 counts pixels of the tilt images, RELION 3 those of the subtomograms, and tables made by hand voxels
of the tomogram; the table's own word on its pixel goes before what is known of the tomogram. RELION 4.0 took
positions one pixel further than they are written, RELION 5 takes them as written, and so do we.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.io.columns import column_if_any
from napari_tomoflow.io.particle_formats.frame import Floats, Names, Told
from napari_tomoflow.io.particle_formats.particle_format import ALL, ParticleFormat
from napari_tomoflow.io.particles import (
    CENTERS,
    COORDINATES,
    ORIGINS,
    blocks_of,
    gather,
    particles_from_table,
    table_with_optics,
    write_particles,
)
from napari_tomoflow.io.relion import STAR_SUFFIXES
from napari_tomoflow.io.star import labels_of, write_star

if TYPE_CHECKING:
    import pandas as pd

_PIXEL = "rlnTomoTiltSeriesPixelSize"
_GROUP = "rlnOpticsGroup"
_ORIGINS_PX = tuple(f"rlnOrigin{axis}" for axis in "XYZ")
_UM_TO_ANG = 1e4


def read_relion5(path: Path, told: Told) -> ParticleSet:
    """Read particles whose centred coordinates need no tomogram.

    Raises
    ------
    DataError
        The table is damaged.
    """
    table = table_with_optics(path, CENTERS)
    particles = particles_from_table(path, table, gather(path, table, CENTERS), gather(path, table, ORIGINS))
    return particles if "rlnTomoName" in table.columns else particles.replace(tomogram=told.one_name(path))


def read_relion_corner(path: Path, told: Told) -> ParticleSet:
    """Read particles of RELION 3 or 4, which need the tomogram.

    Raises
    ------
    DataError
        The table is damaged, or the tomogram is not known.
    """
    table = table_with_optics(path, COORDINATES)
    positions = gather(path, table, COORDINATES)
    names = _names(path, table, told)
    pixel_ang = _pixel_ang(table)
    origins = gather(path, table, ORIGINS)
    if ORIGINS[0] not in table.columns and _ORIGINS_PX[0] in table.columns:
        edges = _edges(table, names, told, pixel_ang)
        origins = gather(path, table, _ORIGINS_PX) * edges[:, None]
        table = table.drop(columns=[name for name in _ORIGINS_PX if name in table.columns])
    centers = told.centers(path, positions, names, pixel_ang)
    return particles_from_table(path, table, centers[:, ::-1], origins).replace(tomogram=names)


def write_relion5(path: Path, particles: ParticleSet, told: Told) -> list[str]:
    """Write particles as RELION 5 does."""
    write_particles(path, particles)
    return []


def write_relion4(path: Path, particles: ParticleSet, told: Told) -> list[str]:
    """Write particles as RELION 4 does, in pixels of the tilt images where their size is known, else in voxels."""
    frames = {str(name): told.whole_frame(str(name), path) for name in np.unique(particles.tomogram)}
    edges = np.array([frames[str(name)].smallest_ang for name in particles.tomogram])
    voxels = np.array([frames[str(name)].voxel_ang for name in particles.tomogram])
    positions = told.positions(path, particles) * (voxels / edges)[:, None]
    placed = dict(zip(COORDINATES, positions.T, strict=True))
    features: dict[str, Any] = {name: value for name, value in particles.features.items() if name != _PIXEL}
    if _GROUP not in features:
        features[_GROUP] = np.unique(edges, return_inverse=True)[1].reshape(-1) + 1
        features["rlnOpticsGroupName"] = np.array([f"opticsGroup{group}" for group in features[_GROUP]], np.str_)
    write_star(path, blocks_of(particles.replace(features={**features, _PIXEL: edges}), placed))
    return []


def _names(path: Path, table: "pd.DataFrame", told: Told) -> Names:
    """Name the tomograms: RELION 4 names them, RELION 3 gives their files, of which a single one may be named."""
    if "rlnTomoName" in table.columns:
        return np.array(table["rlnTomoName"], dtype=np.str_)
    files = list(table["rlnMicrographName"]) if "rlnMicrographName" in table.columns else []
    if len(set(files)) > 1 or (files and not told.tomogram):
        return np.array([Path(str(file)).stem for file in files], dtype=np.str_)
    return np.full(len(table), told.one_name(path))


def _pixel_ang(table: "pd.DataFrame") -> Floats | None:
    """Find what the table says a pixel of its positions is, Å."""
    unbinned = column_if_any(table, _PIXEL)
    if unbinned is not None:
        return unbinned
    detector_um, magnification = (column_if_any(table, f"rln{name}") for name in ("DetectorPixelSize", "Magnification"))
    if detector_um is not None and magnification is not None:
        return detector_um * _UM_TO_ANG / magnification
    pixel_ang = column_if_any(table, "rlnPixelSize")
    return column_if_any(table, "rlnImagePixelSize") if pixel_ang is None else pixel_ang


def _edges(table: "pd.DataFrame", names: Names, told: Told, pixel_ang: Floats | None) -> Floats:
    """Return the edge of the pixel that origins in pixels are counted in, Å."""
    if told.pixel_ang is not None:
        return np.full(len(table), told.pixel_ang)
    if pixel_ang is not None:
        return pixel_ang
    return np.array([told.frame(str(name)).voxel_ang or 0.0 for name in names])


def _has_corner(path: Path) -> bool:
    labels = labels_of(path)
    return f"_{COORDINATES[0]}" in labels and f"_{CENTERS[0]}" not in labels


RELION5 = ParticleFormat(
    name="relion5",
    title="a RELION 5 table",
    suffixes=STAR_SUFFIXES,
    recognises=lambda path: f"_{CENTERS[0]}" in labels_of(path),
    read=read_relion5,
    write=write_relion5,
    keeps=ALL,
    in_voxels=False,
)
RELION4 = ParticleFormat(
    name="relion4",
    title="a RELION 3 or 4 table",
    suffixes=STAR_SUFFIXES,
    recognises=_has_corner,
    read=read_relion_corner,
    write=write_relion4,
    keeps=ALL,
)
