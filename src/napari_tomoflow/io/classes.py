"""Classes of particles in files: a table of particles, and a map with its halves for each class."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Classes, DensityMap
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.io.files import read_text, write_text
from napari_tomoflow.io.mrc import open_mrc
from napari_tomoflow.io.mrc_write import write_mrc
from napari_tomoflow.io.particles import read_particles, write_particles

CLASSES_FILE = "classes.json"
_PARTICLES = "particles.star"
_MASK = "mask.mrc"
_RECORD = ("name", "voxel_ang", "symmetry", "contrast")


def save_classes(classes: Classes, folder: Path) -> None:
    """Write the particles, ``class_001.mrc`` and so on with their halves, and the mask they share."""
    write_particles(folder / _PARTICLES, classes.particles)
    for number, density in enumerate(classes.maps, 1):
        volumes = {"": density.volume}
        if density.halves is not None:
            volumes |= {"_half1": density.halves[0], "_half2": density.halves[1]}
        for what, volume in volumes.items():
            name = _map_file(number, what)
            write_mrc(folder / name, volume, density.voxel_ang, label=name.removesuffix(".mrc"))
    masks = [density.mask for density in classes.maps if density.mask is not None]
    if masks:
        write_mrc(folder / _MASK, np.asarray(masks[0]), classes.maps[0].voxel_ang, label="mask")
    about = [{name: getattr(density, name) for name in _RECORD} for density in classes.maps]
    write_text(folder / CLASSES_FILE, json.dumps({"maps": about}, indent=1, ensure_ascii=False) + "\n")


def load_classes(folder: Path) -> Classes:
    """Read what `save_classes` wrote; the volumes stay in their files."""
    path = folder / CLASSES_FILE
    try:
        records = json.loads(read_text(path, "a JSON file"))["maps"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged: {error}; run the job again.") from error
    mask = open_mrc(folder / _MASK) if (folder / _MASK).exists() else None
    maps = [_load_map(folder, number, mask, record) for number, record in enumerate(records, 1)]
    return Classes(particles=read_particles(folder / _PARTICLES), maps=tuple(maps))


def _load_map(folder: Path, number: int, mask: Array | None, record: dict[str, Any]) -> DensityMap:
    half1, half2 = (folder / _map_file(number, what) for what in ("_half1", "_half2"))
    return DensityMap(
        volume=open_mrc(folder / _map_file(number)),
        halves=(open_mrc(half1), open_mrc(half2)) if half1.exists() and half2.exists() else None,
        mask=mask,
        **{name: record[name] for name in _RECORD},
    )


def _map_file(number: int, what: str = "") -> str:
    return f"class_{number:03d}{what}.mrc"
