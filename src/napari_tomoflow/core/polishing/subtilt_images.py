"""Images of particles in which every tilt has a shift, a rotation and a weight of its own.

Legend: P particles, N tilts of the longest series, T tilts of a series in use.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.images import Indices, ParticleImages, shift_phases
from napari_tomoflow.core.averaging.series_images import DatasetImages
from napari_tomoflow.core.model import Alignment, ParticleSet

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Subtilts:
    """How each tilt shows each particle; what lies beyond the tilts of a particle's series means nothing.

    Attributes
    ----------
    rotations : float64[P, N, 3, 3]
        R, from the tomogram to the image, acting on (x, y, z).
    shift_ang_yx : float64[P, N, 2]
        From where the alignment has the particle to where it is seen.
    weight : float64[P, N]
        Amplitude of the particle in the image, over what exposure and angle should leave of it; 0 leaves it out.
    score : float64[P, N]
        Agreement with the map; NaN where nobody looked.
    """

    rotations: Floats
    shift_ang_yx: Floats
    weight: Floats
    score: Floats

    @classmethod
    def of(cls, alignments: Mapping[str, Alignment], particles: ParticleSet) -> "Subtilts":
        """Take everything as the alignments have it."""
        count, longest = len(particles), max(alignments[name].n_tilts for name in np.unique(particles.tomogram))
        rotations = np.tile(np.eye(3), (count, longest, 1, 1))
        for name in np.unique(particles.tomogram):
            alignment = alignments[name]
            rotations[particles.tomogram == name, : alignment.n_tilts] = alignment.rotations
        shape = (count, longest)
        return cls(rotations, np.zeros((*shape, 2)), np.ones(shape), np.full(shape, np.nan))


@dataclass(frozen=True, eq=False)
class SubtiltImages:
    """An `ImageSource` that shifts, turns and weighs the images of another, each by itself.

    Attributes
    ----------
    whole : DatasetImages
    subtilts : Subtilts
        Of its particles.
    """

    whole: DatasetImages
    subtilts: Subtilts

    @property
    def particles(self) -> ParticleSet:
        """The particles, where they lie now."""
        return self.whole.particles

    @property
    def box_px(self) -> int:
        """Edge of the boxes."""
        return self.whole.box_px

    @property
    def pixel_ang(self) -> float:
        """Pixel of the boxes."""
        return self.whole.pixel_ang

    def at(self, particles: ParticleSet) -> "SubtiltImages":
        """Return the same source for particles moved or turned."""
        return replace(self, whole=self.whole.at(particles))

    def images(self, chosen: Indices) -> ParticleImages:
        """Return the images of some particles of one tomogram, each centred on where it is seen."""
        images = self.whole.images(chosen)
        series = self.whole.of_series(str(self.particles.tomogram[chosen[0]]))
        here = np.ix_(chosen, series.tilts)
        weight = self.subtilts.weight[here].astype(np.float32)[..., None, None]
        back_px = -self.subtilts.shift_ang_yx[here] / images.pixel_ang
        return ParticleImages(
            images_rft=images.images_rft * shift_phases(images.box_px, back_px) * weight,
            power=images.power * weight**2,
            rotations=series.optics.stretch @ self.subtilts.rotations[here],
            visible=images.visible & (weight[..., 0, 0] > 0),
            pixel_ang=images.pixel_ang,
        )
