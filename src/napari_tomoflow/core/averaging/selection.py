"""Which particles are averaged, and how large they are."""

import numpy as np

from napari_tomoflow.core.errors import DataError, ParamError
from napari_tomoflow.core.model import Dataset, ParticleSet

_LEAST = 4


def of_species(dataset: Dataset, species: str, only_class: int = 0) -> Dataset:
    """Keep the particles of a species; all where none is named, or where particles do not tell theirs.

    Parameters
    ----------
    dataset : Dataset
    species : str
    only_class : int
        Class of the particles, as `classify` numbers them; 0 keeps all.

    Raises
    ------
    DataError
        Too few are left to average.
    ParamError
        There is no such class.
    """
    particles = dataset.particles
    named = particles.features.get("species")
    if species and named is not None:
        particles = particles[np.asarray(named).astype(str) == species]
    if only_class and not np.any(particles.class_ids == only_class):
        known = ", ".join(map(str, np.unique(particles.class_ids))) or "none"
        raise ParamError(f"No particle is of class {only_class}; choose from {known}, or run `tomoflow classify`.")
    if only_class:
        particles = particles[particles.class_ids == only_class]
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
