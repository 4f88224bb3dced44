"""Noun: particles parted into classes, with the average of each."""

from dataclasses import dataclass

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.density_map import DensityMap
from napari_tomoflow.core.model.noun import Noun
from napari_tomoflow.core.model.particle_set import ParticleSet


@dataclass(frozen=True, eq=False, kw_only=True)
class Classes(Noun):
    """Particles that are not all alike, told apart.

    A project stores the particles by themselves too, so that later stages may take those of one class.

    Attributes
    ----------
    particles : ParticleSet
        ``class_ids`` from 1, the largest class first; the feature columns ``probability_1``, ``probability_2``, ... say
        how sure that is.
    maps : tuple of DensityMap
        Average of class 1, 2, ...
    """

    particles: ParticleSet
    maps: tuple[DensityMap, ...]

    def __post_init__(self) -> None:
        """Check that every class has its map."""
        numbers = self.particles.class_ids
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() <= len(self.maps):
            raise DataError(
                f"Particles are of classes {numbers.min()} to {numbers.max()}, but there are {len(self.maps)} maps; "
                "give one for each class."
            )
