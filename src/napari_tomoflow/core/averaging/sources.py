"""Images of the particles of a data set on whatever grid is asked for."""

from dataclasses import dataclass, field

from napari_tomoflow.core.averaging.sampling import Sampling
from napari_tomoflow.core.averaging.series_images import DatasetImages
from napari_tomoflow.core.model import Dataset, ParticleSet
from napari_tomoflow.core.ops.ctf import DoseModel


@dataclass(frozen=True, eq=False)
class RawSources:
    """Cuts particles out of the raw tilt series, ``source(box_px, pixel_ang)``.

    Attributes
    ----------
    dataset : Dataset
    radius_ang : float
        Of the particle.
    dose_weighting : {"grant-grigorieff", "b-factor", "none"}
    """

    dataset: Dataset
    radius_ang: float
    dose_weighting: DoseModel
    _made: dict[tuple[int, float], DatasetImages] = field(default_factory=dict)

    def __call__(self, box_px: int, pixel_ang: float) -> DatasetImages:
        """Return the images on a grid; what all of a series share is worked out once, before any is sent elsewhere."""
        if (box_px, pixel_ang) not in self._made:
            source = DatasetImages(self.dataset, Sampling(box_px, pixel_ang, self.radius_ang, self.dose_weighting))
            for name in dict.fromkeys(self.dataset.particles.tomogram.tolist()):
                source.of_series(name)
            self._made[box_px, pixel_ang] = source
        return self._made[box_px, pixel_ang]

    def of(self, particles: ParticleSet) -> "RawSources":
        """Return the same for some of the particles; what was worked out already is shared."""
        made = {grid: source.at(particles) for grid, source in self._made.items()}
        return RawSources(self.dataset.replace(particles=particles), self.radius_ang, self.dose_weighting, made)
