"""Taking out particles: too close, alone, weak, or on the wrong side. Every function says which stay.

Legend: P particles.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes
from scipy.spatial import KDTree

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.ops.geometry import pixels_from_ang
from napari_tomoflow.core.ops.spacing import spaced
from napari_tomoflow.core.picking.frames import unit

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def apart(centers_ang_zyx: Floats, distance_ang: float, score: Floats) -> Flags:
    """Keep the best of those closer to each other than a distance: bool[P].

    Parameters
    ----------
    centers_ang_zyx : float64[P, 3]
    distance_ang : float
    score : float64[P]
        Higher is better; NaN comes last, and among equals the first stays.
    """
    kept = np.zeros(len(centers_ang_zyx), bool)
    if len(kept):
        kept[spaced(centers_ang_zyx, distance_ang, np.argsort(-score, kind="stable"))] = True
    return kept


def good_enough(score: Floats, least: float) -> Flags:
    """Keep those whose score is known and at least `least`: bool[P].

    Raises
    ------
    DataError
        No particle has a score.
    """
    if len(score) and np.isnan(score).all():
        raise DataError(f"None of {len(score)} particles has a score to compare with {least:g}; leave min_score out.")
    return np.asarray(score >= least)


def count_neighbours(
    centers_ang_zyx: Floats,
    z_axes_zyx: Floats,
    distance_ang: float,
    tolerance: float = 0.3,
    angle_deg: float = 180.0,
) -> NDArray[np.int64]:
    """Count, for every particle, those at the distance of a lattice that point about the same way: int64[P].

    Parameters
    ----------
    centers_ang_zyx : float64[P, 3]
    z_axes_zyx : float64[P, 3]
        Which way each points.
    distance_ang : float
        Distance of neighbours in the lattice.
    tolerance : float
        Part of the distance by which it may be missed.
    angle_deg : float
        Largest angle between the directions of neighbours.
    """
    if not len(centers_ang_zyx):
        return np.zeros(0, np.int64)
    pairs = KDTree(centers_ang_zyx).query_pairs(distance_ang * (1.0 + tolerance), output_type="ndarray")
    ways = unit(z_axes_zyx)
    near = np.linalg.norm(centers_ang_zyx[pairs[:, 0]] - centers_ang_zyx[pairs[:, 1]], axis=1)
    cosine = np.sum(ways[pairs[:, 0]] * ways[pairs[:, 1]], axis=1)
    alike = (near >= distance_ang * (1.0 - tolerance)) & (cosine >= np.cos(np.deg2rad(angle_deg)) - 1e-9)
    return np.bincount(pairs[alike].ravel(), minlength=len(centers_ang_zyx))


def on_side(
    centers_ang_zyx: Floats, membrane_zyx: Flags, voxel_ang: float, side: Literal["inside", "outside"]
) -> Flags:
    """Keep particles on one side of segmented membranes: bool[P]. On the membrane itself is neither.

    Parameters
    ----------
    centers_ang_zyx : float64[P, 3]
        Å from the volume's centre; those beyond the volume count as outside.
    membrane_zyx : bool[nz, ny, nx]
    voxel_ang : float
    side

    Raises
    ------
    DataError
        The membranes surround nothing.

    Notes
    -----
    Inside is what a membrane surrounds in its own section: caps above and below are often missing, as the
    missing wedge hides them.
    """
    filled = np.stack([binary_fill_holes(section) for section in membrane_zyx])
    if np.array_equal(filled, membrane_zyx):
        raise DataError("The segmented membranes surround nothing in any section; close their outlines first.")
    index = np.rint(pixels_from_ang(centers_ang_zyx, voxel_ang, membrane_zyx.shape)).astype(int)
    within = np.all((index >= 0) & (index < membrane_zyx.shape), axis=1)
    place = tuple(np.clip(index, 0, np.array(membrane_zyx.shape) - 1).T)
    if side == "inside":
        return np.asarray(within & filled[place] & ~membrane_zyx[place])
    return np.asarray(~(within & filled[place]))


def inside_volume(centers_ang_zyx: Floats, shape_zyx: tuple[int, ...], voxel_ang: float, margin_ang: float) -> Flags:
    """Keep particles at least a margin from the border of a volume around the origin: bool[P]."""
    index = pixels_from_ang(centers_ang_zyx, voxel_ang, shape_zyx)
    margin = margin_ang / voxel_ang
    return np.asarray(np.all((index >= margin) & (index <= np.array(shape_zyx) - 1 - margin), axis=1))
