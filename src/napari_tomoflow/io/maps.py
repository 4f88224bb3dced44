"""Maps of particles: files of any program, and ours."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import DensityMap
from napari_tomoflow.io.atomic_models import is_atomic_model, open_atomic_model
from napari_tomoflow.io.em import EM_SUFFIX, read_em
from napari_tomoflow.io.files import read_json, write_json
from napari_tomoflow.io.mrc import open_mrc
from napari_tomoflow.io.mrc_write import write_mrc
from napari_tomoflow.io.stacks import stem_of
from napari_tomoflow.io.volumes import open_volume

MAP_FILE = "map.mrc"
_HALVES = ("map_half1.mrc", "map_half2.mrc")
_MASK = "mask.mrc"
_ABOUT = "map.json"
_RECORD = ("name", "voxel_ang", "symmetry", "contrast")


def open_map(path: Path, *, voxel_ang: float | None = None) -> DensityMap:
    """Open a map of any program; whether dense matter is bright in it is found from the map.

    Parameters
    ----------
    path : Path
        MRC or EM, or an atomic model (PDB, mmCIF).
    voxel_ang : float, optional
        Goes before the header's; an EM file has none.

    Raises
    ------
    DataError
        The file is missing or damaged, or nobody says its voxel size.
    """
    if is_atomic_model(path):
        return open_atomic_model(path)
    if path.suffix.lower() == EM_SUFFIX:
        volume: Any = read_em(path)
    else:
        opened = open_volume(path, voxel_ang=voxel_ang)
        if not opened.quality.get("warnings") or voxel_ang is not None:
            voxel_ang = opened.voxel_ang
        volume = opened.volume
    if voxel_ang is None:
        raise DataError(f"{path} does not say its voxel size; give it in Å.")
    values = np.asarray(volume, np.float32)
    return DensityMap(
        name=stem_of(path), volume=values, voxel_ang=voxel_ang, contrast="bright" if _is_bright(values) else "dark"
    )


def save_map(density: DensityMap, folder: Path) -> None:
    """Write a map, its halves and its mask into `folder`."""
    volumes = {MAP_FILE: density.volume, **dict(zip(_HALVES, density.halves or (), strict=False))}
    if density.mask is not None:
        volumes[_MASK] = density.mask
    for name, volume in volumes.items():
        write_mrc(folder / name, volume, density.voxel_ang, label=name.removesuffix(".mrc"))
    about = {name: getattr(density, name) for name in _RECORD}
    write_json(folder / _ABOUT, about)


def load_map(folder: Path) -> DensityMap:
    """Read a map that `save_map` wrote; the volumes stay in their files."""
    about = read_json(folder / _ABOUT)
    half1, half2 = (folder / name for name in _HALVES)
    return DensityMap(
        volume=open_mrc(folder / MAP_FILE),
        halves=(open_mrc(half1), open_mrc(half2)) if half1.exists() and half2.exists() else None,
        mask=open_mrc(folder / _MASK) if (folder / _MASK).exists() else None,
        **{name: about[name] for name in _RECORD},
    )


def _is_bright(volume_zyx: NDArray[np.float32]) -> bool:
    """Tell whether what stands out of the outer half of a map, its surroundings, is brighter than they are."""
    axes = [np.arange(n) - n // 2 for n in volume_zyx.shape]
    radius = np.sqrt(sum(np.square(grid / (n / 2)) for grid, n in zip(np.ix_(*axes), volume_zyx.shape, strict=True)))
    around = volume_zyx[radius > 1.0]
    inside = volume_zyx[radius < 0.5]
    if not around.size or not inside.size:
        return True
    return bool(inside.mean() >= around.mean())
