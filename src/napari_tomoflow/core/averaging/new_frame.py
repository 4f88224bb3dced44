"""Maps and particles brought into a new frame; which symmetry is left there."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.symmetry_axis import Frame
from napari_tomoflow.core.model import DensityMap, ParticleSet
from napari_tomoflow.core.ops.poses import quaternions_from_matrices
from napari_tomoflow.core.ops.so3 import angular_distance_deg, symmetry_operators

Reals = NDArray[np.float32]

_SAME_AXES_DEG = 1.0


def mirrored(volume: Any) -> Reals:
    """Mirror a map at the plane z = 0 through its centre, voxel ``n // 2``: its other hand."""
    other = np.asarray(volume, np.float32)[::-1]
    return np.roll(other, 1 - len(other) % 2, axis=0)


def mirrored_map(density: DensityMap) -> DensityMap:
    """Mirror a map with its halves and its mask."""
    return _each(density, mirrored)


def map_in_frame(density: DensityMap, frame: Frame) -> DensityMap:
    """Turn and move a map with its halves and its mask, by cubic interpolation.

    Parameters
    ----------
    density : DensityMap
    frame : Frame
        In voxels of the map. A symmetry whose axes it moves away is one no more.
    """
    moved = _each(density, lambda volume: frame.seen(np.asarray(volume, np.float32)))
    mask = None if moved.mask is None else np.clip(np.asarray(moved.mask), 0.0, 1.0)
    symmetry = density.symmetry if keeps_axes(density.symmetry, frame) else "C1"
    return moved.replace(mask=mask, symmetry=symmetry)


def particles_in_frame(particles: ParticleSet, frame: Frame, voxel_ang: float) -> ParticleSet:
    """Let poses refer to a map that was brought into a frame: what they say of the tomogram stays the same."""
    matrices = particles.matrices
    shift_ang_xyz = matrices @ (frame.shift_px_xyz * voxel_ang)
    return particles.replace(
        centers_ang_zyx=particles.centers_ang_zyx + shift_ang_xyz[:, ::-1],
        quaternions_xyzw=quaternions_from_matrices(matrices @ frame.rotation),
    )


def keeps_axes(symmetry: str, frame: Frame) -> bool:
    """Tell whether the axes of a point group lie the same in the new frame."""
    operators = symmetry_operators(symmetry)
    there = frame.rotation.T @ operators @ frame.rotation
    return bool(angular_distance_deg(there[:, None], operators).min(axis=1).max() <= _SAME_AXES_DEG)


def _each(density: DensityMap, change: Any) -> DensityMap:
    halves = None if density.halves is None else (change(density.halves[0]), change(density.halves[1]))
    mask = None if density.mask is None else change(density.mask)
    return density.replace(volume=change(density.volume), halves=halves, mask=mask)
