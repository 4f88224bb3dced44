"""IMOD's models (``.mod``): an object of scattered points for each kind of particle.

IMOD counts x and y from the edge of the first voxel and z from the middle of the first section, so that the
centre of the first voxel is (0.5, 0.5, 0). The model says the size of the volume it was made on.
"""

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.io.columns import numbers
from napari_tomoflow.io.files import require_file, written_aside
from napari_tomoflow.io.particle_formats.frame import Floats, Names, Told, TomogramFrame, only_tomogram
from napari_tomoflow.io.particle_formats.particle_format import ParticleFormat

if TYPE_CHECKING:
    from imodmodel.models import Contour

_Kind = tuple[str, NDArray[np.bool_]]

_KIND = "an IMOD model"
_MAGIC = b"IMODV1.2"
_FIRST_VOXEL = np.array([0.5, 0.5, 0.0])
_POINT_PX = 5
_MOST_OBJECTS = 1000
_SAME_EXTENT_VOXELS = 2.0
_COLOURS = ((1.0, 0.82, 0.3), (0.3, 0.76, 1.0), (1.0, 0.44, 0.57), (0.49, 0.86, 0.42), (0.78, 0.61, 1.0))


def read_imod_model(path: Path, told: Told) -> ParticleSet:
    """Read the points of a model; the name of an object is the species, its place the class.

    Raises
    ------
    DataError
        The file is no model, is damaged or holds no points, or the tomogram is not known.
    """
    model = _model(path)
    parts = [
        (place, one.header.name.strip("\0 "), number, contour)
        for place, one in enumerate(model.objects, start=1)
        for number, contour in enumerate(one.contours, start=1)
        if len(contour.points)
    ]
    if not parts:
        raise DataError(f"{path} holds no points; pick particles in 3dmod first.")
    counts = [len(contour.points) for *_, contour in parts]
    points = np.concatenate([contour.points for *_, contour in parts])
    positions = numbers(path, dict(zip("xyz", points.T, strict=True))) - _FIRST_VOXEL
    name = told.one_name(path)
    frame, warnings = _frame_of(model.header, told.frame(name))
    made_on = Told({name: frame}, pixel_ang=told.pixel_ang)
    species = [label or f"object {place}" for place, label, _, _ in parts]
    return ParticleSet(
        centers_ang_zyx=made_on.centers(path, positions, np.full(len(points), name)),
        tomogram=np.array(name),
        class_ids=np.repeat([place for place, *_ in parts], counts),
        features={
            "species": np.repeat(np.array(species, np.str_), counts),
            "contour": np.repeat([number for _, _, number, _ in parts], counts),
            "point_size": np.concatenate([_sizes(contour) for *_, contour in parts]),
        },
        quality={"warnings": warnings},
    )


def write_imod_model(path: Path, particles: ParticleSet, told: Told) -> list[str]:
    """Write a model that shows every particle as a ball."""
    from imodmodel.models import ImodModel

    name = only_tomogram(particles)
    frame = told.whole_frame(name, path)
    points = told.positions(path, particles) + _FIRST_VOXEL
    kinds, warnings = _kinds(particles)
    model = ImodModel(objects=[_object(place, kind, particles, points) for place, kind in enumerate(kinds)])
    model.header.zmax, model.header.ymax, model.header.xmax = frame.shape_zyx or (0, 0, 0)
    model.header.pixelsize, model.header.units = (frame.voxel_ang or 0.0) / 10, -9  # nanometres
    model.update_sizes()
    with written_aside(path) as aside:
        model.to_file(aside)
    return warnings


def _model(path: Path) -> Any:
    from imodmodel import ImodModel

    require_file(path, _KIND)
    if not _is_model(path):
        raise DataError(f"{path} is not an IMOD model; give a .mod file.")
    try:
        return ImodModel.from_file(path)
    except (ValueError, IndexError, KeyError, TypeError, OSError, EOFError, struct.error) as error:
        raise DataError(f"{path} is damaged: {str(error).splitlines()[0]}; copy it again from its source.") from error


