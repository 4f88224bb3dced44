"""Layers that show placed averages: surfaces in 3-D, labels in slices, and the painted volume instead of either."""

from typing import Any

import numpy as np
from napari.layers import Labels, Layer, Surface
from napari.utils.colormaps import CyclicLabelColormap
from numpy.typing import NDArray

from napari_tomoflow.core.model import MappedBack, Tomogram
from napari_tomoflow.core.model.placement import LABEL
from napari_tomoflow.gui.layers import METADATA_KEY, SPECIMEN_AXES, tomogram_to_layer
from napari_tomoflow.gui.map_back.graphics import is_drawn_by_processor
from napari_tomoflow.gui.map_back.meshes import Mesh, first_hit, joined, mesh_of, placed_mesh
from napari_tomoflow.io.placement_colours import colours_of

Place = NDArray[np.float64]

_FACES, _FACES_OF_PROCESSOR = 1_000_000, 100_000
"""Of all surfaces together: what a graphics card turns without effort, and what a processor can keep up with."""

_FEWEST_FACES = 200
_SWOLLEN = 1.02
"""How much larger the chosen particle is drawn, so that it lies around itself."""

_ANG: dict[str, Any] = {"units": ("angstrom",) * 3, "axis_labels": SPECIMEN_AXES}


class PlacedScene:
    """What a viewer shows of placed averages.

    Parameters
    ----------
    viewer
    placed : MappedBack
    n_faces : int, optional
        Most triangles of all surfaces together; what suits whoever draws them by default.
    """

    def __init__(self, viewer: Any, placed: MappedBack, n_faces: int | None = None) -> None:
        self.viewer = viewer
        self.placed = placed
        self.is_painted = False
        if n_faces is None:
            n_faces = _FACES_OF_PROCESSOR if is_drawn_by_processor() else _FACES
        each = max(_FEWEST_FACES, n_faces // max(len(placed.particles), 1))
        self.meshes = {
            name: mesh_of(density, placed.levels[name], placed.voxel_ang, each) for name, density in placed.maps.items()
        }
        # Rows of the particles in the order their copies follow each other in the layer.
        self._order = np.concatenate([np.flatnonzero(placed.species == name) for name in self.meshes])
        self.surfaces = Surface(self._surface_data(), **self._named("averages"), shading="flat")
        self.labels = Labels(placed.labels, **self._named("labels"), **self._grid(), opacity=0.6)
        self.labels.editable = False
        self.painted = self._painted_layer()
        self.chosen = Surface(
            (np.zeros((3, 3)), np.array([[0, 1, 2]])), **self._named("chosen"), shading="flat",
            blending="translucent_no_depth", opacity=0.6,
        )  # fmt: skip  # seen through what lies before it
        self.layers = [self.painted, self.labels, self.surfaces, self.chosen]
        self.colour(placed.colour_by)
        for layer in self.layers:
            viewer.add_layer(layer)
        self.chosen.visible = False
        viewer.dims.events.ndisplay.connect(self._show_what_fits)
        self._show_what_fits()

    @property
    def n_faces(self) -> int:
        """Triangles of all surfaces together."""
        return len(self.surfaces.faces)

    @property
    def is_in_view(self) -> bool:
        """Whether any of the layers is seen."""
        return any(layer.visible and layer in self.viewer.layers for layer in self.layers)

    def colour(self, by: str) -> None:
        """Colour every particle by a column."""
        colours = colours_of(self.placed, by)
        corners = [len(self.meshes[name].corners_ang_zyx) for name in self.placed.species[self._order]]
        self.surfaces.vertex_colors = np.repeat(colours[self._order], corners, axis=0)
        # One colour for each label, so that none comes round again; a colour per label by name is compiled first.
        numbers = np.asarray(self.placed.particles.features[LABEL], np.int64)
        by_label = np.zeros((int(numbers.max(initial=0)) + 1, 4), np.float32)
        by_label[numbers] = np.column_stack([colours, np.ones(len(colours), np.float32)])
        self.labels.colormap = CyclicLabelColormap(colors=by_label)

    def show_painted(self, is_painted: bool) -> None:
        """Show the painted volume in place of surfaces and labels, or these again."""
        self.is_painted = is_painted
        self._show_what_fits()

    def choose(self, row: int) -> None:
        """Mark a particle."""
        mesh = self._mesh_at(row, _SWOLLEN)
        self.chosen.data = (mesh.corners_ang_zyx, mesh.faces, np.ones(len(mesh.corners_ang_zyx), np.float32))
        self.chosen.vertex_colors = np.ones((len(mesh.corners_ang_zyx), 3), np.float32)
        self._show_what_fits()

    def particle_on_ray(self, position_zyx: Place, direction_zyx: Place) -> int | None:
        """Find the particle whose surface a ray meets first: its row, None where it meets none."""
        particles = self.placed.particles
        direction = direction_zyx / np.linalg.norm(direction_zyx)
        apart = particles.centers_ang_zyx - position_zyx
        along = apart @ direction
        aside = np.linalg.norm(apart - along[:, None] * direction, axis=1)
        hits = {
            int(row): first_hit(self._mesh_at(int(row)), position_zyx, direction)
            for row in np.flatnonzero(aside < self._reach_ang())
        }
        nearest = min(hits, key=lambda row: hits[row], default=None)
        return nearest if nearest is not None and np.isfinite(hits[nearest]) else None

    def particle_at(self, position_zyx: Place) -> int | None:
        """Find the particle a place lies in, or next to: its row, None where it is too far from all."""
        away = np.linalg.norm(self.placed.particles.centers_ang_zyx - position_zyx, axis=1) / self._reach_ang()
        nearest = int(np.argmin(away))
        return nearest if away[nearest] <= 1.0 else None

    def close(self) -> None:
        """Take the layers out of the viewer."""
        self.viewer.dims.events.ndisplay.disconnect(self._show_what_fits)
        for layer in self.layers:
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)

    def _show_what_fits(self, event: Any = None) -> None:
        """Surfaces are for 3-D: in a slice they are but lines. Labels are for slices: in 3-D they hide each other."""
        in_space = self.viewer.dims.ndisplay == 3
        self.surfaces.visible = in_space and not self.is_painted
        self.labels.visible = not in_space and not self.is_painted
        self.painted.visible = self.is_painted
        self.chosen.visible = self.surfaces.visible and len(self.chosen.faces) > 1

    def _painted_layer(self) -> Layer:
        """Show the painted volume like any volume, of which no more is read than is looked at."""
        placed = self.placed
        volume = Tomogram(
            name=f"{placed.name} painted",
            volume=placed.painted,
            voxel_ang=placed.voxel_ang,
            origin_ang_zyx=placed.origin_ang_zyx,
            contrast="bright",
        )
        data, attributes, kind = tomogram_to_layer(volume)
        own = {"metadata": {}, "contrast_limits": (0.0, 2.0), "rendering": "iso", "iso_threshold": 1.0}
        return Layer.create(data, attributes | own | {"blending": "additive"}, kind)

    def _surface_data(self) -> tuple[Any, ...]:
        particles, species = self.placed.particles, self.placed.species
        copies = [
            placed_mesh(mesh, particles.centers_ang_zyx[species == name], particles.matrices[species == name])
            for name, mesh in self.meshes.items()
        ]
        whole = joined(copies)
        return whole.corners_ang_zyx, whole.faces

    def _mesh_at(self, row: int, scale: float = 1.0) -> Mesh:
        particles = self.placed.particles
        mesh = self.meshes[str(self.placed.species[row])]
        grown = Mesh(np.asarray(scale * mesh.corners_ang_zyx, np.float32), mesh.faces)
        return placed_mesh(grown, particles.centers_ang_zyx[[row]], particles.matrices[[row]])

    def _reach_ang(self) -> NDArray[np.float64]:
        return np.array([self.meshes[name].reach_ang for name in self.placed.species.tolist()])

    def _named(self, what: str) -> dict[str, Any]:
        metadata = {METADATA_KEY: self.placed} if what == "averages" else {}
        return {"name": f"{self.placed.name} {what}", "metadata": metadata, **_ANG}

    def _grid(self) -> dict[str, Any]:
        voxel, shape = self.placed.voxel_ang, self.placed.painted.shape
        corner = [at - voxel * (n // 2) for at, n in zip(self.placed.origin_ang_zyx, shape, strict=True)]
        return {"scale": (voxel,) * 3, "translate": tuple(corner)}
