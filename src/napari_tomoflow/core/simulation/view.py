"""Which scatterers one tilt sees, and where."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ops.geometry import project_points
from napari_tomoflow.core.simulation.deformation import Deformation
from napari_tomoflow.core.simulation.molecules import Matter
from napari_tomoflow.core.simulation.specimen import Population

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """Scatterers as one tilt sees them. Legend: S scatterers.

    Attributes
    ----------
    points_ang_zyx : float32[S, 3]
        (height, v, u): Å from the image centre, the height along the beam.
    weights : float32[S]
        V·Å³.
    sigmas_ang : float32[S]
        Standard deviation of each.
    """

    points_ang_zyx: Reals
    weights: Reals
    sigmas_ang: Reals

    def __len__(self) -> int:
        """Return the number of scatterers."""
        return len(self.weights)


def look(populations: list[Population], matter: Matter, image_from_sample: Floats, half_ang_zyx: Floats) -> View:
    """Take every scatterer of one kind of matter to where a tilt sees it.

    Parameters
    ----------
    populations
    matter
        Only objects made of this.
    image_from_sample : float64[3, 4]
        Of the tilt, from `Alignment.image_from_sample`.
    half_ang_zyx : float64[3]
        Half the size of what is in view; objects wholly beyond it are left out.
    """
    parts = [
        _look_at(population, image_from_sample, half_ang_zyx)
        for population in populations
        if population.species.matter == matter
    ]
    if not parts:
        return View(np.zeros((0, 3), np.float32), np.zeros(0, np.float32), np.zeros(0, np.float32))
    points, weights, sigmas = (np.concatenate(column) for column in zip(*parts, strict=True))
    return View(points, weights, sigmas)


def bent(populations: list[Population], deformation: Deformation | None, dose_e_ang2: float) -> list[Population]:
    """Move every object by the deformation at its centre; each is small against the field's waves."""
    if deformation is None:
        return populations
    return [
        Population(
            one.species,
            one.centers_ang_zyx + deformation.displacement(one.centers_ang_zyx, dose_e_ang2),
            one.quaternions_xyzw,
        )
        for one in populations
    ]


def _look_at(population: Population, image_from_sample: Floats, half_ang_zyx: Floats) -> tuple[Reals, Reals, Reals]:
    species = population.species
    centers_yx, heights = project_points(image_from_sample[None], population.centers_ang_zyx)
    centers_zyx = np.concatenate([heights[0][:, None], centers_yx[0]], axis=1)
    seen = np.all(np.abs(centers_zyx) <= half_ang_zyx + species.radius_ang, axis=1)
    turns = image_from_sample[:, :3] @ population.matrices[seen]
    # Rows (x, y, z) of a turn, taken backwards, give (height, v, u).
    zyx_from_xyz = np.swapaxes(turns[:, ::-1], 1, 2).astype(np.float32)
    local_zyx = species.points_ang_xyz.astype(np.float32) @ zyx_from_xyz
    points = (local_zyx + centers_zyx[seen][:, None].astype(np.float32)).reshape(-1, 3)
    count = int(seen.sum())
    weights = np.tile(species.weights.astype(np.float32), count)
    return points, weights, np.full(len(weights), species.sigma_ang, np.float32)
