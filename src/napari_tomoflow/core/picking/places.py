"""Where particles go on a shape, and how they are turned there.

Legend: P particles, N points.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.picking.clicked import checked_points
from napari_tomoflow.core.picking.filament import Curve, helix_phases
from napari_tomoflow.core.picking.frames import across, poses_along, spun, unit, z_axes
from napari_tomoflow.core.picking.height import HeightSurface
from napari_tomoflow.core.picking.lattice import Lattice
from napari_tomoflow.core.picking.radial import RadialSurface

Floats = NDArray[np.float64]
Side = Literal["outward", "inward", "up", "down"]

_BENT = 0.01
"""Depth of a bend, in extents of the surface, from which on it has a hollow side."""


@dataclass(frozen=True, eq=False)
class Places:
    """Places for particles.

    Attributes
    ----------
    centers_ang_zyx : float64[P, 3]
    matrices : float64[P, 3, 3]
        Poses A, acting on (x, y, z); the particle's z-axis along the normal or the filament.
    features : mapping of str to array[P]
        What else the shape says of each.
    """

    centers_ang_zyx: Floats
    matrices: Floats
    features: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of places."""
        return len(self.centers_ang_zyx)

    def moved(self, offset_ang: float) -> Self:
        """Shift all particles along their own z-axes."""
        return replace(self, centers_ang_zyx=self.centers_ang_zyx + offset_ang * z_axes(self.matrices))

    def spun(self, angle_deg: ArrayLike) -> Self:
        """Turn all particles about their own z-axes."""
        return replace(self, matrices=spun(self.matrices, angle_deg))


def places_on_surface(
    surface: RadialSurface | HeightSurface, points_zyx: Floats, side: Side, outside_zyx: Floats | None = None
) -> Places:
    """Stand particles on points of a surface; x follows the axes of the shape as far as it can.

    Parameters
    ----------
    surface
    points_zyx : float64[P, 3]
    side
        Which way z points, see `facing`.
    outside_zyx : float64[3], optional
        A place known to lie outside; it outvotes the bend.
    """
    normals = surface.normals(points_zyx)
    normals = normals * facing(points_zyx, normals, side, outside_zyx)
    return Places(points_zyx, poses_along(normals, across(normals, surface.axes_zyx)))


def facing(points_zyx: Floats, normals_zyx: Floats, side: Side, outside_zyx: Floats | None = None) -> float:
    """Say with which sign normals that agree with each other point to the side asked for: 1.0 or -1.0.

    Outward is away from what a closed or bent surface surrounds; a flat one has its outside up, +z.

    Parameters
    ----------
    points_zyx, normals_zyx : float64[P, 3]
    side
    outside_zyx : float64[3], optional
        A place known to lie outside.
    """
    if side in ("up", "down"):
        signed = normals_zyx[:, 0].sum() * (1.0 if side == "up" else -1.0)
        return -1.0 if signed < 0 else 1.0
    if outside_zyx is not None:
        away = outside_zyx - points_zyx
        nearest = np.linalg.norm(away, axis=1).argmin()
        outward = float(away[nearest] @ normals_zyx[nearest])
    else:
        centred = points_zyx - points_zyx.mean(axis=0)
        outward = float(np.mean(np.sum(centred * normals_zyx, axis=1)))
        if abs(outward) <= _BENT * np.ptp(centred, axis=0).max():
            outward = float(normals_zyx[:, 0].sum())
    return -1.0 if (outward < 0) != (side == "inward") else 1.0


def places_along(curve: Curve, rise_ang: float, twist_deg: float = 0.0, radius_ang: float = 0.0) -> Places:
    """Set particles along a filament, each one rise and one twist after the last.

    Parameters
    ----------
    curve : Curve
    rise_ang, twist_deg
        The twist is about the filament's direction, right-handed, in excess of the filament's own course.
    radius_ang
        0: on the axis, z along the filament. Else beside it, on a helix: z away from the axis, x along it.

    Raises
    ------
    ParamError
        The filament is shorter than one rise.
    """
    along = helix_phases(curve, rise_ang)
    centers, ways, aside = curve.at(along)
    matrices = spun(poses_along(ways, aside), twist_deg * np.arange(len(along)))
    if radius_ang > 0.0:
        outward = matrices[:, ::-1, 0]
        centers, matrices = centers + radius_ang * outward, poses_along(outward, ways)
    return Places(centers, matrices, {"rlnHelicalTrackLengthAngst": along})


def places_on_lattice(lattice: Lattice, side: Side, outside_zyx: Floats | None = None) -> Places:
    """Set a particle on every node of a lattice: z along the normal, x along the vector a."""
    points, (first, second) = lattice.at(lattice.nodes), lattice.ways(lattice.nodes)
    normals = unit(np.cross(first, second))
    normals = normals * facing(points, normals, side, outside_zyx)
    nodes = {"latticeA": lattice.nodes[:, 0], "latticeB": lattice.nodes[:, 1]}
    return Places(points, poses_along(normals, first), nodes)


def places_on_dipoles(points_ang_zyx: ArrayLike) -> Places:
    """Set a particle on the first of every two points, z towards the second.

    Raises
    ------
    DataError
        Points are odd in number, or two of a pair are the same.
    """
    points = checked_points(points_ang_zyx, 2, "A dipole", across=0)
    if len(points) % 2:
        raise DataError(f"Dipoles are pairs of points, centre and tip; got {len(points)}; click the missing one.")
    centers, ways = points[::2], points[1::2] - points[::2]
    same = np.flatnonzero(~np.any(ways, axis=1))
    if len(same):
        raise DataError(f"Centre and tip of dipole {same[0] + 1} are one point; click the tip anew.")
    return Places(centers, poses_along(ways, across(ways, np.eye(3)[::-1])))
