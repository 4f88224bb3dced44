"""Directions of space turned into poses: the particle's z-axis along a normal or a filament.

Directions are rows in the project's order (z, y, x), of any length; poses A are float64[P, 3, 3], acting on
(x, y, z). Only this module of the package knows what is left and right.

Legend: P particles.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.ops.geometry import rotation_z

Floats = NDArray[np.float64]

_PARALLEL = 0.99
"""Cosine beyond which a direction is no guide to what lies across another."""


def unit(vectors: ArrayLike) -> Floats:
    """Return vectors of length 1 along the last axis; zero stays zero."""
    vectors = np.asarray(vectors, np.float64)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.finfo(np.float64).tiny))


def across(directions_zyx: ArrayLike, guides_zyx: ArrayLike) -> Floats:
    """Return unit vectors perpendicular to each direction, as close to the first guide as can be.

    Parameters
    ----------
    directions_zyx : float64[P, 3]
    guides_zyx : float64[G, 3]
        Tried in this order: one that runs along the direction itself gives way to the next.
    """
    directions, guides = unit(directions_zyx), unit(guides_zyx)
    usable = np.abs(directions @ guides.T) < _PARALLEL
    guide = guides[usable.argmax(axis=1)]
    return unit(guide - np.sum(guide * directions, axis=1, keepdims=True) * directions)


def poses_along(z_axes_zyx: ArrayLike, x_guides_zyx: ArrayLike) -> Floats:
    """Build poses from where the particle's z-axis points, and about where its x-axis does.

    Parameters
    ----------
    z_axes_zyx : float64[P, 3]
    x_guides_zyx : float64[P, 3]
        Not along z; what of it lies across z becomes x.
    """
    z = unit(z_axes_zyx)[:, ::-1]
    guide = np.asarray(x_guides_zyx, np.float64)[:, ::-1]
    x = unit(guide - np.sum(guide * z, axis=1, keepdims=True) * z)
    return np.stack([x, np.cross(z, x), z], axis=2)


def spun(matrices: Floats, angle_deg: ArrayLike) -> Floats:
    """Turn particles about their own z-axes, by one angle each."""
    return matrices @ rotation_z(angle_deg)


def z_axes(matrices: Floats) -> Floats:
    """Return where the z-axis of every particle points, (z, y, x): float64[P, 3]."""
    return matrices[:, ::-1, 2]


def intrinsic_axes(points_zyx: Floats) -> Floats:
    """Return axes that belong to the points: rows from the longest to the shortest, turning with the points.

    Signs put the point farthest out on each axis on its positive side.
    """
    centred = points_zyx - points_zyx.mean(axis=0)
    return oriented(np.linalg.svd(centred, full_matrices=True)[2], centred)


def oriented(axes_zyx: Floats, centred_zyx: Floats) -> Floats:
    """Choose the signs of three perpendicular axes by the points, the third such that none is a mirror image."""
    along = centred_zyx @ axes_zyx.T
    farthest = along[np.abs(along).argmax(axis=0), range(3)]
    axes = axes_zyx * np.where(farthest < 0, -1.0, 1.0)[:, None]
    axes[2] = np.cross(axes[0], axes[1])
    return np.asarray(axes)
