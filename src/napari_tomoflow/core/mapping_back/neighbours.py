"""Who lies next to whom, how far, and how turned.

Legend: P particles, N pairs.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model import Neighbours
from napari_tomoflow.core.ops.so3 import angular_distance_deg

Floats = NDArray[np.float64]
Texts = NDArray[np.str_]

_RANDOM_PAIRS = 20_000


def find_neighbours(
    centres_ang_zyx: Floats, matrices: Floats, species: Texts, symmetries: Mapping[str, str], count: int
) -> Neighbours:
    """Find the nearest neighbours of every particle, of whatever species.

    Parameters
    ----------
    centres_ang_zyx : float64[P, 3]
    matrices : float64[P, 3, 3]
        Pose A of each, ``x_tomo = A · x_ref``.
    species : str array[P]
    symmetries : mapping of str to str
        Species → point group; poses it makes alike count as one.
    count : int
        How many of each.
    """
    from scipy.spatial import KDTree

    count = min(count, len(centres_ang_zyx) - 1)
    if count < 1:
        return Neighbours.none()
    nearest = np.atleast_2d(KDTree(centres_ang_zyx).query(centres_ang_zyx, count + 1)[1])
    of = np.repeat(np.arange(len(nearest)), count)
    other = np.concatenate([row[row != particle][:count] for particle, row in enumerate(nearest)])
    apart_ang_xyz = (centres_ang_zyx[other] - centres_ang_zyx[of])[:, ::-1]
    distance_ang = np.linalg.norm(apart_ang_xyz, axis=1)
    ways = apart_ang_xyz / np.maximum(distance_ang, 1e-9)[:, None]
    return Neighbours(
        of=of,
        other=other,
        rank=np.tile(np.arange(1, count + 1), len(nearest)),
        distance_ang=distance_ang,
        turned_deg=turned_deg(matrices, species, symmetries, of, other),
        direction_xyz=np.einsum("nji,nj->ni", matrices[of], ways),
    )


def turned_deg(
    matrices: Floats, species: Texts, symmetries: Mapping[str, str], of: NDArray[np.int64], other: NDArray[np.int64]
) -> Floats:
    """Return the smallest angle that turns one particle of a pair like the other; NaN between two species."""
    angles_deg = np.full(len(of), np.nan)
    for name, symmetry in symmetries.items():
        pairs = (species[of] == name) & (species[other] == name)
        angles_deg[pairs] = angular_distance_deg(matrices[of[pairs]], matrices[other[pairs]], symmetry)
    return angles_deg


def by_chance_deg(matrices: Floats, species: Texts, symmetries: Mapping[str, str]) -> Floats:
    """Return the same angle for pairs drawn at random of the same particles; the same pairs every time."""
    rng = np.random.default_rng(0)
    of, other = rng.integers(0, len(matrices), (2, _RANDOM_PAIRS)) if len(matrices) else np.zeros((2, 0), np.int64)
    of, other = of[of != other], other[of != other]
    angles_deg = turned_deg(matrices, species, symmetries, of, other)
    return angles_deg[np.isfinite(angles_deg)]
