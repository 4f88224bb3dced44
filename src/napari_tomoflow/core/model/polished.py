"""Noun: averages, and the tilt series as the particles themselves have shown them to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.model.average import Average
from napari_tomoflow.core.model.ctf_series import CtfSeries
from napari_tomoflow.core.model.noun import Noun
from napari_tomoflow.core.model.subtilt_set import SubtiltSet


@dataclass(frozen=True, eq=False, kw_only=True)
class Polished(Noun):
    """What refinement of particles tilt by tilt leads to.

    A project stores the average of each species and the alignment and CTF of each series under the names of
    these, so that later stages find them like any others.

    Attributes
    ----------
    averages : mapping of str to Average
        Species → map and particles.
    alignments : mapping of str to Alignment
        Series → its improved alignment.
    ctfs : mapping of str to CtfSeries
        Series → its improved CTF, where it was refined.
    subtilts : SubtiltSet or None
        Where each tilt shows each particle, as far as that is told apart from the alignment.
    """

    averages: Mapping[str, Average]
    alignments: Mapping[str, Alignment]
    ctfs: Mapping[str, CtfSeries] = field(default_factory=dict)
    subtilts: SubtiltSet | None = None

    def parts(self) -> Mapping[str, Sequence[Noun]]:
        """Return the average of each species, and CTF and alignment of each series: the last tells its quality."""
        of_series: dict[str, list[Noun]] = {}
        for found in (self.ctfs, self.alignments):
            for name, one in found.items():
                of_series.setdefault(name, []).append(one)
        return {**{species: [average] for species, average in self.averages.items()}, **of_series}
