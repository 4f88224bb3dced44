"""How Warp and M bend a specimen over its exposure, and what that is in our terms.

Before a point p of the volume is turned, Warp moves it by ``W(p, dose)``, read linearly off nodes that are spread
evenly from face to face of the volume and from the least to the largest exposure. We displace what is seen at (u, v),
and what lies higher by more of it: ``D2 = nodes + z · slopes``. The shortest W that is seen as such a displacement lies
in the plane of the image::

    W_i(p) = −R_iᵀ D2_i(u, v, z)                  D2_i = −(R_i W_i)_uv
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model import Alignment, Deformation

Floats = NDArray[np.float64]

_HEIGHTS = 9
"""Heights at which a bending is looked at to find how it changes with height."""

_FINER, _MOST_NODES, _LAYERS = 4, 13, 5
"""Nodes for each of ours along an image, at most in a row, and over the height: straight lines run between them."""

_EXACT_STEPS = 4
"""Nodes over the exposure at most, for each tilt."""

_NEAR = 1e-3


@dataclass(frozen=True, eq=False)
class VolumeWarp:
    """Warp's bending of a volume.

    Attributes
    ----------
    nodes_ang : float64[duration, depth, height, width, 3]
        W at the nodes, (x, y, z) in Å.
    volume_ang_xyz : tuple of float
        Size of the volume the nodes are spread over.
    dose_e_ang2 : float64[N]
        Exposure of each tilt as Warp has it.
    """

    nodes_ang: Floats
    volume_ang_xyz: tuple[float, float, float]
    dose_e_ang2: Floats

    @property
    def is_uniform(self) -> bool:
        """Whether all places of the volume are moved alike."""
        return max(map(int, self.nodes_ang.shape[1:4])) == 1

    def moves_ang(self, tilt: int, points_ang_xyz: Floats) -> Floats:
        """Return W of one tilt at some points, Å from the volume's centre: float64[..., 3] of at least two axes."""
        from scipy.ndimage import map_coordinates

        n_zyx = np.array(self.nodes_ang.shape[1:4])
        at_xyz = np.clip(points_ang_xyz / self.volume_ang_xyz + 0.5, 0.0, 1.0)
        places = np.moveaxis(at_xyz[..., ::-1] * (n_zyx - 1), -1, 0)
        span = np.ptp(self.dose_e_ang2)
        passed = (self.dose_e_ang2[tilt] - self.dose_e_ang2.min()) / span if span else 0.0
        time = np.full((1, *places.shape[1:]), passed * (len(self.nodes_ang) - 1))
        coordinates = np.concatenate([time, places])
        return np.stack([map_coordinates(self.nodes_ang[..., axis], coordinates, order=1) for axis in range(3)], -1)


def warp_of_slopes(
    alignment: Alignment, volume_ang_xyz: tuple[float, float, float], dose_e_ang2: Floats
) -> VolumeWarp | None:
    """Make the bending that lies higher parts of a specimen aside as `Deformation.slopes_yx` says.

    Parameters
    ----------
    alignment : Alignment
        With slopes.
    volume_ang_xyz : tuple of float
    dose_e_ang2 : float64[N]
        Exposure of each tilt as Warp is told.

    Returns
    -------
    VolumeWarp or None
        None where tilts share an exposure, which Warp cannot tell apart.
    """
    deformation = alignment.deformation
    steps = _steps_of_dose(dose_e_ang2)
    if deformation is None or deformation.slopes_yx is None or steps is None:
        return None
    side = min(_FINER * (max(deformation.slopes_yx.shape[1:3]) - 1) + 1, _MOST_NODES)
    shape_zyx = (_LAYERS, side, side)
    axes = [np.linspace(-0.5, 0.5, n) * size for n, size in zip(shape_zyx, volume_ang_xyz[::-1], strict=True)]
    points_xyz = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)[..., ::-1]
    own = np.stack([_shortest_moves(alignment, tilt, points_xyz) for tilt in range(alignment.n_tilts)])
    order = np.argsort(steps)
    at = np.arange(steps.max() + 1)
    flat = own[order].reshape(len(own), -1)
    nodes = np.stack([np.interp(at, steps[order], column) for column in flat.T], axis=1)
    return VolumeWarp(nodes.reshape(-1, *own.shape[1:]), volume_ang_xyz, dose_e_ang2)


