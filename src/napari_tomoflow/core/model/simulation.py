"""Noun: a simulated tilt series and the truth it was made from."""

from dataclasses import dataclass

from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.model.ctf_series import CtfSeries
from napari_tomoflow.core.model.noun import Noun
from napari_tomoflow.core.model.particle_set import ParticleSet
from napari_tomoflow.core.model.tilt_series import TiltSeries
from napari_tomoflow.core.model.tomogram import Tomogram


@dataclass(frozen=True, eq=False, kw_only=True)
class Simulation(Noun):
    """A tilt series with its truth. Only the series is offered to later stages.

    Attributes
    ----------
    series : TiltSeries
        What a microscope would have given: noisy images, nominal angles.
    alignment : Alignment
        The true geometry.
    ctf : CtfSeries
        The true defocus of each tilt.
    particles : ParticleSet
        True positions and poses; the feature ``species`` names each.
    density : Tomogram or None
        The true density, dark-on-bright like the images, when asked for.
    """

    series: TiltSeries
    alignment: Alignment
    ctf: CtfSeries
    particles: ParticleSet
    density: Tomogram | None = None
