"""How far halves agree along every direction: what a missing wedge or a preferred view leaves out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from napari_tomoflow.core.averaging.fsc_curve import FscCurve, agreement_radius
from napari_tomoflow.core.ops.fourier import half_frequencies
from napari_tomoflow.core.ops.so3 import fibonacci

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

_CONE_DEG = 20.0
_DIRECTIONS = 300
"""Over half the sphere, 8° apart."""

_SHARES = (5, 50, 95)
"""Percent of directions whose FSCs are told."""


@dataclass(frozen=True, eq=False)
class Directional:
    """Agreement along directions. Legend: D directions over half a sphere, S shells.

    Attributes
    ----------
    directions_xyz : float64[D, 3]
        Unit vectors with positive z.
    fsc : float64[D, S]
        Of the coefficients within a cone about each, freed of what the mask adds.
    resolution_ang : float64[D]
    share : float
        Of the directions: those that agree at the resolution of the whole map.
    sphericity : float
        Of the surface that frequencies of agreement make over directions: 1 for a ball.
    """

    directions_xyz: Floats
    fsc: Floats
    resolution_ang: Floats
    share: float
    sphericity: float

    def record(self) -> dict[str, Any]:
        """Say it in plain numbers."""
        spread = np.percentile(self.fsc, _SHARES, axis=0)
        finest, coarsest = float(self.resolution_ang.min()), float(self.resolution_ang.max())
        return {
            "sphericity": round(self.sphericity, 4),
            "share_at_resolution": round(self.share, 4),
            "finest_ang": round(finest, 3),
            "coarsest_ang": round(coarsest, 3),
            "directions_xyz": np.round(self.directions_xyz, 4).tolist(),
            "directions_resolution_ang": np.round(self.resolution_ang, 3).tolist(),
            "fsc": {
                f"percentile_{share}": np.round(one, 4).tolist() for share, one in zip(_SHARES, spread, strict=True)
            },
        }


def directional_fsc(first: Reals, second: Reals, curve: FscCurve, voxel_ang: float) -> Directional:
    """Compare masked halves within cones of 20° about directions.

    Parameters
    ----------
    first, second : float32[n, n, n]
        Under their mask.
    curve : FscCurve
        Of the same halves.
    voxel_ang : float

    References
    ----------
    Tan et al. 2017, doi:10.1038/nmeth.4347.
    """
    shells = len(curve.corrected)
    width_ang = 2 * (shells - 1) * voxel_ang
    sums = _sums(first, second, shells)
    directions = fibonacci(2 * _DIRECTIONS)
    # The spiral winds about z, which it begins at: its first half is half the sphere.
    directions = directions[:_DIRECTIONS, ::-1]
    cones = np.stack([sums.within(direction) for direction in directions])
    # Narrow cones hold nothing of the first shells, of which all directions know the same.
    random = curve.randomised
    fsc = np.where(np.isnan(cones), curve.corrected, (cones - random) / np.maximum(1.0 - random, 1e-6))
    radius = np.maximum([agreement_radius(one) for one in fsc], 1.0)
    resolution_ang = curve.resolution_ang()
    at = shells - 1.0 if resolution_ang is None else width_ang / resolution_ang
    return Directional(
        directions_xyz=directions,
        fsc=fsc,
        resolution_ang=width_ang / radius,
        share=float((radius >= at - 1.0).mean()),
        sphericity=_sphericity(directions, radius),
    )


@dataclass(frozen=True, eq=False)
class _Coefficients:
    """Products of coefficients of half a transform, C of them, within the sphere that shells fill."""

    units_xyz: Reals
    shell: NDArray[np.int64]
    products: tuple[Reals, Reals, Reals]
    shells: int

    def within(self, direction_xyz: Floats) -> Floats:
        """Correlate the shells within the cones about a direction and its opposite: float64[S], NaN where empty."""
        cosine = np.abs(self.units_xyz @ direction_xyz.astype(np.float32))
        chosen = np.flatnonzero(cosine >= np.cos(np.deg2rad(_CONE_DEG)))
        ab, aa, bb = (np.bincount(self.shell[chosen], one[chosen], self.shells) for one in self.products)
        norm = np.sqrt(aa * bb)
        return np.asarray(np.divide(ab, norm, out=np.full_like(ab, np.nan), where=norm > 0))


def _sums(first: Reals, second: Reals, shells: int) -> _Coefficients:
    grids = np.broadcast_arrays(*half_frequencies(first.shape))
    frequency = np.stack([grid.ravel() for grid in grids[::-1]], axis=1)
    length = np.linalg.norm(frequency, axis=1)
    shell = np.rint(length * 2 * (shells - 1)).astype(np.int64)
    inside = (shell > 0) & (shell < shells)
    a, b = (scipy.fft.rfftn(half).ravel()[inside] for half in (first, second))
    products = ((a * b.conj()).real, a.real**2 + a.imag**2, b.real**2 + b.imag**2)
    return _Coefficients(frequency[inside] / length[inside, None], shell[inside], products, shells)


def _sphericity(directions_xyz: Floats, radius: Floats) -> float:
    """Compare the area of a surface about the origin with that of a ball of its volume."""
    units = np.concatenate([directions_xyz, -directions_xyz])
    corners = (np.concatenate([radius, radius])[:, None] * units)[ConvexHull(units).simplices]
    spanned = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = 0.5 * np.linalg.norm(spanned, axis=1).sum()
    volume = np.abs(np.einsum("ij,ij->i", corners[:, 0], spanned)).sum() / 6.0
    return float(np.cbrt(np.pi) * np.cbrt(6.0 * volume) ** 2 / area)
