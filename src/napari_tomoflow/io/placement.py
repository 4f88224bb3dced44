"""Placed averages in files: volumes, particles, neighbours, the maps, and scripts for ChimeraX."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model import MappedBack, Neighbours
from napari_tomoflow.io.files import read_json, write_json
from napari_tomoflow.io.maps import load_map, save_map
from napari_tomoflow.io.mrc import open_mrc, write_mrc
from napari_tomoflow.io.particles import read_particles, write_particles
from napari_tomoflow.io.placement_scripts import PlacedFiles, write_scripts
from napari_tomoflow.io.star import read_star, table_of, write_star

if TYPE_CHECKING:
    import pandas as pd

PAINTED_FILE = "painted.mrc"
_LABELS, _PARTICLES, _NEIGHBOURS, _ABOUT = "labels.mrc", "placed.star", "neighbours.star", "map_back.json"
_MAPS = Path("maps")
_RECORD = ("name", "voxel_ang", "origin_ang_zyx", "levels", "colour_by")
_PARTICLE, _NEIGHBOUR = "tomoflowId", "tomoflowNeighbourId"
_RANK, _DISTANCE, _TURNED = (f"tomoflowNeighbour{what}" for what in ("Rank", "DistanceAngst", "TurnedDeg"))
_DIRECTION = tuple(f"tomoflowNeighbourDirection{axis}" for axis in "XYZ")


def save_mapped_back(placed: MappedBack, folder: Path) -> None:
    """Write placed averages into `folder`; their halves stay where the averages were made."""
    for name, volume in ((PAINTED_FILE, placed.painted), (_LABELS, placed.labels)):
        write_mrc(
            folder / name, volume, placed.voxel_ang, origin_ang_zyx=placed.origin_ang_zyx, label=name[: -len(".mrc")]
        )
    for species, density in placed.maps.items():
        (folder / _MAPS / species).mkdir(parents=True, exist_ok=True)
        save_map(density.replace(halves=None), folder / _MAPS / species)
    write_particles(folder / _PARTICLES, placed.particles)
    if len(placed.neighbours.of):
        write_star(folder / _NEIGHBOURS, {"neighbours": _table(placed)})
    about = {name: getattr(placed, name) for name in _RECORD} | {"species": list(placed.maps)}
    write_json(folder / _ABOUT, about)
    write_scripts(placed, folder, PlacedFiles(PAINTED_FILE, _LABELS, _MAPS))


def load_mapped_back(folder: Path) -> MappedBack:
    """Read what `save_mapped_back` wrote; the volumes stay in their files.

    Raises
    ------
    DataError
        A file is damaged.
    """
    about = read_json(folder / _ABOUT)
    particles = read_particles(folder / _PARTICLES)
    record: dict[str, Any] = {name: about[name] for name in _RECORD}
    record["origin_ang_zyx"] = tuple(record["origin_ang_zyx"])
    return MappedBack(
        painted=open_mrc(folder / PAINTED_FILE),
        labels=open_mrc(folder / _LABELS),
        particles=particles,
        maps={species: load_map(folder / _MAPS / species) for species in about["species"]},
        neighbours=_neighbours(folder / _NEIGHBOURS, particles.ids),
        **record,
    )


def _table(placed: MappedBack) -> "pd.DataFrame":
    """Lay out who is next to whom, by the ids of the particles."""
    import pandas as pd

    found, ids = placed.neighbours, placed.particles.ids
    return pd.DataFrame(
        {
            _PARTICLE: ids[found.of],
            _NEIGHBOUR: ids[found.other],
            _RANK: found.rank,
            _DISTANCE: found.distance_ang,
            _TURNED: found.turned_deg,
            **{name: found.direction_xyz[:, axis] for axis, name in enumerate(_DIRECTION)},
        }
    )


def _neighbours(path: Path, ids: NDArray[np.int64]) -> Neighbours:
    """Read who is next to whom; a particle that is alone has no file of it."""
    if not path.exists():
        return Neighbours.none()
    table = table_of(read_star(path), _PARTICLE, path)
    order = np.argsort(ids)
    rows = {name: order[np.searchsorted(ids, table[name], sorter=order)] for name in (_PARTICLE, _NEIGHBOUR)}
    return Neighbours(
        of=rows[_PARTICLE],
        other=rows[_NEIGHBOUR],
        rank=np.asarray(table[_RANK], np.int64),
        distance_ang=np.asarray(table[_DISTANCE], np.float64),
        turned_deg=np.asarray(table[_TURNED], np.float64),
        direction_xyz=np.asarray(table[list(_DIRECTION)], np.float64),
    )
