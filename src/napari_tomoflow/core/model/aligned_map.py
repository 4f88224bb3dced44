"""Noun: a map brought into another frame, and its particles with it."""

from dataclasses import dataclass, fields
from typing import Self

from napari_tomoflow.core.model.density_map import DensityMap
from napari_tomoflow.core.model.particle_set import ParticleSet


@dataclass(frozen=True, eq=False, kw_only=True)
class AlignedMap(DensityMap):
    """A map in a new frame together with the particles it was made of, whose poses refer to that frame.

    It is a map like any other; a project stores it as two nouns, as it does an average, and later stages find either.

    Attributes
    ----------
    particles : ParticleSet
    """

    particles: ParticleSet

    @classmethod
    def of(cls, density: DensityMap, particles: ParticleSet) -> Self:
        """Join a map and its particles."""
        return cls(**{one.name: getattr(density, one.name) for one in fields(DensityMap)}, particles=particles)
