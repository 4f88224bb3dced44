"""The pose of each image of a particle by itself: from the known one and random ones beside it, from coarse to fine.

How far images stray is learned from them: the variance of what is found and the variance that the images leave open
add up to that of the spread, if it is right (expectation maximisation). Images that tell nothing stay where they are.

Legend: P particles, T tilts, K poses tried, S images that show something.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.images import ParticleImages
from napari_tomoflow.core.averaging.samples import Samples
from napari_tomoflow.core.averaging.search import Reference
from napari_tomoflow.core.kernels.subtilts import polish_subtilts
from napari_tomoflow.core.ops.poses import matrices_from_quaternions

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_FEWER = 3
"""Of so many poses tried at one resolution the best goes on to the next."""


@dataclass(frozen=True)
class Spread:
    """How far the images of a particle stray from its pose: standard deviations along and about each axis.

    Attributes
    ----------
    turn_deg, shift_ang : float
    """

    turn_deg: float
    shift_ang: float


@dataclass(frozen=True)
class SubtiltPlan:
    """How the poses of single images are looked for.

    Attributes
    ----------
    radii : tuple of float
        Frequencies compared, in steps of the box, from coarse to fine.
    spread : Spread
    tries : int
        Poses climbed from: the known one and random ones.
    seed : int
        Of the latter.
    """

    radii: tuple[float, ...]
    spread: Spread
    tries: int
    seed: int


@dataclass(frozen=True, eq=False)
class FoundSubtilts:
    """Where the images of some particles are found. What shows nothing stays where it was.

    Attributes
    ----------
    rotations : float64[P, T, 3, 3]
        R, from the tomogram to the image.
    shift_ang_yx : float64[P, T, 2]
        From the centre of the image.
    agreement, power : float64[P, T]
        Σ Re D* M and Σ P |M|² of `kernels.poses`.
    shown : bool[P, T]
        Images that were compared.
    moved : float64[2]
        Summed squares of turns in radians and of shifts in Å along one axis, with what remains open of both.
    """

    rotations: Floats
    shift_ang_yx: Floats
    agreement: Floats
    power: Floats
    shown: NDArray[np.bool_]
    moved: Floats


def search_subtilts(
    images: ParticleImages, matrices: Floats, ids: Indices, reference: Reference, plan: SubtiltPlan
) -> FoundSubtilts:
    """Find the pose of each image of some particles of known poses.

    Parameters
    ----------
    images : ParticleImages
    matrices : float64[P, 3, 3]
        A.
    ids : int64[P]
        Of the particles: whoever else is in the batch, each tries the same poses.
    reference : Reference
    plan : SubtiltPlan
    """
    samples = Samples.of(images, plan.radii[-1])
    shown = images.visible & (samples.power > 0).any(axis=-1)
    axes = images.axes(matrices)[shown]
    width_ang = reference.grid.box_px * reference.grid.scale * images.pixel_ang
    spreads = np.array([np.deg2rad(plan.spread.turn_deg), plan.spread.shift_ang / width_ang])
    poses = _tries(shown, ids, spreads, plan)
    scaled = (axes * np.float32(reference.grid.scale))[:, None]
    values, power = samples.values[shown][:, None], samples.power[shown][:, None]
    for radius in plan.radii:
        found = np.empty((*poses.shape[:2], 5))
        places = samples.places[: samples.count_within(radius)]
        polish_subtilts(poses, found, reference.cube_rft, values, power, scaled, places, spreads)
        best = np.argsort(-found[..., 0], axis=1, kind="stable")[:, : -(-poses.shape[1] // _FEWER)]
        poses = np.take_along_axis(poses, best[..., None, None], axis=1)
        found = np.take_along_axis(found, best[..., None], axis=1)
    return _placed(images, matrices, shown, poses[:, 0], found[:, 0], width_ang)


def _tries(shown: NDArray[np.bool_], ids: Indices, spreads: Floats, plan: SubtiltPlan) -> Floats:
    """Draw the poses to climb from, the known one first: float64[S, K, 3, 4]."""
    shape = (shown.shape[1], plan.tries - 1, 6)
    random = np.stack([np.random.default_rng([plan.seed, abs(int(one))]).standard_normal(shape) for one in ids])
    away = random[shown] * np.repeat(spreads, 3)
    poses = np.zeros((len(away), plan.tries, 3, 4))
    poses[:, 0, :, :3] = np.eye(3)
    halves = np.concatenate([away[..., :3] / 2, np.ones((*away.shape[:2], 1))], axis=-1)
    poses[:, 1:, :, :3] = matrices_from_quaternions(halves.reshape(-1, 4)).reshape(*away.shape[:2], 3, 3)
    poses[:, 1:, :, 3] = away[..., 3:]
    return poses


def _placed(
    images: ParticleImages, matrices: Floats, shown: NDArray[np.bool_], poses: Floats, found: Floats, width_ang: float
) -> FoundSubtilts:
    """Say in the frame of the tomogram and its images what was found in that of the map."""
    turned, shift_ang = poses[..., :3], poses[..., 3] * width_ang
    known = np.broadcast_to(matrices[:, None], images.rotations.shape)[shown]
    rotations, shift_ang_yx = images.rotations.copy(), np.zeros((*shown.shape, 2))
    # With x_map = Bᵀ Aᵀ x_tomogram the image sees the particle as if its own rotation were R A B Aᵀ.
    rotations[shown] = images.rotations[shown] @ known @ turned @ np.swapaxes(known, -1, -2)
    axes = (images.rotations[shown] @ known)[:, 1::-1]
    shift_ang_yx[shown] = np.einsum("sij,sj->si", axes, shift_ang)
    agreement, power = np.zeros(shown.shape), np.zeros(shown.shape)
    agreement[shown], power[shown] = found[:, 1], found[:, 2]
    turn_rad = np.arccos(np.clip((np.trace(turned, axis1=-2, axis2=-1) - 1.0) / 2.0, -1.0, 1.0))
    moved = np.array(
        [
            np.sum(turn_rad**2 / 3.0 + found[:, 3]),
            np.sum(np.sum(shift_ang_yx[shown] ** 2, axis=-1) / 2.0 + found[:, 4] * width_ang**2),
        ]
    )
    return FoundSubtilts(rotations, shift_ang_yx, agreement, power, shown, moved)