def deformation_of_warp(alignment: Alignment, warp: VolumeWarp, n_yx: tuple[int, int]) -> tuple[Deformation, float]:
    """Take a bending of the volume as displacements of the images that change evenly with height.

    Parameters
    ----------
    alignment : Alignment
        Rigid, or bent in its images, to which the bending is added; it tells the size of the images.
    warp : VolumeWarp
    n_yx : (int, int)
        Nodes over each image.

    Returns
    -------
    deformation : Deformation
    left_ang : float
        Largest part of the displacements that is neither the same at all heights nor grows evenly with height.
    """
    known = alignment.deformation
    if known is None:
        raise ValueError("The alignment must tell the size of its images.")
    height, width = known.field_ang_yx
    axes = np.linspace(-0.5, 0.5, n_yx[0]) * height, np.linspace(-0.5, 0.5, n_yx[1]) * width
    seen_yx = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    z = np.linspace(-0.5, 0.5, _HEIGHTS) * warp.volume_ang_xyz[2]
    nodes, slopes, left_ang = [], [], 0.0
    for tilt, matrix in enumerate(alignment.image_from_sample()):
        off_uv = seen_yx[..., ::-1] - matrix[:2, 3]
        flat_xy = (off_uv - z[:, None, None, None] * matrix[:2, 2]) @ np.linalg.inv(matrix[:2, :2]).T
        points = np.concatenate([flat_xy, np.broadcast_to(z[:, None, None, None], (*flat_xy.shape[:3], 1))], axis=-1)
        displaced_yx = -(warp.moves_ang(tilt, points) @ matrix[:2, :3].T)[..., ::-1]
        mean, slope = displaced_yx.mean(axis=0), np.tensordot(z, displaced_yx, 1) / (z @ z)
        left_ang = max(left_ang, float(np.abs(displaced_yx - mean - z[:, None, None, None] * slope).max()))
        nodes.append(mean + known.displacement(tilt, seen_yx))
        slopes.append(slope)
    bent = Deformation(nodes_ang_yx=np.array(nodes), slopes_yx=np.array(slopes), field_ang_yx=known.field_ang_yx)
    return bent, left_ang


def _shortest_moves(alignment: Alignment, tilt: int, points_ang_xyz: Floats) -> Floats:
    """Return the moves within the plane of an image that are seen as what height adds to the displacement."""
    deformation, matrix = alignment.deformation, alignment.image_from_sample()[tilt]
    if deformation is None:
        return np.zeros_like(points_ang_xyz)
    seen_yx = (points_ang_xyz @ matrix[:2, :3].T + matrix[:2, 3])[..., ::-1]
    heights = points_ang_xyz[..., 2]
    by_height = deformation.displacement(tilt, seen_yx, heights) - deformation.displacement(tilt, seen_yx)
    return np.asarray(-by_height[..., ::-1] @ matrix[:2, :3])


def _steps_of_dose(dose_e_ang2: Floats) -> NDArray[np.int64] | None:
    """Count even steps of exposure up to each tilt; None where two share one.

    Exposures in uneven steps go to the nearest of so many even ones that no two meet.
    """
    first, order = dose_e_ang2 - dose_e_ang2.min(), np.argsort(dose_e_ang2)
    n, span = len(first), float(first.max())
    if n < 2 or np.diff(first[order]).min() <= _NEAR * span / n:
        return None
    for count in range(n, _EXACT_STEPS * n + 1):
        places = first / span * (count - 1)
        steps = np.rint(places).astype(np.int64)
        if len(np.unique(steps)) == n and np.abs(places - steps).max() < _NEAR:
            break
    return np.asarray(steps, np.int64) if len(np.unique(steps)) == n else None
