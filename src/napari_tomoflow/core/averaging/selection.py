"""Which particles are averaged, and how large they are."""

import numpy as np

from napari_tomoflow.core.errors import DataError, ParamError
from napari_tomoflow.core.model import Dataset, ParticleSet

_LEAST = 4


def of_species(dataset: Dataset, species: str) -> Dataset:
    """Keep the particles of a species; all where none is named, or where particles do not tell theirs.

    Raises
    ------
    DataError
        Too few are left to average.
    """
    particles = dataset.particles
    named = particles.features.get("species")
    if species and named is not None:
        particles = particles[np.asarray(named).astype(str) == species]
    if len(particles) < _LEAST:
        what = f"of the species {species} " if species else ""
        raise DataError(f"{len(particles)} particles {what}are too few to average; pick more, at least {_LEAST}.")
    return dataset.replace(particles=particles)


def diameter_ang_of(particles: ParticleSet) -> float:
    """Return the largest diameter the picks tell.

    Raises
    ------
    ParamError
        They tell none.
    """
    for name, times in (("diameter_ang", 1.0), ("radius_ang", 2.0)):
        if name in particles.features and len(particles):
            return times * float(np.asarray(particles.features[name], np.float64).max())
    raise ParamError("The picks do not tell how large the particles are; give diameter_ang, e.g. 250.")
