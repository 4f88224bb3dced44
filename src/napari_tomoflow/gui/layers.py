"""Nouns to napari layers and back: one function per noun each way.

Scale, units and axis labels are set here and nowhere else, so everything overlays: world coordinates
are Å from the centre of the specimen, or from the image centre for tilt series. What must survive a
round trip lies in ``metadata["tomoflow"]``, written and read only here.

napari draws with units only when all layers agree on them axis by axis; the first axis of a tilt
series therefore claims Å as well, one pixel per tilt. Its label, ``tilt``, tells the two apart.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import (
    DensityMap,
    FinishedMap,
    Labels,
    Movies,
    Noun,
    ParticleSet,
    RawStack,
    SubtiltSet,
    TiltSeries,
    Tomogram,
)
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.gui.pyramid import Level, pyramid

LayerTuple = tuple[Any, dict[str, Any], str]
"""``(data, attributes, layer type)``, as napari passes layers to and from plugins."""

METADATA_KEY = "tomoflow"

TILT_AXES = ("tilt", "y", "x")
SPECIMEN_AXES = ("z", "y", "x")

PARTICLE_SIZE_ANG = 150.0
_ARROW_LENGTH_ANG = 120.0
_SAMPLED_PLANES = 7
_SAMPLED_PER_PLANE = 2**17
_FOREIGN = " (file)"

_PER_ANGSTROM = {"angstrom": 1.0, "nanometer": 10.0, "micrometer": 1e4}


def to_layers(noun: Noun, grid_ang: float = 1.0) -> list[LayerTuple]:
    """Show any noun that has a picture; the others have no layers. See `particles_to_layer` for the grid."""
    if isinstance(noun, ParticleSet):
        are_turned = bool(np.any(noun.quaternions_xyzw[:, 3] ** 2 < 1 - 1e-9))
        arrows = [orientations_to_layer(noun, grid_ang)] if are_turned else []
        return [*arrows, particles_to_layer(noun, grid_ang)]
    make = TO_LAYER.get(type(noun))
    has_none = isinstance(noun, SubtiltSet) and noun.images is None and noun.volumes is None
    return [make(noun)] if make and not has_none else []


def from_layer(layer: LayerTuple) -> Noun:
    """Turn a layer back into its noun; the kind is what it was made from, else what its type suggests."""
    data, attributes, layer_type = layer
    known = attributes.get("metadata", {}).get(METADATA_KEY)
    kind = _KIND_OF_TYPE.get(layer_type) if known is None else type(known)
    if kind is None or kind not in FROM_LAYER:
        raise DataError(
            f"The layer {attributes.get('name', '')!r} of type {layer_type} holds nothing this plugin knows; "
            "choose an image, points or labels layer."
        )
    return FROM_LAYER[kind](data, attributes)


def tilt_series_to_layer(series: TiltSeries) -> LayerTuple:
    """Show a tilt series: slider along the tilts, all tilts at every resolution."""
    attributes = _attributes(series, f"{series.name} tilts", series.images.shape, series.pixel_ang, TILT_AXES)
    return _image(series.images, attributes, binned=(False, True, True))


def tilt_series_from_layer(data: Any, attributes: Mapping[str, Any]) -> TiltSeries:
    """Take the tilt series back; the images are those of the layer."""
    series: TiltSeries = attributes["metadata"][METADATA_KEY]  # nothing else knows the angles
    return series.replace(images=_finest(data))


def raw_stack_to_layer(raw: RawStack) -> LayerTuple:
    """Show a stack that does not say enough to be a tilt series; without a pixel size it counts in pixels."""
    attributes = _attributes(raw, f"{raw.name} stack", raw.images.shape, raw.pixel_ang or 1.0, TILT_AXES)
    if raw.pixel_ang is None:
        attributes["units"] = ("pixel",) * 3
    return _image(raw.images, attributes, binned=(False, True, True))


def raw_stack_from_layer(data: Any, attributes: Mapping[str, Any]) -> RawStack:
    """Take the stack back; the images are those of the layer."""
    raw: RawStack = attributes["metadata"][METADATA_KEY]
    return raw.replace(images=_finest(data))


def tomogram_to_layer(tomogram: Tomogram) -> LayerTuple:
    """Show a tomogram; in 3-D dense matter stands out whichever sign it has."""
    name = " ".join(filter(None, (tomogram.name, tomogram.half)))
    attributes = _attributes(tomogram, name, tomogram.volume.shape, tomogram.voxel_ang, SPECIMEN_AXES)
    attributes["translate"] = tuple(np.add(attributes["translate"], tomogram.origin_ang_zyx).tolist())
    attributes["rendering"] = "minip" if tomogram.contrast == "dark" else "mip"
    return _image(tomogram.volume, attributes, binned=(True, True, True))


def tomogram_from_layer(data: Any, attributes: Mapping[str, Any]) -> Tomogram:
    """Take the tomogram back, or make one of any image layer that has a scale in Å."""
    known = attributes.get("metadata", {}).get(METADATA_KEY)
    if isinstance(known, Tomogram):
        return known.replace(volume=_finest(data))
    return Tomogram(name=attributes.get("name", ""), volume=_finest(data), voxel_ang=_voxel_ang(attributes))


def particles_to_layer(particles: ParticleSet, grid_ang: float = 1.0) -> LayerTuple:
    """Show particles as rings whose colour tells the class.

    Parameters
    ----------
    particles : ParticleSet
    grid_ang : float
        Length of one unit of the layer's data, Å; the voxel size of the tomogram shown with them, so
        that the sliders keep stepping by voxels.
    """
    columns: dict[str, Any] = {
        name + _FOREIGN if name in _COLUMNS else name: column for name, column in particles.features.items()
    }
    columns |= {name: read(particles) for name, read in _COLUMNS.items()}
    return (
        particles.centers_ang_zyx / grid_ang,
        {
            "name": _particles_name(particles),
            "scale": (grid_ang,) * 3,
            "units": ("angstrom",) * 3,
            "axis_labels": SPECIMEN_AXES,
            "metadata": {METADATA_KEY: particles},
            "features": columns,
            "feature_defaults": _new_particle(columns),
            "size": PARTICLE_SIZE_ANG / grid_ang,
            "face_color": "transparent",
            "border_color": "class",
            "border_color_cycle": ["#ffd24d", "#4dc3ff", "#ff6f91", "#7ddc6a", "#c79bff", "#ff9f43"],
            "border_width": 0.05,
            "projection_mode": "rescale_spherical",
            "blending": "translucent_no_depth",
        },
        "points",
    )


def particles_from_layer(data: Any, attributes: Mapping[str, Any]) -> ParticleSet:
    """Take the particles back as they now are: moved, added and deleted ones included."""
    centers = np.asarray(data, np.float64).reshape(-1, 3) * attributes["scale"] + attributes.get("translate", 0.0)
    if METADATA_KEY not in attributes.get("metadata", {}):
        _voxel_ang(attributes)
        return ParticleSet(centers_ang_zyx=centers)
    known: ParticleSet = attributes["metadata"][METADATA_KEY]
    columns = {str(name): np.asarray(column) for name, column in dict(attributes["features"]).items()}
    foreign = {
        name: columns[name + _FOREIGN if name in _COLUMNS else name].astype(column.dtype)
        for name, column in known.features.items()
    }
    return known.replace(
        centers_ang_zyx=centers,
        quaternions_xyzw=np.stack([columns[name] for name in _QUATERNION], axis=1).astype(np.float64),
        tomogram=columns["tomogram"].astype(np.str_),
        ids=_unique_ids(columns["id"].astype(np.int64)),
        class_ids=columns["class"].astype(np.int64),
        half=columns["half"].astype(np.int64),
        score=columns["score"].astype(np.float64),
        features=foreign,
    )


def orientations_to_layer(particles: ParticleSet, grid_ang: float = 1.0) -> LayerTuple:
    """Show how particles are turned: their x, y and z axes as red, green and blue arrows."""
    axes_zyx = particles.matrices.transpose(0, 2, 1)[:, :, ::-1]  # (particles, axis of the reference, zyx)
    starts = np.broadcast_to(particles.centers_ang_zyx[:, None], axes_zyx.shape)
    arrows = np.stack([starts, axes_zyx * _ARROW_LENGTH_ANG], axis=2).reshape(-1, 2, 3)
    return (
        arrows / grid_ang,
        {
            "name": f"{_particles_name(particles)} orientations",
            "scale": (grid_ang,) * 3,
            "units": ("angstrom",) * 3,
            "axis_labels": SPECIMEN_AXES,
            "features": {"axis": np.tile(np.array(["x", "y", "z"]), len(particles))},
            "edge_color": "axis",
            "edge_color_cycle": ["#ff5555", "#55dd55", "#5599ff"],
            "edge_width": _ARROW_LENGTH_ANG / 15 / grid_ang,
            "vector_style": "arrow",
            "projection_mode": "fade",
            "blending": "translucent_no_depth",
        },
        "vectors",
    )


def labels_to_layer(labels: Labels) -> LayerTuple:
    """Show a segmentation; it is loaded, so that it can be painted on."""
    volume = np.array(labels.volume)
    attributes = _attributes(labels, f"{labels.name} labels", volume.shape, labels.voxel_ang, SPECIMEN_AXES)
    attributes["features"] = {"index": list(labels.names), "name": list(labels.names.values())}
    return volume, attributes, "labels"


def labels_from_layer(data: Any, attributes: Mapping[str, Any]) -> Labels:
    """Take the segmentation back as painted, or make one of any labels layer that has a scale in Å."""
    known = attributes.get("metadata", {}).get(METADATA_KEY)
    if isinstance(known, Labels):
        return known.replace(volume=_finest(data))
    return Labels(name=attributes.get("name", ""), volume=_finest(data), voxel_ang=_voxel_ang(attributes))


def map_to_layer(shown: DensityMap | FinishedMap) -> LayerTuple:
    """Show the map of a particle, its centre at the origin."""
    attributes = _attributes(shown, f"{shown.name} map", shown.volume.shape, shown.voxel_ang, SPECIMEN_AXES)
    attributes["rendering"] = "minip" if isinstance(shown, DensityMap) and shown.contrast == "dark" else "mip"
    return _image(shown.volume, attributes, binned=(True, True, True))


def map_from_layer(data: Any, attributes: Mapping[str, Any]) -> DensityMap | FinishedMap:
    """Take the map back; the voxels are those of the layer."""
    known: DensityMap | FinishedMap = attributes["metadata"][METADATA_KEY]
    return known.replace(volume=_finest(data))


def subtilts_to_layer(subtilts: SubtiltSet) -> LayerTuple:
    """Show what was cut out around particles one after the other: images, or the planes of volumes."""
    stack: Any = subtilts.volumes if subtilts.images is None else subtilts.images
    names = sorted({str(name) for name in subtilts.particles.species} - {""})
    attributes = _attributes(subtilts, " ".join([*names, "cut out"]), stack.shape, subtilts.pixel_ang, TILT_AXES)
    return _image(stack, attributes, binned=(False, True, True))


def subtilts_from_layer(data: Any, attributes: Mapping[str, Any]) -> SubtiltSet:
    """Take the set back; what was cut out is that of the layer."""
    known: SubtiltSet = attributes["metadata"][METADATA_KEY]
    shown = "volumes" if known.images is None else "images"
    return known.replace(**{shown: _finest(data)})


TO_LAYER: Mapping[type, Callable[[Any], LayerTuple]] = {
    RawStack: raw_stack_to_layer,
    TiltSeries: tilt_series_to_layer,
    Movies: tilt_series_to_layer,  # sums of frames as recorded, made when they come into view
    Tomogram: tomogram_to_layer,
    ParticleSet: particles_to_layer,
    Labels: labels_to_layer,
    DensityMap: map_to_layer,
    FinishedMap: map_to_layer,
    SubtiltSet: subtilts_to_layer,
}

FROM_LAYER: Mapping[type, Callable[[Any, Mapping[str, Any]], Noun]] = {
    RawStack: raw_stack_from_layer,
    TiltSeries: tilt_series_from_layer,
    Movies: tilt_series_from_layer,
    Tomogram: tomogram_from_layer,
    ParticleSet: particles_from_layer,
    Labels: labels_from_layer,
    DensityMap: map_from_layer,
    FinishedMap: map_from_layer,
    SubtiltSet: subtilts_from_layer,
}

_KIND_OF_TYPE = {"image": Tomogram, "points": ParticleSet, "labels": Labels}

_QUATERNION = ("qx", "qy", "qz", "qw")

_NEW = {"id": 0, "tomogram": "", "class": "0", "half": 0, "score": np.nan, "qx": 0.0, "qy": 0.0, "qz": 0.0, "qw": 1.0}
_LIKE_THE_LAST = ("tomogram", "class")

_COLUMNS: Mapping[str, Callable[[ParticleSet], NDArray[Any]]] = {
    "id": lambda particles: particles.ids,
    "tomogram": lambda particles: particles.tomogram,
    "class": lambda particles: particles.class_ids.astype(np.str_),  # as numbers they would be a colour scale
    "half": lambda particles: particles.half,
    "score": lambda particles: particles.score,
    **{
        name: lambda particles, column=column: particles.quaternions_xyzw[:, column]  # type: ignore[misc]
        for column, name in enumerate(_QUATERNION)
    },
}


def contrast_limits(array: Array) -> tuple[float, float]:
    """Estimate a range of grey values from a few planes, never from the whole.

    The middle of the image counts: borders are often padding. Half a percent at either end is left
    out, so gold and hot pixels do not flatten the rest.
    """
    n, ny, nx = array.shape
    planes = np.unique(np.linspace(0.2 * (n - 1), 0.8 * (n - 1), _SAMPLED_PLANES).round().astype(int))
    step = max(1, int(np.sqrt(ny * nx / _SAMPLED_PER_PLANE)))
    rows, columns = (slice(size // 8, size - size // 8, step) for size in (ny, nx))
    sample = np.concatenate([np.asarray(array[int(plane)], np.float32)[rows, columns].ravel() for plane in planes])
    sample = sample[np.isfinite(sample)]
    low, high = np.percentile(sample, (0.5, 99.5)) if len(sample) else (0.0, 1.0)
    return (float(low), float(high)) if high > low else (float(low), float(low) + 1.0)


def _image(array: Array, attributes: dict[str, Any], binned: tuple[bool, bool, bool]) -> LayerTuple:
    levels = pyramid(array, binned)
    attributes |= {
        "contrast_limits": contrast_limits(array),
        "multiscale": len(levels) > 1,
        "colormap": "gray",
        "interpolation2d": "linear",
        "projection_mode": "none",  # particles open a slab; the image stays the one plane in view
    }
    return (levels if len(levels) > 1 else levels[0]), attributes, "image"


def _attributes(
    noun: Noun, name: str, shape: tuple[int, ...], voxel_ang: float, axes: tuple[str, str, str]
) -> dict[str, Any]:
    """Put the middle voxel of an array at the origin of the world; tilts are counted from 0."""
    corner = tuple(-voxel_ang * (n // 2) for n in shape)
    return {
        "name": name,
        "scale": (voxel_ang,) * 3,
        "translate": (0.0, *corner[1:]) if axes == TILT_AXES else corner,
        "units": ("angstrom",) * 3,
        "axis_labels": axes,
        "metadata": {METADATA_KEY: noun},
    }


def _finest(data: Any) -> Any:
    """Take the array itself out of what may be a pyramid."""
    finest = data[0] if hasattr(data, "shapes") or isinstance(data, list | tuple) else data
    return finest.source if isinstance(finest, Level) else finest


def _voxel_ang(attributes: Mapping[str, Any]) -> float:
    """Read the voxel size from scale and units of a layer; refuse one that has none."""
    unit = str(tuple(attributes.get("units") or ("pixel",))[-1])
    scale = float(tuple(attributes.get("scale", (1.0,)))[-1])
    if unit not in _PER_ANGSTROM:
        raise DataError(
            f"The layer {attributes.get('name', '')!r} has its scale in {unit}; "
            "set its units to angstrom and its scale to the voxel size."
        )
    return scale * _PER_ANGSTROM[unit]


def _particles_name(particles: ParticleSet) -> str:
    return " ".join([*sorted({str(name) for name in particles.tomogram} - {""}), "particles"])


def _new_particle(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Say what a particle added by hand is: in the same tomogram and of the same class as the last, not turned yet."""
    last = {name: column[-1] for name, column in columns.items() if len(column)}
    return last | _NEW | {name: last[name] for name in _LIKE_THE_LAST if name in last}


def _unique_ids(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give points copied from others, which carry their ids, new ones of their own."""
    _, first = np.unique(ids, return_index=True)
    copied = np.setdiff1d(np.arange(len(ids)), first)
    unique = ids.copy()
    unique[copied] = ids.max(initial=-1) + 1 + np.arange(len(copied))
    return unique
