"""Noun: averages at their places in a tomogram."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.density_map import DensityMap
from napari_tomoflow.core.model.noun import Array, Noun, per_item
from napari_tomoflow.core.model.particle_set import SPECIES, ParticleSet

LABEL = "placed_label"
"""Feature column: number of the particle in the labels."""

NEIGHBOUR_ANG = "neighbour_ang"
NEIGHBOUR_DEG = "neighbour_deg"
"""Feature columns: how far the nearest neighbour is, and how it is turned; NaN for none and for another species."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest neighbours of particles. Legend: N pairs, each from one particle's point of view.

    Attributes
    ----------
    of, other : int64[N]
        Rows of the particle and of its neighbour.
    rank : int64[N]
        1 for the nearest.
    distance_ang : float64[N]
    turned_deg : float64[N]
        Angle that turns one like the other; NaN between two species.
    direction_xyz : float64[N, 3]
        Unit vector to the neighbour in the frame of the particle's own reference.
    """

    of: NDArray[np.int64]
    other: NDArray[np.int64]
    rank: NDArray[np.int64]
    distance_ang: NDArray[np.float64]
    turned_deg: NDArray[np.float64]
    direction_xyz: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Check that all columns belong together."""
        per_item("Neighbours", len(self.of), **vars(self))

    @classmethod
    def none(cls) -> Self:
        """Return no pairs."""
        whole, real = np.zeros(0, np.int64), np.zeros(0)
        return cls(whole, whole, whole, real, real, np.zeros((0, 3)))


@dataclass(frozen=True, eq=False, kw_only=True)
class MappedBack(Noun):
    """A tomogram's averages at the poses of their particles.

    Attributes
    ----------
    name : str
        Name of the tomogram.
    painted : float32 array[nz, ny, nx]
        Density of the averages on the grid of the tomogram, dense matter bright; 1 at the surface of each.
    labels : integer array[nz, ny, nx]
        Whose body a voxel belongs to, a voxel beyond its surface included; 0 is nobody's.
    voxel_ang : float
    origin_ang_zyx : tuple of float
        As of the tomogram.
    particles : ParticleSet
        Those placed. Features: ``species``, ``placed_label`` and, of the nearest neighbour, ``neighbour_ang`` and
        ``neighbour_deg``.
    maps : mapping of str to DensityMap
        Species → the average placed.
    levels : mapping of str to float
        Species → its surface, in the units of its map.
    neighbours : Neighbours
    colour_by : {"species", "class", "score", "neighbour"}
        What colours are to tell.
    """

    name: str
    painted: Array
    labels: Array
    voxel_ang: float
    particles: ParticleSet
    maps: Mapping[str, DensityMap]
    levels: Mapping[str, float]
    neighbours: Neighbours = field(default_factory=Neighbours.none)
    origin_ang_zyx: tuple[float, float, float] = (0.0, 0.0, 0.0)
    colour_by: str = SPECIES

    def __post_init__(self) -> None:
        """Check that volumes, particles and maps belong together."""
        if tuple(self.painted.shape) != tuple(self.labels.shape):
            raise DataError(
                f"{self.name}: the painted volume has shape {tuple(self.painted.shape)}, its labels "
                f"{tuple(self.labels.shape)}; give both on the grid of the tomogram."
            )
        lacking = {str(name) for name in self.species} - (self.maps.keys() & self.levels.keys())
        if lacking:
            raise DataError(f"{self.name}: {min(lacking)} is placed, but its map or its surface level is not given.")

    @property
    def species(self) -> NDArray[np.str_]:
        """Species of each particle."""
        return self.particles.species

    def column(self, name: str) -> NDArray[np.generic]:
        """Return what colours may tell of each particle: text for species and class, else numbers.

        Raises
        ------
        DataError
            There is no such column.
        """
        particles = self.particles
        if name == "class":
            return particles.class_ids.astype(np.str_)
        if name == "score":
            return particles.score
        feature = {"neighbour": NEIGHBOUR_ANG}.get(name, name)
        if feature not in particles.features:
            raise DataError(
                f"{self.name}: particles cannot be coloured by {name!r}; choose species, class, score, neighbour"
                " or one of their features."
            )
        return np.asarray(particles.features[feature])
