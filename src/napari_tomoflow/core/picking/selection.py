"""Which particles stay, by everything a person asked for, and how many each reason took out."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import MissingError
from napari_tomoflow.core.model import Labels, ParticleSet, Tomogram
from napari_tomoflow.core.picking.chosen_labels import chosen_labels
from napari_tomoflow.core.picking.cleaning import apart, count_neighbours, good_enough, inside_volume, on_side
from napari_tomoflow.core.picking.frames import z_axes
from napari_tomoflow.core.picking.params import PickParams

Flags = NDArray[np.bool_]


def cleaned(
    particles: ParticleSet, params: PickParams, labels: Labels | None = None, tomogram: Tomogram | None = None
) -> tuple[ParticleSet, dict[str, int]]:
    """Take out particles one criterion after the other.

    Parameters
    ----------
    particles : ParticleSet
    params : PickParams
    labels : Labels, optional
        Needed where a side of its membranes is asked for.
    tomogram : Tomogram, optional
        Particles beyond it are taken out.

    Returns
    -------
    particles : ParticleSet
    removed : dict of str to int
        Reason → how many it took out, for every criterion that was asked for.

    Raises
    ------
    MissingError, DataError
        A criterion cannot be judged.
    """
    criteria: dict[str, Callable[[ParticleSet], Flags]] = {}
    if tomogram is not None:
        criteria["outside the tomogram"] = lambda given: _inside(given, params, tomogram)
    if params.min_score is not None:
        least = params.min_score
        criteria["score too low"] = lambda given: good_enough(given.score, least)
    if params.membrane_side != "any":
        criteria["wrong side of the membrane"] = lambda given: _on_side(given, params, labels)
    if params.closest_ang > 0.0:
        criteria["too close to another"] = lambda given: _by_tomogram(given, _apart, params)
    if params.min_neighbours:
        criteria["too few neighbours"] = lambda given: _by_tomogram(given, _accompanied, params)
    removed = {}
    for reason, stays in criteria.items():
        kept = stays(particles)
        removed[reason] = int(np.count_nonzero(~kept))
        particles = particles[kept]
    return particles, removed


def _inside(particles: ParticleSet, params: PickParams, tomogram: Tomogram) -> Flags:
    centers = particles.centers_ang_zyx - np.asarray(tomogram.origin_ang_zyx)
    return inside_volume(centers, tomogram.volume.shape, tomogram.voxel_ang, 10.0 * params.margin_nm)


def _on_side(particles: ParticleSet, params: PickParams, labels: Labels | None) -> Flags:
    if params.membrane_side == "any":
        return np.ones(len(particles), bool)
    if labels is None:
        raise MissingError(
            f"membrane_side {params.membrane_side} needs a segmentation of membranes; give --labels FILE."
        )
    volume = np.asarray(labels.volume[:])
    membrane = np.isin(volume, list(chosen_labels(labels, params.label, volume)))
    return on_side(particles.centers_ang_zyx, membrane, labels.voxel_ang, params.membrane_side)


def _by_tomogram(
    particles: ParticleSet, stays: Callable[[ParticleSet, PickParams], Flags], params: PickParams
) -> Flags:
    """Ask a question of each tomogram's particles alone."""
    kept = np.zeros(len(particles), bool)
    for name in np.unique(particles.tomogram):
        own = particles.tomogram == name
        kept[own] = stays(particles[own], params)
    return kept


def _apart(particles: ParticleSet, params: PickParams) -> Flags:
    return apart(particles.centers_ang_zyx, params.closest_ang, particles.score)


def _accompanied(particles: ParticleSet, params: PickParams) -> Flags:
    distance_ang = 10.0 * (params.neighbour_distance_nm or params.spacing_nm)
    count = count_neighbours(
        particles.centers_ang_zyx,
        z_axes(particles.matrices),
        distance_ang,
        params.neighbour_tolerance,
        params.neighbour_angle_deg,
    )
    return np.asarray(count >= params.min_neighbours)
