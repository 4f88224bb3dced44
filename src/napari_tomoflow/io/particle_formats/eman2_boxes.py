"""EMAN2's boxes: ``boxes_3d`` and ``class_list`` in the info file of a tomogram (JSON).

A box is ``x y z method score set``, from the tomogram's centre in pixels of the unbinned images if the file
says their size (``apix_unbin``), else in voxels from the corner.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.io.columns import numbers, whole_numbers
from napari_tomoflow.io.files import read_text, write_text
from napari_tomoflow.io.particle_formats.frame import Told, only_tomogram
from napari_tomoflow.io.particle_formats.numbering import score_of
from napari_tomoflow.io.particle_formats.particle_format import ParticleFormat

_KIND = "an EMAN2 info file"
_SUFFIX = "_info"
_BOXES, _SETS, _PIXEL = "boxes_3d", "class_list", "apix_unbin"
_BOX_PX = 32
_BY_HAND = "manual"


def read_eman2_boxes(path: Path, told: Told) -> ParticleSet:
    """Read the boxes of an info file; the name of a set is the species, its number the class.

    Raises
    ------
    DataError
        It has no boxes, they are damaged, or the tomogram is not known.
    """
    info = _info(path)
    boxes = info.get(_BOXES)
    if not isinstance(boxes, list) or not all(isinstance(box, list) and len(box) >= 3 for box in boxes):
        raise DataError(f"{path} holds no boxes of three dimensions; pick particles in EMAN2 first.")
    rows = [[*box[:6], *[0, _BY_HAND, 0.0, 0][len(box) - 2 : 4]] for box in boxes]
    positions = numbers(path, {axis: [row[place] for row in rows] for place, axis in enumerate("xyz")})
    class_ids = whole_numbers(path, "set", [row[5] for row in rows])
    name = told.one_name(path, _SUFFIX)
    sets = _named_sets(path, info.get(_SETS) or {})
    return ParticleSet(
        centers_ang_zyx=_centers(path, info, positions, np.full(len(rows), name), told),
        tomogram=np.array(name),
        class_ids=class_ids,
        score=score_of(numbers(path, {"score": [row[4] for row in rows]})[:, 0]),
        features={
            "species": np.array([sets.get(number, {}).get("name", "") for number in class_ids], np.str_),
            "method": np.array([str(row[3]) for row in rows], np.str_),
            "boxsize": numbers(path, {"boxsize": [sets.get(n, {}).get("boxsize", _BOX_PX) for n in class_ids]})[:, 0],
        },
    )


def write_eman2_boxes(path: Path, particles: ParticleSet, told: Told) -> list[str]:
    """Write the boxes into an info file; what else it holds stays."""
    info = _info(path) if path.exists() else {}
    name = only_tomogram(particles)
    frame = told.whole_frame(name, path)
    pixel_ang = float(info.setdefault(_PIXEL, frame.smallest_ang))
    positions = (particles.centers_ang_zyx - frame.origin_ang_zyx)[:, ::-1] / pixel_ang
    numbers_of_sets, warnings = _sets(particles.class_ids, particles.species)
    methods = particles.features.get("method", np.full(len(particles), _BY_HAND))
    sizes = particles.features.get("boxsize", np.full(len(particles), _BOX_PX))
    scores = np.nan_to_num(particles.score)
    info[_BOXES] = [
        [*map(float, position), str(method), float(score), int(number)]
        for position, method, score, number in zip(positions, methods, scores, numbers_of_sets, strict=True)
    ]
    info[_SETS] = {
        str(number): {"name": str(label) or f"particles_{number:02d}", "boxsize": int(size)}
        for number, label, size in zip(numbers_of_sets, particles.species, sizes, strict=True)
    }
    write_text(path, json.dumps(info, indent=1) + "\n")
    return warnings


def _info(path: Path) -> dict[str, Any]:
    try:
        info = json.loads(read_text(path, _KIND))
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is not readable JSON: {error}; copy the file again.") from error
    if not isinstance(info, dict):
        raise DataError(f"{path} is no info file of EMAN2: it holds a {type(info).__name__}; give another file.")
    return info


def _centers(path: Path, info: dict[str, Any], positions: Any, names: Any, told: Told) -> NDArray[np.float64]:
    if info.get(_PIXEL) is None:
        return told.centers(path, positions, names)
    pixel_ang = float(numbers(path, {_PIXEL: [info[_PIXEL]]})[0, 0])
    if pixel_ang <= 0:
        raise DataError(f"{path}: {_PIXEL} is {pixel_ang:g}; mend it to the pixel size of the unbinned images.")
    origin = told.frame(str(names[0]) if len(names) else "").origin_ang_zyx
    return np.asarray(positions[:, ::-1] * pixel_ang + origin, np.float64)


def _named_sets(path: Path, listed: Any) -> dict[int, dict[str, Any]]:
    """Return what is said of each set, by its number."""
    if not isinstance(listed, dict) or not all(
        str(number).isdigit() and isinstance(about, dict) for number, about in listed.items()
    ):
        raise DataError(f"{path}: {_SETS} does not say a name and a box for each number; mend or delete it.")
    return {int(number): about for number, about in listed.items()}


def _sets(class_ids: NDArray[np.int64], species: NDArray[np.str_]) -> tuple[NDArray[np.int64], list[str]]:
    """Give EMAN2's sets, which have one name each, numbers: by class, unless a class holds several species."""
    pairs = set(zip(class_ids.tolist(), species.tolist(), strict=True))
    if len(pairs) == len(np.unique(class_ids)):
        return class_ids, []
    return np.unique(species, return_inverse=True)[1].reshape(-1), ["Sets are numbered by species, not by class."]


def _has_boxes(path: Path) -> bool:
    return f'"{_BOXES}"' in read_text(path, _KIND)


EMAN2 = ParticleFormat(
    name="eman2",
    title="an EMAN2 info file",
    suffixes=(".json",),
    recognises=_has_boxes,
    read=read_eman2_boxes,
    write=write_eman2_boxes,
    keeps=frozenset({"tomogram", "class_ids", "score"}),
    columns=frozenset({"species", "method", "boxsize"}),
    one_tomogram=True,
)
