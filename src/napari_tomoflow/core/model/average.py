"""Noun: an average and the particles it was made of."""

from dataclasses import dataclass

from napari_tomoflow.core.model.density_map import DensityMap
from napari_tomoflow.core.model.noun import Noun
from napari_tomoflow.core.model.particle_set import ParticleSet


@dataclass(frozen=True, eq=False, kw_only=True)
class Average(Noun):
    """A map with the poses, half-sets and scores it stands on.

    A project stores it as two nouns, and later stages find either.

    Attributes
    ----------
    map : DensityMap
    particles : ParticleSet
    """

    map: DensityMap
    particles: ParticleSet
