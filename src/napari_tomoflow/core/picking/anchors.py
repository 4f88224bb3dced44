"""Clicked points sorted into the shapes they belong to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import MissingError
from napari_tomoflow.core.model import ParticleSet

Floats = NDArray[np.float64]

MODEL_COLUMNS = ("model", "contour", "rlnHelicalTubeID")
"""Columns that tell which points belong to one shape, the first there is: our own, IMOD's, RELION's."""

_ROLE = "role"
_OUTSIDE, _INSIDE = "outside", "inside"


@dataclass(frozen=True, eq=False)
class Anchors:
    """The points one shape is fitted to.

    Attributes
    ----------
    points_ang_zyx : float64[N, 3]
        In the order they were clicked.
    outside_ang_zyx : float64[3] or None
        A place said to lie outside.
    tomogram, species : str
    model : int or str
        Number or name of the shape.
    """

    points_ang_zyx: Floats
    outside_ang_zyx: Floats | None = None
    tomogram: str = ""
    species: str = ""
    model: int | str = 1

    @property
    def name(self) -> str:
        """What the shape is called in messages."""
        return " ".join(filter(None, (self.species, str(self.model))))


def in_tomogram(particles: ParticleSet, name: str) -> ParticleSet:
    """Return the particles of one tomogram; those of no tomogram belong to any.

    Raises
    ------
    MissingError
        There are none.
    """
    chosen = (particles.tomogram == name) | (particles.tomogram == "")
    if not chosen.any():
        others = ", ".join(sorted(set(particles.tomogram.tolist()))[:5])
        raise MissingError(f"No point lies in {name}: the table names {others or 'none'}; give points of {name}.")
    return particles[chosen].replace(tomogram=np.array(name))


def sorted_anchors(particles: ParticleSet) -> list[Anchors]:
    """Sort points into shapes by tomogram, species and number of the shape, in the order of their first points.

    A column ``role`` may say of a point that it is ``outside`` or ``inside``: it is then no part of the shape
    but tells its sides.
    """
    p = len(particles)
    species = particles.species
    numbers = next((particles.features[name] for name in MODEL_COLUMNS if name in particles.features), np.ones(p, int))
    roles = np.asarray(particles.features.get(_ROLE, np.full(p, "")), np.str_)
    keys = list(zip(particles.tomogram.tolist(), species.tolist(), np.asarray(numbers).tolist(), strict=True))
    shapes = []
    for key in dict.fromkeys(keys):
        own = np.array([one == key for one in keys])
        points = particles.centers_ang_zyx[own & ~np.isin(roles, (_OUTSIDE, _INSIDE))]
        outside = _told_outside(points, particles.centers_ang_zyx[own], roles[own])
        tomogram, kind, number = key
        model = int(number) if isinstance(number, float) and number.is_integer() else number
        shapes.append(Anchors(points, outside, tomogram, kind, model))
    return shapes


def _told_outside(points: Floats, marked: Floats, roles: NDArray[np.str_]) -> Floats | None:
    """Return a place outside the shape, if a point was said to be one, or the mirror image of one inside."""
    if (roles == _OUTSIDE).any():
        return np.asarray(marked[roles == _OUTSIDE][0])
    if (roles == _INSIDE).any() and len(points):
        inside = marked[roles == _INSIDE][0]
        nearest = points[np.sum((points - inside) ** 2, axis=1).argmin()]
        return np.asarray(2.0 * nearest - inside)
    return None
