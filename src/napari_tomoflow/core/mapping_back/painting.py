"""Averages painted into the grid of a tomogram, and whose body each of its voxels belongs to."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import ParamError
from napari_tomoflow.core.kernels.placing import place_copies
from napari_tomoflow.core.mapping_back.references import Reference, stacked
from napari_tomoflow.core.model import ParticleSet, Tomogram
from napari_tomoflow.core.model.placement import LABEL
from napari_tomoflow.core.report import Report, watched
from napari_tomoflow.core.stage import Allocate

Floats = NDArray[np.float64]

_VOXELS_AT_ONCE = 2**22


def paint(
    tomogram: Tomogram,
    particles: ParticleSet,
    references: Mapping[str, Reference],
    is_sum: bool,
    report: Report,
    allocate: Allocate,
) -> tuple[NDArray[Any], NDArray[Any], int]:
    """Fill the painted and the labelled volume slab by slab, and count the voxels within surfaces.

    Parameters
    ----------
    tomogram : Tomogram
        Of which only the grid counts.
    particles : ParticleSet
        With their species and their labels.
    references : mapping of str to Reference
        Species → what is painted of it.
    is_sum : bool
        Whether densities of averages that overlap add up.
    report, allocate
        See `core.report` and `core.stage`.
    """
    shape = tuple(tomogram.volume.shape)
    label_of = np.concatenate([[0], np.asarray(particles.features[LABEL])])
    if label_of.max() > np.iinfo(np.uint16).max:
        raise ParamError(f"label_by particle cannot count {len(particles)} particles; label by class or species.")
    label_type = np.int16 if label_of.max() <= np.iinfo(np.int16).max else np.uint16
    painted, labels = allocate("painted", shape, np.float32), allocate("labels", shape, label_type)
    volumes, kinds, turns = _copies(tomogram, particles, references)
    centres = (particles.centers_ang_zyx - tomogram.origin_ang_zyx) / tomogram.voxel_ang + np.array(shape) // 2
    within, planes = 0, max(1, _VOXELS_AT_ONCE // (shape[1] * shape[2]))
    for first in watched(range(0, shape[0], planes), report, "Placing averages"):
        slab = np.empty((min(planes, shape[0] - first), *shape[1:]), np.float32)
        owners = np.empty(slab.shape, np.int32)
        place_copies(slab, owners, volumes, kinds, centres - [first, 0, 0], turns, is_sum)
        painted[first : first + planes] = slab
        labels[first : first + planes] = label_of[owners + 1]
        within += int(np.count_nonzero(slab >= 1.0))
    return painted, labels, within


def _copies(
    tomogram: Tomogram, particles: ParticleSet, references: Mapping[str, Reference]
) -> tuple[NDArray[np.float32], NDArray[np.int64], Floats]:
    """Lay out what the kernel copies: all references, which of them each particle is, and how it is turned."""
    kinds = np.array([list(references).index(name) for name in particles.species], np.int64)
    finer = np.array([tomogram.voxel_ang / one.voxel_ang for one in references.values()])[kinds]
    turns = finer[:, None, None] * np.swapaxes(particles.matrices, 1, 2)[:, ::-1, ::-1]
    return stacked(list(references.values())), kinds, np.ascontiguousarray(turns)
