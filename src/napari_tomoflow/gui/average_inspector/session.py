"""What is looked at and what is chosen: an average, and the particles of it that are good enough."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Average, ParticleSet

Image = NDArray[np.float32]

MAP, MASK = "map", "mask"
_HALVES = ("half 1", "half 2")


@dataclass
class Session:
    """An average that is open.

    Attributes
    ----------
    average : Average
    lowest : float
        Particles of a lower score are not chosen; -inf chooses all.
    """

    average: Average
    lowest: float = float("-inf")

    @property
    def volumes(self) -> dict[str, Any]:
        """What can be shown, by name."""
        density = self.average.map
        volumes = {MAP: density.volume}
        if density.halves is not None:
            volumes |= dict(zip(_HALVES, density.halves, strict=True))
        return volumes | ({} if density.mask is None else {MASK: density.mask})

    @property
    def chosen(self) -> NDArray[np.bool_]:
        """Which particles are good enough; those without a score are."""
        return np.asarray(~(self.average.particles.score < self.lowest))

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
        particles, chosen = self.average.particles, self.chosen
        if not self.has_choice:
            raise DataError(
                f"{int(chosen.sum())} of {len(particles)} particles score at least {self.lowest:.4g}; "
                "drag the line in the histogram to where some are left out."
            )
        kept = particles[chosen]
        left_out = len(particles) - len(kept)
        return kept, f"Left out {left_out} of {len(particles)} particles, those that score below {self.lowest:.4g}."


def words_of(average: Average) -> str:
    """Say in a line or two what an average is and how good."""
    density, quality = average.map, average.quality
    found = quality.get("resolution_ang")
    counted = quality.get("counted", len(average.particles))
    said = f"{len(average.particles)} particles, {counted} counted" if len(average.particles) else "no particles"
    grid = " × ".join(str(n) for n in density.volume.shape[::-1])
    resolution = "no resolution known" if found is None else f"resolution {found:.1f} Å (FSC 0.143)"
    return f"{said} · {density.symmetry} · {grid} voxels of {density.voxel_ang:.4g} Å<br>{resolution}"
