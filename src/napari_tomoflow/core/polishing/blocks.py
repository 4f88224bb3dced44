"""Blocks of parameters that say how images move: each is linear, and its parameters are in units of what is expected.

Every block turns its parameters into offsets of all particles in all tilts, float64[T, 2, P] along y and x in Å, and
slopes with respect to these back into slopes with respect to itself.

Legend: T tilts in use, P particles, B shapes over the specimen, K shapes over the exposure, Q parameters of a tilt.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Block(Protocol):
    """A set of parameters that is accepted or declined as a whole."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the parameters."""

    def offsets(self, values: Floats) -> Floats:
        """Return by how much images move: float64[T, 2, P], Å."""

    def pulled(self, slopes: Floats) -> Floats:
        """Return the slopes with respect to the parameters: the transpose of `offsets`."""

    def sharpness(self, curvatures: Floats) -> Floats:
        """Return how sharply each parameter is told, given how sharply each image tells a place, [T, P] per Å²."""


@dataclass(frozen=True, eq=False)
class PerTilt:
    """Parameters of each tilt by itself.

    Attributes
    ----------
    slopes_ang : float64[T, 2, P, Q]
        Å by which an image moves when a parameter is of its expected size.
    """

    slopes_ang: Floats

    @property
    def shape(self) -> tuple[int, ...]:
        """T, Q."""
        return self.slopes_ang.shape[0], self.slopes_ang.shape[3]

    def offsets(self, values: Floats) -> Floats:
        """See `Block`."""
        t, _, p, q = self.slopes_ang.shape
        return np.asarray((self.slopes_ang.reshape(t, 2 * p, q) @ values[..., None]).reshape(t, 2, p))

    def pulled(self, slopes: Floats) -> Floats:
        """See `Block`."""
        t, _, p, q = self.slopes_ang.shape
        return np.asarray((slopes.reshape(t, 1, 2 * p) @ self.slopes_ang.reshape(t, 2 * p, q))[:, 0])

    def sharpness(self, curvatures: Floats) -> Floats:
        """See `Block`."""
        return np.asarray(np.einsum("tcpq,tp->tq", self.slopes_ang**2, curvatures))


@dataclass(frozen=True, eq=False)
class InSpace:
    """Motion of the specimen along x, y and z, alike for what lies close together and is exposed alike.

    Attributes
    ----------
    rows : float64[T, 2, 3]
        Rows y and x of R of each tilt.
    growth_ang : float64[T, K]
        Shapes over the exposure, Å.
    over : float64[P, B] or None
        Shapes over the specimen; every particle by itself where there are none.
    count : int
        Number of particles, P.
    """

    rows: Floats
    growth_ang: Floats
    over: Floats | None
    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        """B, K, 3."""
        shapes = self.count if self.over is None else self.over.shape[1]
        return shapes, self.growth_ang.shape[1], 3

    @property
    def _views(self) -> Floats:
        """How images move with each shape over the exposure along each axis: float64[T, 2, K · 3]."""
        return np.asarray(np.einsum("tca,tk->tcka", self.rows, self.growth_ang).reshape(len(self.rows), 2, -1))

    def offsets(self, values: Floats) -> Floats:
        """See `Block`."""
        each = values.reshape(len(values), -1)
        moved = each if self.over is None else self.over @ each
        return np.asarray(self._views @ moved.T)

    def pulled(self, slopes: Floats) -> Floats:
        """See `Block`."""
        views = self._views
        each = slopes.reshape(-1, self.count).T @ views.reshape(-1, views.shape[2])
        return np.asarray((each if self.over is None else self.over.T @ each).reshape(self.shape))

    def sharpness(self, curvatures: Floats) -> Floats:
        """See `Block`."""
        each = curvatures.T @ np.sum(self._views**2, axis=1)
        return np.asarray((each if self.over is None else (self.over**2).T @ each).reshape(self.shape))
