"""The picks of tomograms that are open in a viewer and belong to no project."""

from typing import Any, ClassVar

import numpy as np

from napari_tomoflow.core.errors import MissingError
from napari_tomoflow.core.model import Alignment, ParticleSet, TiltSeries, Tomogram
from napari_tomoflow.gui.layers import METADATA_KEY, from_layer
from napari_tomoflow.gui.opening import show_noun
from napari_tomoflow.gui.picker.session import Session
from napari_tomoflow.io.particle_formats import TomogramFrame
from napari_tomoflow.project.particle_imports import series_named

_FOUND = 1
"""The number that stands for a job: that of the particles found among the layers, or put there."""


class LayerPicks:
    """Tomograms opened from files. What was picked is in memory alone until it is made layers, which napari saves.

    Parameters
    ----------
    viewer
    """

    title: ClassVar[str] = "files, no project"

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.session = Session(self._load)
        self._tomograms: dict[str, Tomogram] = {}
        self.look_round()

    def look_round(self) -> None:
        """Take in tomograms that were opened meanwhile; those closed are remembered."""
        for layer in self.viewer.layers:
            noun = layer.metadata.get(METADATA_KEY)
            if isinstance(noun, Tomogram):
                self._tomograms.setdefault(noun.name or layer.name, noun)

    def names(self) -> tuple[str, ...]:
        """Name the tomograms."""
        return tuple(self._tomograms)

    def tomogram(self, name: str) -> Tomogram:
        """Return a tomogram."""
        return self._tomograms[name].replace(name=name)

    def tilts(self, name: str) -> tuple[TiltSeries, Alignment]:
        """Refuse: a file of a tomogram does not say what it was made from."""
        raise MissingError(f"{name} was opened from a file, which does not say from which tilts; pick it in a project.")

    def open(self, name: str, job: int | None = None) -> None:
        """Bring a tomogram into view of the session, with the particles of it that are among the layers.

        There are no jobs here to choose from.
        """
        self.prepare(name)
        self.session.open(name)

    def prepare(self, name: str) -> None:
        """Have the picks of a tomogram at hand without looking at it."""
        has_particles = name not in self.session.tomograms and len(self._load(name, _FOUND)) > 0
        self.session.prepare(name, _FOUND if has_particles else 0)

    def named(self, name: str) -> str | None:
        """Find the tomogram that a table means by a name; None where it means none."""
        return series_named(name, self.names())

    def frame(self, name: str) -> TomogramFrame:
        """Return what tables are told of a tomogram."""
        return TomogramFrame.of(self.tomogram(name))

    def to_layers(self) -> None:
        """Put the picks of all tomograms that have changed among the layers, to be saved from there."""
        for name in self.session.unsaved():
            particles = self.session.begin_saving(name)
            for layer in [layer for layer in self.viewer.layers if layer.metadata.get("picks of") == name]:
                self.viewer.layers.remove(layer)
            for layer in show_noun(self.viewer, particles):
                layer.metadata["picks of"] = name
            self.session.note_saved(name, _FOUND)

    def close(self) -> None:
        """There is nothing to let go of."""

    def _load(self, name: str, job: int) -> ParticleSet:
        """Return the particles of the first layer that has some, as far as they are of this tomogram or of none."""
        for layer in self.viewer.layers:
            if isinstance(layer.metadata.get(METADATA_KEY), ParticleSet):
                particles = from_layer(layer.as_layer_data_tuple())
                if isinstance(particles, ParticleSet):
                    return particles[np.isin(particles.tomogram, ("", name))]
        return ParticleSet(centers_ang_zyx=np.zeros((0, 3)))
