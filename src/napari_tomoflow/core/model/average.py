"""Noun: an average and the particles it was made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from napari_tomoflow.core.model.density_map import DensityMap
from napari_tomoflow.core.model.noun import Noun
from napari_tomoflow.core.model.particle_set import ParticleSet


@dataclass(frozen=True, eq=False, kw_only=True)
class Average(Noun):
    """A map with the poses, half-sets and scores it stands on.

    A project stores it as two nouns, and later stages find either; each class as an item of its own, so that a
    stage that is given its name begins with its map and particles.

    Attributes
    ----------
    map : DensityMap
    particles : ParticleSet
    classes : tuple of Average
        Of particles that are not all alike the average of each class; `map` is then that of class 1, and `particles`
        are those of all.
    """

    map: DensityMap
    particles: ParticleSet
    classes: "tuple[Average, ...]" = ()

    def parts(self) -> Mapping[str, Sequence[Noun]]:
        """Return the average of each class, under the name of its map."""
        return {one.map.name: [one] for one in self.classes}