def _frame_of(header: Any, ours: TomogramFrame) -> tuple[TomogramFrame, list[str]]:
    """Find the volume a model was made on: its own word on it, unless that is our tomogram.

    Returns
    -------
    frame : TomogramFrame
        Placed about our tomogram's centre.
    warnings : list of str
        That it is another volume, if it reaches further or less far than ours.
    """
    shape_zyx = (int(header.zmax), int(header.ymax), int(header.xmax))
    voxel_ang = float(header.pixelsize) * 10.0 ** (10 + int(header.units)) if int(header.units) < 0 else 0.0
    if shape_zyx == ours.shape_zyx or min(shape_zyx) < 1 or voxel_ang <= 0:
        said = None if min(shape_zyx) < 1 else shape_zyx
        shape = ours.shape_zyx or said
        return TomogramFrame(shape, ours.voxel_ang or (voxel_ang if voxel_ang > 0 else None), ours.origin_ang_zyx), []
    theirs = TomogramFrame(shape_zyx, voxel_ang, ours.origin_ang_zyx)
    if ours.shape_zyx is None or ours.voxel_ang is None:
        return theirs, []
    apart_ang = np.abs(np.array(shape_zyx) * voxel_ang - np.array(ours.shape_zyx) * ours.voxel_ang).max()
    if apart_ang <= _SAME_EXTENT_VOXELS * max(voxel_ang, ours.voxel_ang):
        return theirs, []
    size = " × ".join(map(str, shape_zyx[::-1]))
    return theirs, [
        f"The model was made on another volume, of {size} voxels of {voxel_ang:.4g} Å: their centres are "
        "taken to be the same."
    ]


def _sizes(contour: "Contour") -> Floats:
    """Return the radius of each point, px; −1 where the object's own is meant."""
    sizes = contour.point_sizes
    return np.full(len(contour.points), -1.0) if sizes is None else np.asarray(sizes, np.float64)


def _kinds(particles: ParticleSet) -> tuple[list[_Kind], list[str]]:
    """Return the name of each object and which particles are in it: by class, with objects left empty between."""
    species: Names = particles.species
    pairs = sorted(set(zip(particles.class_ids.tolist(), species.tolist(), strict=True)))
    kinds = [
        (label or f"class {class_id}", (particles.class_ids == class_id) & (species == label))
        for class_id, label in pairs
    ]
    classes = [class_id for class_id, _ in pairs]
    if not any(classes):
        return kinds, []
    if len(set(classes)) < len(classes) or classes[0] < 1 or classes[-1] > _MOST_OBJECTS:
        return kinds, ["Classes are numbered by the objects of the model."]
    objects: list[_Kind] = [("", np.zeros(len(particles), bool))] * classes[-1]
    for class_id, kind in zip(classes, kinds, strict=True):
        objects[class_id - 1] = kind
    return objects, []


def _object(place: int, kind: _Kind, particles: ParticleSet, points: Floats) -> Any:
    from imodmodel.models import Contour, Object

    label, chosen = kind
    contours = np.asarray(particles.features.get("contour", np.ones(len(particles))))
    sizes = np.asarray(particles.features.get("point_size", np.full(len(particles), -1.0)), np.float64)
    made = Object()
    made.header.name = label[:63]
    made.header.flags.open = True
    made.header.flags.scattered = True
    made.header.pdrawsize = _POINT_PX
    made.header.red, made.header.green, made.header.blue = _COLOURS[place % len(_COLOURS)]
    for contour in np.unique(contours[chosen]):
        rows = np.flatnonzero(chosen & (contours == contour))
        own = sizes[rows] if np.any(sizes[rows] >= 0) else None
        made.contours.append(Contour(points=points[rows], point_sizes=own))
    made.update_sizes()
    return made


def _is_model(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


IMOD = ParticleFormat(
    name="imod",
    title="an IMOD model",
    suffixes=(".mod",),
    recognises=_is_model,
    read=read_imod_model,
    write=write_imod_model,
    keeps=frozenset({"tomogram", "class_ids"}),
    columns=frozenset({"species", "contour", "point_size"}),
    one_tomogram=True,
)
