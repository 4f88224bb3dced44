"""What goes wrong at a microscope: dead images, grid bars, angles on file that belong to another image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.simulation.params import SimulateParams

Floats = NDArray[np.float64]

_DEAD_LIGHT, _SHADOW_LIGHT = 0.02, 0.05


@dataclass(frozen=True)
class Faults:
    """Which tilts are spoilt, and how.

    Attributes
    ----------
    dead : tuple of int
        Next to no electrons and no specimen.
    shadowed : tuple of int
        A grid bar covers one side.
    swapped : tuple of (int, int)
        Images that carry each other's angle on file.
    """

    dead: tuple[int, ...] = ()
    shadowed: tuple[int, ...] = ()
    swapped: tuple[tuple[int, int], ...] = ()

    def angles_on_file(self, tilt_deg: Floats) -> Floats:
        """Return the nominal angles as written down."""
        written = tilt_deg.copy()
        for first, second in self.swapped:
            written[[first, second]] = tilt_deg[[second, first]]
        return written

    def spoil(self, tilt: int, counts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the expected counts of a tilt with its fault, if it has one."""
        if tilt in self.dead:
            return np.full_like(counts, _DEAD_LIGHT * counts.mean())
        if tilt in self.shadowed:
            nx = counts.shape[1]
            # The bar's edge is out of focus: soft over some percent of the width.
            edge = 1.0 / (1.0 + np.exp((0.3 * nx - np.arange(nx, dtype=np.float32)) / (0.015 * nx)))
            return np.asarray(counts * (_SHADOW_LIGHT + (1 - _SHADOW_LIGHT) * edge), np.float32)
        return counts


def draw_faults(params: SimulateParams, tilt_deg: Floats, rng: np.random.Generator) -> Faults:
    """Choose the tilts to spoil: the bar at the highest ones, the rest anywhere."""
    by_steepness = np.argsort(-np.abs(tilt_deg), kind="stable")
    shadowed = by_steepness[: params.n_shadowed_tilts]
    others = rng.permutation(by_steepness[params.n_shadowed_tilts :])
    swapped = others[params.n_dead_tilts :][: 2 * params.n_swapped_tilts].reshape(-1, 2)
    return Faults(
        dead=tuple(sorted(map(int, others[: params.n_dead_tilts]))),
        shadowed=tuple(sorted(map(int, shadowed))),
        swapped=tuple((int(first), int(second)) for first, second in swapped),
    )
