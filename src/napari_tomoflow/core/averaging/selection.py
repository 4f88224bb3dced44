"""Which particles are averaged, and how large they are."""

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError, ParamError
from napari_tomoflow.core.model import Dataset, ParticleSet

Floats = NDArray[np.float64]

_LEAST = 4
_FAR_BELOW_SD = 5.0
_SD_PER_DEVIATION = 1.4826
"""Standard deviation over the median deviation, of normal numbers."""


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


def without_worst(particles: ParticleSet, left_out: float) -> Floats:
    """Weigh particles: those of the lowest scores of each half, and all far below the rest, do not count.

    Parameters
    ----------
    particles : ParticleSet
    left_out : float
        Share that does not count in any case.

    Returns
    -------
    float64[P]
        0 or 1.
    """
    weights = np.ones(len(particles))
    for number in (1, 2):
        mine = particles.half == number
        score = particles.score[mine]
        middle = np.median(score)
        far_below = middle - _FAR_BELOW_SD * _SD_PER_DEVIATION * np.median(np.abs(score - middle))
        weights[mine & (particles.score < max(np.quantile(score, left_out), far_below))] = 0.0
    return weights


def check_any_agrees(particles: ParticleSet) -> None:
    """Check that either half has particles with any score.

    Raises
    ------
    DataError
        A map was found in none of a half.
    """
    for number in (1, 2):
        score = particles.score[particles.half == number]
        if len(score) and not np.any(score):
            raise DataError(
                f"None of the {len(score)} particles of half {number} agrees with the map; check that the map is of "
                "this particle and shows dense matter bright, or search everywhere."
            )
