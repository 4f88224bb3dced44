"""Two halves of particles that never see each other."""

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model import ParticleSet

Indices = NDArray[np.int64]

_MOST_IN_A_CLUSTER = 0.25


def half_sets(particles: ParticleSet, apart_ang: float) -> Indices:
    """Give every particle its half, 1 or 2: int64[P].

    Parameters
    ----------
    particles : ParticleSet
        Halves they already have are kept.
    apart_ang : float
        Particles closer to each other than this share pixels, and so a half.

    Notes
    -----
    Clusters are dealt out in the order of their first particle, each to the half that has fewer. Where
    particles lie so densely that chains of neighbours join more than a quarter of all, chains are cut at a smaller
    distance, until they do not.
    """
    if np.isin(particles.half, (1, 2)).all() and len(np.unique(particles.half)) == 2:
        return particles.half
    cluster = _clusters(particles, apart_ang)
    while np.bincount(cluster).max(initial=0) > max(2, _MOST_IN_A_CLUSTER * len(particles)):
        apart_ang *= 0.7
        cluster = _clusters(particles, apart_ang)
    half = np.zeros(len(particles), np.int64)
    counts = [0, 0]
    _, first = np.unique(cluster, return_index=True)
    for one in np.sort(first):
        members = cluster == cluster[one]
        fewer = int(counts[1] < counts[0])
        half[members] = fewer + 1
        counts[fewer] += int(members.sum())
    return half


def _clusters(particles: ParticleSet, apart_ang: float) -> Indices:
    """Join particles by chains of neighbours, and number the clusters."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    pairs = []
    for name in np.unique(particles.tomogram):
        here = np.flatnonzero(particles.tomogram == name)
        near = cKDTree(particles.centers_ang_zyx[here]).query_pairs(apart_ang, output_type="ndarray")
        pairs.append(here[near])
    joined = np.concatenate(pairs) if pairs else np.zeros((0, 2), np.int64)
    size = len(particles)
    graph = coo_array((np.ones(len(joined)), (joined[:, 0], joined[:, 1])), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)
