"""Surfaces of averages as triangles, set down at poses, and hit by rays.

Legend: P particles, V corners and F faces of one mesh.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.mapping_back.references import reference_of
from napari_tomoflow.core.model import DensityMap

Reals = NDArray[np.float32]
Faces = NDArray[np.int32]


@dataclass(frozen=True)
class Mesh:
    """The surface of an average in the frame of the particle.

    Attributes
    ----------
    corners_ang_zyx : float32[V, 3]
        From the centre of the particle.
    faces : int32[F, 3]
    """

    corners_ang_zyx: Reals
    faces: Faces

    @property
    def reach_ang(self) -> float:
        """Radius of the ball about the centre that holds it."""
        return float(np.linalg.norm(self.corners_ang_zyx, axis=1).max())


def mesh_of(density: DensityMap, level: float, voxel_ang: float, n_faces: int) -> Mesh:
    """Draw the surface of a map at a level, with at most so many faces.

    Parameters
    ----------
    density : DensityMap
    level : float
        In the units of the map.
    voxel_ang : float
        Detail finer than this is left out.
    n_faces : int
    """
    from skimage.measure import marching_cubes

    reference = reference_of(density, voxel_ang, level)
    corners, faces, _, _ = marching_cubes(reference.volumes[0], 1.0)
    middle = reference.volumes.shape[1] // 2
    mesh = Mesh(((corners - middle) * reference.voxel_ang).astype(np.float32), faces.astype(np.int32))
    cell_ang = reference.voxel_ang
    thinner = mesh
    while len(thinner.faces) > n_faces:
        # Faces go with the square of the cell; a little more each time, or the last few would take many rounds.
        cell_ang *= max(1.05, float(np.sqrt(len(thinner.faces) / n_faces)))
        thinner = thinned(mesh, cell_ang)
    return thinner


def thinned(mesh: Mesh, cell_ang: float) -> Mesh:
    """Let all corners within a cell of a cubic grid become one, in their middle; faces without area go."""
    cells = np.floor(mesh.corners_ang_zyx / cell_ang).astype(np.int64)
    _, which, count = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    which = which.reshape(-1)
    sums = [np.bincount(which, mesh.corners_ang_zyx[:, axis]) for axis in range(3)]
    faces = which[mesh.faces]
    has_area = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    # The same three corners may be left of several faces: they are one.
    _, first = np.unique(np.sort(faces[has_area], axis=1), axis=0, return_index=True)
    kept = faces[has_area][np.sort(first)]
    return Mesh((np.stack(sums, axis=1) / count[:, None]).astype(np.float32), kept.astype(np.int32))


def placed_mesh(mesh: Mesh, centers_ang_zyx: NDArray[np.float64], matrices: NDArray[np.float64]) -> Mesh:
    """Join copies of a mesh at poses into one, particle after particle.

    Parameters
    ----------
    mesh : Mesh
    centers_ang_zyx : float64[P, 3]
    matrices : float64[P, 3, 3]
        Pose A of each, ``x_tomo = A · x_ref``.
    """
    turned = np.einsum("vj,pij->pvi", mesh.corners_ang_zyx[:, ::-1], matrices.astype(np.float32))[..., ::-1]
    corners = (turned + centers_ang_zyx[:, None].astype(np.float32)).reshape(-1, 3)
    first = len(mesh.corners_ang_zyx) * np.arange(len(centers_ang_zyx), dtype=np.int32)
    return Mesh(corners, (mesh.faces + first[:, None, None]).reshape(-1, 3))


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Join meshes into one."""
    first = np.cumsum([0, *(len(mesh.corners_ang_zyx) for mesh in meshes)])[:-1]
    return Mesh(
        np.concatenate([mesh.corners_ang_zyx for mesh in meshes]),
        np.concatenate([mesh.faces + np.int32(start) for mesh, start in zip(meshes, first, strict=True)]),
    )


def first_hit(mesh: Mesh, origin_zyx: NDArray[np.float64], direction_zyx: NDArray[np.float64]) -> float:
    """Return how far along a ray it first meets a mesh; infinity where it passes by.

    Parameters
    ----------
    mesh : Mesh
    origin_zyx, direction_zyx : float64[3]
        The ray may meet the mesh behind its origin: a viewer's rays begin anywhere.
    """
    a, b, c = (mesh.corners_ang_zyx[mesh.faces[:, at]].astype(np.float64) for at in range(3))
    along_b, along_c = b - a, c - a
    across = np.cross(direction_zyx, along_c)
    volume = np.einsum("fi,fi->f", along_b, across)
    with np.errstate(divide="ignore", invalid="ignore"):
        share_b = np.einsum("fi,fi->f", origin_zyx - a, across) / volume
        across = np.cross(origin_zyx - a, along_b)
        share_c = np.einsum("i,fi->f", direction_zyx, across) / volume
        along = np.einsum("fi,fi->f", along_c, across) / volume
        meets = (share_b >= 0) & (share_c >= 0) & (share_b + share_c <= 1)
    return float(along[meets].min(initial=np.inf))
