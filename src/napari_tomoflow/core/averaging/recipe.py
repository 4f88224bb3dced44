"""How particles are refined, and on what grids."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ops.fourier import next_fast_size
from napari_tomoflow.core.ops.masks import soft_sphere

Reals = NDArray[np.float32]

_HEADROOM = 1.5
"""Finest frequency of an iteration's grid over the one known so far: so far the next may come."""

_SPARE_SHELLS = 3.0
_LEAST_BOX_PX = 24
_FULL_SHARE = 0.85
"""Share of the last box from which on it is used itself."""


@dataclass(frozen=True)
class Recipe:
    """How particles are refined.

    Attributes
    ----------
    box_px, pixel_ang
        Of the last iteration.
    diameter_ang : float
    start_ang : float
        Resolution of the starting map that either half sees.
    symmetry : str
    reach_ang : float
        How far a particle may move in the first iteration and in any that searches everywhere; a third of it in others.
    iterations : int
        At most.
    search : {"auto", "global", "local"}
        Everywhere in the first two iterations, in all, or in none.
    left_out : float
        Share of the particles, those of the lowest scores, that do not count in the averages.
    seed : int
        Of random phases.
    tight_mask : bool
        Whether the mask is drawn about what has appeared, within the one given.
    local_filter : bool
        Whether halves are filtered by how far they agree around each voxel before particles are aligned with them.
    """

    box_px: int
    pixel_ang: float
    diameter_ang: float
    start_ang: float
    symmetry: str = "C1"
    reach_ang: float = 30.0
    iterations: int = 12
    search: Literal["auto", "global", "local"] = "auto"
    left_out: float = 0.03
    seed: int = 1
    tight_mask: bool = False
    local_filter: bool = False

    @property
    def width_ang(self) -> float:
        """Width of all boxes."""
        return self.box_px * self.pixel_ang

    @property
    def coarsest(self) -> float:
        """Frequency of detail as coarse as the particle, in steps of the box."""
        return self.width_ang / self.diameter_ang

    def box_for(self, radius: float) -> int:
        """Choose the box of an iteration that knows detail up to a radius, in steps of the box."""
        wanted = next_fast_size(max(int(np.ceil(2 * (_HEADROOM * radius + _SPARE_SHELLS))), _LEAST_BOX_PX))
        wanted += wanted % 2
        return self.box_px if wanted > _FULL_SHARE * self.box_px else wanted

    def everywhere(self, iteration: int) -> bool:
        """Tell whether an iteration searches everywhere."""
        return self.search == "global" or (self.search == "auto" and iteration < 2)


def ball(recipe: Recipe) -> Reals:
    """Return a ball that holds the particle, with room for its edge."""
    return soft_sphere(recipe.box_px, 0.5 * recipe.diameter_ang / recipe.pixel_ang + 2.0)
