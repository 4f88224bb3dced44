"""What tables of particles must be told of tomograms, taken from those that are open in the viewer."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import napari
import numpy as np
from napari.layers import Image
from napari.utils.notifications import show_warning

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import ParticleSet, Tomogram
from napari_tomoflow.gui.layers import from_layer
from napari_tomoflow.io.particle_formats import ANY, TomogramFrame


@dataclass(frozen=True)
class FramesInView:
    """The tomograms that are open.

    Attributes
    ----------
    frames : mapping of str to TomogramFrame
        By name; one that is open alone stands for any.
    active : str
        Name of the selected one, or of the only one; empty when it is not clear which is meant.
    """

    frames: Mapping[str, TomogramFrame] = field(default_factory=dict)
    active: str = ""

    @property
    def grid_ang(self) -> float:
        """Voxel size of the active tomogram, Å, so that sliders go on stepping by voxels; 1 without any."""
        return self.frames.get(self.active, TomogramFrame()).voxel_ang or 1.0

    def meant(self, stem: str) -> str:
        """Name the tomogram that a file of this stem is about: the one it is called after, else the active one."""
        return stem if stem in self.frames else self.active

    def named(self, particles: ParticleSet) -> ParticleSet:
        """Say of particles that belong to no tomogram yet that they belong to the active one."""
        return particles.replace(tomogram=np.where(particles.tomogram == "", self.active, particles.tomogram))


def frames_in_view() -> FramesInView:
    """Look which tomograms are open in the current viewer."""
    viewer = napari.current_viewer()
    if viewer is None:
        return FramesInView()
    frames: dict[str, TomogramFrame] = {}
    active = ""
    for layer in viewer.layers:
        tomogram = _tomogram_of(layer)
        if tomogram is None:
            continue
        frames[tomogram.name] = TomogramFrame.of(tomogram)
        if layer is viewer.layers.selection.active:
            active = tomogram.name
    if len(frames) == 1:
        (only,) = frames
        return FramesInView({**frames, ANY: frames[only]}, only)
    return FramesInView(frames, active)


def warn(name: str, sentences: Sequence[str]) -> None:
    """Show a person what to know of a file."""
    if sentences:
        show_warning("\n".join(f"{name}: {sentence}" for sentence in sentences))


def _tomogram_of(layer: object) -> Tomogram | None:
    if not isinstance(layer, Image):
        return None
    with suppress(DataError):  # pictures of other things, or without a scale in Å
        noun = from_layer(layer.as_layer_data_tuple())
        return noun if isinstance(noun, Tomogram) else None
    return None
