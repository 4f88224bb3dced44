"""RELION 5's table of trajectories: how far each particle lies from its place in each tilt.

RELION moves particles in three dimensions, one step for each row of the table of the series. Here a particle has a
path of its own, and a bent specimen is a displacement field of the images, for which the shortest step that is seen as
that displacement is written.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model import Alignment, ParticleSet, TiltSeries
from napari_tomoflow.core.model.paths import path_weights
from napari_tomoflow.io.particles import ORIGINS
from napari_tomoflow.io.star import write_star

PARTICLE_NAME = "rlnTomoParticleName"


def with_names(particles: ParticleSet) -> ParticleSet:
    """Give particles the names RELION tells them by, ``TOMOGRAM/NUMBER`` counted from 1, unless they have some."""
    given = np.asarray(particles.features.get(PARTICLE_NAME, []), np.str_)
    if len(given) == len(particles) and len(np.unique(given)) == len(given) and np.all(given != ""):
        return particles
    names = np.empty(len(particles), object)
    for tomogram in np.unique(particles.tomogram):
        own = np.flatnonzero(particles.tomogram == tomogram)
        names[own] = [f"{tomogram}/{number}" for number in range(1, len(own) + 1)]
    return particles.replace(features={**particles.features, PARTICLE_NAME: names.astype(np.str_)})


def trajectories(alignment: Alignment, series: TiltSeries, particles: ParticleSet) -> NDArray[np.float64]:
    """Return the steps of the particles of one series: float64[P, N, 3], (x, y, z) in Å.

    Parameters
    ----------
    alignment : Alignment
        Of N tilts.
    series : TiltSeries
        Whose exposure they move with.
    particles : ParticleSet
    """
    moved = path_weights(series) @ particles.known_paths_ang_zyx
    steps = moved[..., ::-1].copy()
    if alignment.deformation is None or not len(particles):
        return steps
    moved, centers = moved.transpose(1, 0, 2), particles.centers_ang_zyx
    bent, _ = alignment.project(centers, moved)
    rigid, _ = alignment.replace(deformation=None).project(centers, moved)
    bent_xy = (bent - rigid)[..., ::-1]
    return np.asarray(steps + np.einsum("nij,npi->pnj", alignment.image_from_sample()[:, :2, :3], bent_xy))


def write_trajectories(
    path: Path, particles: ParticleSet, geometries: Mapping[str, tuple[Alignment, TiltSeries]]
) -> None:
    """Write a block for each particle, in the order of `particles`, which have names.

    Parameters
    ----------
    path : Path
    particles : ParticleSet
        As in the table of particles beside it.
    geometries : mapping of str to (Alignment, TiltSeries)
        Of each tomogram. Tilts not kept have no row, as in the table of the series.
    """
    import pandas as pd

    blocks: dict[str, dict[str, int] | pd.DataFrame] = {"general": {"rlnParticleNumber": len(particles)}}
    names = np.asarray(particles.features[PARTICLE_NAME], np.str_)
    steps: dict[str, NDArray[np.float64]] = {}
    for tomogram, (alignment, series) in geometries.items():
        own = particles.tomogram == tomogram
        rows = trajectories(alignment, series, particles[own])[:, alignment.kept]
        steps |= dict(zip(names[own].tolist(), rows, strict=True))
    for name in names.tolist():
        blocks[name] = pd.DataFrame(steps[name], columns=list(ORIGINS))
    write_star(path, blocks)
