"""From points or a segmentation to picks: shape after shape, with a record of each."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_tomoflow.core.errors import TomoflowError
from napari_tomoflow.core.model import Labels, ParticleSet
from napari_tomoflow.core.model.particle_set import SPECIES
from napari_tomoflow.core.ops.poses import quaternions_from_matrices
from napari_tomoflow.core.picking.anchors import sorted_anchors
from napari_tomoflow.core.picking.chosen_labels import chosen_labels
from napari_tomoflow.core.picking.fitting import fit_places
from napari_tomoflow.core.picking.from_labels import MODEL, segmented_places
from napari_tomoflow.core.picking.params import PickParams
from napari_tomoflow.core.picking.places import Places
from napari_tomoflow.core.picking.segmented import find_objects
from napari_tomoflow.core.picking.verdict import evenness, fit_record, fit_warnings
from napari_tomoflow.core.report import Report, part


def pick_on_shapes(points: ParticleSet, params: PickParams, report: Report) -> ParticleSet:
    """Fit a shape to every group of points and pick on it.

    Returns
    -------
    ParticleSet
        ``quality``: ``models``, a record of each shape, and ``warnings``.

    Raises
    ------
    TomoflowError
        Not one shape can be fitted.
    """
    shapes = sorted_anchors(points)
    places, records, warnings, failures = [], [], [], []
    seeds = np.random.SeedSequence(params.seed).spawn(len(shapes))
    for index, (anchors, seed) in enumerate(zip(shapes, seeds, strict=True)):
        share = part(report, index, len(shapes))
        share(0, 1, f"Fitting {anchors.name}")
        rng = np.random.default_rng(seed)
        try:
            found, fitted = fit_places(anchors, params, rng, share)
        except TomoflowError as error:
            failures.append(error)
            warnings.append(f"{anchors.name} of {anchors.tomogram or 'the tomogram'} is left out: {error}")
            continue
        records.append(fit_record(anchors, fitted, found))
        warnings += fit_warnings(anchors, fitted, params)
        places.append(_labelled(_posed(found, params, rng), anchors.tomogram, anchors.species, anchors.model, params))
    if not places:
        raise failures[0]
    return _joined(places, {"models": records, "warnings": warnings})


def pick_on_segments(labels: Labels, params: PickParams, report: Report) -> ParticleSet:
    """Pick on the objects of a segmentation, label after label.

    Returns
    -------
    ParticleSet
        ``quality``: ``models``, a record of each label, and ``warnings``.

    Raises
    ------
    MissingError, DataError, ParamError
        There is no such label, or nothing that can be picked on.
    """
    volume = np.asarray(labels.volume[:])
    wanted = chosen_labels(labels, params.label, volume)
    seeds = np.random.SeedSequence(params.seed).spawn(len(wanted))
    largest_ang = np.inf if params.max_size_nm is None else 10.0 * params.max_size_nm
    expected_ang = None if params.blob_diameter_nm is None else 10.0 * params.blob_diameter_nm
    places, records, warnings = [], [], []
    for index, ((value, name), seed) in enumerate(zip(wanted.items(), seeds, strict=True)):
        share = part(report, index, len(wanted))
        share(0, 1, f"Looking at {name}")
        rng = np.random.default_rng(seed)
        objects = find_objects(volume == value, labels.voxel_ang, 10.0 * params.min_size_nm, largest_ang, expected_ang)
        found, left_out = segmented_places(objects, labels.voxel_ang, params, rng, share)
        warnings += [f"{name} of {labels.name}: {reason}" for reason in left_out]
        records.append({"tomogram": labels.name, "species": name, "objects": len(objects.diameter_ang)})
        records[-1] |= evenness(found.centers_ang_zyx)
        if not len(found):
            warnings.append(f"{name} of {labels.name} has no object between min_size_nm and max_size_nm.")
        places.append(_labelled(_posed(found, params, rng), labels.name, name, None, params))
    return _joined(places, {"models": records, "warnings": warnings})


def _posed(places: Places, params: PickParams, rng: np.random.Generator) -> Places:
    """Shift and turn places as asked."""
    shapeless = params.model == "segmented-blobs" and params.orientation == "auto"
    if params.orientation == "none" or shapeless:
        places = replace(places, matrices=np.broadcast_to(np.eye(3), places.matrices.shape))
    places = places.moved(10.0 * params.offset_nm)
    helix = params.model == "filament" and (params.twist_deg != 0.0 or params.radius_nm > 0.0)
    told = helix or params.model == "lattice" or params.orientation == "none" or shapeless
    follows = params.spin == "shape" or (params.spin == "auto" and told)
    return places if follows else places.spun(rng.uniform(-180.0, 180.0, len(places)))


def _labelled(
    places: Places, tomogram: str, species: str, model: int | str | None, params: PickParams
) -> tuple[Places, str]:
    """Write down which shape places are of; None where the places tell it themselves."""
    columns: dict[str, Any] = {SPECIES: np.full(len(places), params.species or species)}
    if model is not None:
        columns[MODEL] = np.full(len(places), model)
    return replace(places, features={**columns, **places.features}), tomogram


def _joined(parts: Sequence[tuple[Places, str]], quality: dict[str, Any]) -> ParticleSet:
    """Make one set of particles of all places."""
    matrices = np.concatenate([places.matrices for places, _ in parts])
    names = parts[0][0].features
    return ParticleSet(
        centers_ang_zyx=np.concatenate([places.centers_ang_zyx for places, _ in parts]),
        quaternions_xyzw=quaternions_from_matrices(matrices),
        tomogram=np.concatenate([np.full(len(places), tomogram) for places, tomogram in parts]),
        features={name: np.concatenate([places.features[name] for places, _ in parts]) for name in names},
        quality=quality,
    )
