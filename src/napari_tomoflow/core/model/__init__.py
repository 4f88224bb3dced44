"""The nouns: everything that passes between stages is one of these."""

from napari_tomoflow.core.model.aberrations import Aberrations
from napari_tomoflow.core.model.aligned_map import AlignedMap
from napari_tomoflow.core.model.aligned_series import AlignedSeries
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.model.average import Average
from napari_tomoflow.core.model.classes import Classes
from napari_tomoflow.core.model.ctf_series import CtfSeries
from napari_tomoflow.core.model.curve import Curve
from napari_tomoflow.core.model.dataset import Dataset
from napari_tomoflow.core.model.deformation import Deformation
from napari_tomoflow.core.model.density_map import DensityMap
from napari_tomoflow.core.model.ensemble import Ensemble
from napari_tomoflow.core.model.finished_map import FinishedMap
from napari_tomoflow.core.model.labels import Labels
from napari_tomoflow.core.model.landmarks import Landmarks
from napari_tomoflow.core.model.movies import Frames, Movies
from napari_tomoflow.core.model.noun import Noun
from napari_tomoflow.core.model.optics import Optics
from napari_tomoflow.core.model.particle_set import ParticleSet
from napari_tomoflow.core.model.placement import MappedBack, Neighbours
from napari_tomoflow.core.model.polished import Polished
from napari_tomoflow.core.model.raw_stack import RawStack
from napari_tomoflow.core.model.simulation import Simulation
from napari_tomoflow.core.model.subtilt_set import SubtiltSet
from napari_tomoflow.core.model.tilt_series import TiltSeries
from napari_tomoflow.core.model.tomogram import Tomogram

__all__ = [
    "Aberrations",
    "AlignedMap",
    "AlignedSeries",
    "Alignment",
    "Average",
    "Classes",
    "CtfSeries",
    "Curve",
    "Dataset",
    "Deformation",
    "DensityMap",
    "Ensemble",
    "FinishedMap",
    "Frames",
    "Labels",
    "Landmarks",
    "MappedBack",
    "Movies",
    "Neighbours",
    "Noun",
    "Optics",
    "ParticleSet",
    "Polished",
    "RawStack",
    "Simulation",
    "SubtiltSet",
    "TiltSeries",
    "Tomogram",
]
