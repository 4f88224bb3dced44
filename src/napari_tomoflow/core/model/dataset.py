"""Noun: particles with the tilt series they are seen in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.model.ctf_series import CtfSeries
from napari_tomoflow.core.model.noun import Noun
from napari_tomoflow.core.model.particle_set import ParticleSet
from napari_tomoflow.core.model.tilt_series import TiltSeries


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset(Noun):
    """What averaging works on: particles of any number of tomograms, and the raw images that show them.

    Attributes
    ----------
    particles : ParticleSet
        ``tomogram`` names the series of each.
    series : mapping of str to TiltSeries
        Name → series; images are read where they lie.
    alignments : mapping of str to Alignment
    ctfs : mapping of str to CtfSeries
        May lack some: their images are not corrected.
    """

    particles: ParticleSet
    series: Mapping[str, TiltSeries]
    alignments: Mapping[str, Alignment]
    ctfs: Mapping[str, CtfSeries] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that every particle's series is there, with its alignment."""
        for name in dict.fromkeys(self.particles.tomogram.tolist()):
            if name not in self.series or name not in self.alignments:
                what = "tilt series" if name not in self.series else "alignment"
                raise DataError(f"Particles lie in {name or 'a tomogram without a name'}, but its {what} is not given.")
