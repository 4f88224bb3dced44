"""What is looked at and what is chosen: maps of a species, and the particles of it that are good enough."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Average, Classes, DensityMap, FinishedMap, ParticleSet

Image = NDArray[np.float32]
Shown = Average | Classes | DensityMap | FinishedMap

_HALVES = ("half 1", "half 2")


def _nobody() -> ParticleSet:
    return ParticleSet(centers_ang_zyx=np.zeros((0, 3)))


@dataclass
class Session:
    """Maps that are open, all on one grid.

    Attributes
    ----------
    name : str
    volumes : mapping of str to array [n, n, n]
        What can be shown, by name; the first is shown first.
    voxel_ang : float
    symmetry : str
    quality : mapping
        What the stage has left.
    particles : ParticleSet
        Those the maps are of; none where a map stands alone.
    lowest : float
        Particles of a lower score are not chosen; -inf chooses all.
    """

    name: str
    volumes: Mapping[str, Any]
    voxel_ang: float
    symmetry: str
    quality: Mapping[str, Any]
    particles: ParticleSet = field(default_factory=_nobody)
    lowest: float = float("-inf")

    @classmethod
    def of(cls, shown: Shown) -> Self:
        """Open a noun that holds maps."""
        if isinstance(shown, Average):
            return cls._of_map(shown.map, shown.quality, shown.particles)
        if isinstance(shown, DensityMap):
            return cls._of_map(shown, shown.quality, _nobody())
        if isinstance(shown, FinishedMap):
            named = {
                "sharpened": shown.volume, "locally filtered": shown.local_volume,
                "local resolution (Å)": shown.local_resolution_ang, **dict(zip(_HALVES, shown.halves, strict=True)),
                "mask": shown.mask,
            }  # fmt: skip
            volumes = {name: volume for name, volume in named.items() if volume is not None}
            return cls(shown.name, volumes, shown.voxel_ang, shown.symmetry, shown.quality)
        first = shown.maps[0]
        volumes = {f"class {number}": one.volume for number, one in enumerate(shown.maps, start=1)}
        return cls(first.name, volumes, first.voxel_ang, first.symmetry, shown.quality, shown.particles)

    @classmethod
    def _of_map(cls, density: DensityMap, quality: Mapping[str, Any], particles: ParticleSet) -> Self:
        halves = () if density.halves is None else zip(_HALVES, density.halves, strict=True)
        volumes = {"map": density.volume, **dict(halves)} | ({} if density.mask is None else {"mask": density.mask})
        return cls(density.name, volumes, density.voxel_ang, density.symmetry, quality, particles)

    @property
    def shape_zyx(self) -> tuple[int, int, int]:
        """Shape of every volume."""
        nz, ny, nx = next(iter(self.volumes.values())).shape
        return int(nz), int(ny), int(nx)

    @property
    def chosen(self) -> NDArray[np.bool_]:
        """Which particles are good enough; those without a score are."""
        return np.asarray(~(self.particles.score < self.lowest))

    @property
    def has_choice(self) -> bool:
        """Whether some, and not all, are chosen."""
        return bool(self.chosen.any() and not self.chosen.all())

    def slices(self, name: str, place_zyx: tuple[int, int, int]) -> dict[str, Image]:
        """Cut a volume along the planes through a voxel: ``xy``, ``xz``, ``yz``."""
        z, y, x = place_zyx
        volume = self.volumes[name]
        planes = {"xy": volume[z], "xz": volume[:, y], "yz": volume[:, :, x]}
        return {plane: np.asarray(image, np.float32) for plane, image in planes.items()}

    def selected(self) -> tuple[ParticleSet, str]:
        """Return the chosen particles, and the note that says how they were chosen.

        Raises
        ------
        DataError
            None or all of them are.
        """
        particles, chosen = self.particles, self.chosen
        if not self.has_choice:
            raise DataError(
                f"{int(chosen.sum())} of {len(particles)} particles score at least {self.lowest:.4g}; "
                "drag the line in the histogram to where some are left out."
            )
        kept = particles[chosen]
        left_out = len(particles) - len(kept)
        return kept, f"Left out {left_out} of {len(particles)} particles, those that score below {self.lowest:.4g}."

    def words(self) -> str:
        """Say in a line or two what is open and how good it is."""
        found, counted = self.quality.get("resolution_ang"), self.quality.get("counted", len(self.particles))
        said = f"{len(self.particles)} particles, {counted} counted · " if len(self.particles) else ""
        grid = " × ".join(str(n) for n in self.shape_zyx[::-1])
        resolution = "no resolution known" if found is None else f"resolution {found:.1f} Å (FSC 0.143)"
        return f"{said}{self.symmetry} · {grid} voxels of {self.voxel_ang:.4g} Å<br>{resolution}"
