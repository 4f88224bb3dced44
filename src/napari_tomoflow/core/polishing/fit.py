"""Parameters of all blocks that make a set of agreement maps likeliest, fitted together.

The objective is a log posterior: the agreement, which is a log likelihood, less half the sum of squares of parameters
given in units of their expected size. Slopes are exact, and each variable is scaled by how sharply it is told, so that
few steps of L-BFGS suffice.

Legend: T tilts in use, P particles.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from napari_tomoflow.core.polishing.blocks import Block
from napari_tomoflow.core.polishing.correlation import AgreementMaps

Floats = NDArray[np.float64]

_STEPS = 60
_CLOSE = 0.02
"""Gain in log likelihood below which a step is the last."""


@dataclass(frozen=True, eq=False)
class Sight:
    """All that one series shows of its particles, species one after the other.

    Attributes
    ----------
    maps : tuple of AgreementMaps
        Of each species.
    curvatures : float64[T]
        How sharply an image of each tilt tells where its particle lies, per Å².
    """

    maps: tuple[AgreementMaps, ...]
    curvatures: Floats

    @classmethod
    def of(cls, maps: Sequence[AgreementMaps]) -> "Sight":
        """Join species."""
        counts = [one.splines.shape[1] for one in maps]
        curvatures = np.average([one.curvatures() for one in maps], axis=0, weights=counts)
        return cls(tuple(maps), curvatures)

    @property
    def n_particles(self) -> int:
        """Number of particles, P."""
        return sum(one.splines.shape[1] for one in self.maps)

    def of_particles(self, chosen: NDArray[np.int64]) -> "Sight":
        """Keep some particles, given by increasing numbers."""
        starts = np.cumsum([0] + [one.splines.shape[1] for one in self.maps])
        kept = []
        for one, start, end in zip(self.maps, starts, starts[1:], strict=False):
            here = chosen[(chosen >= start) & (chosen < end)] - start
            kept.append(AgreementMaps(np.ascontiguousarray(one.splines[:, here]), one.step_ang))
        return Sight(tuple(kept), self.curvatures)

    def read(self, offsets_ang: Floats) -> tuple[Floats, Floats]:
        """Return agreements and their slopes; see `AgreementMaps.read`."""
        values, slopes, start = [], [], 0
        for one in self.maps:
            end = start + one.splines.shape[1]
            value, slope = one.read(offsets_ang[:, :, start:end])
            values.append(value)
            slopes.append(slope)
            start = end
        return np.concatenate(values, axis=1), np.concatenate(slopes, axis=2)


@dataclass(frozen=True, eq=False)
class Fit:
    """Where a fit ended.

    Attributes
    ----------
    values : tuple of arrays
        Parameters of each block, in units of their expected size.
    offsets_ang : float64[T, 2, P]
    """

    values: tuple[Floats, ...]
    offsets_ang: Floats


def fitted(sight: Sight, blocks: Sequence[Block], counted: Floats | None = None, base_ang: Floats | None = None) -> Fit:
    """Find the parameters of some blocks that make what is seen likeliest.

    Parameters
    ----------
    sight : Sight
    blocks : sequence of Block
    counted : float64[T, P], optional
        How much each image counts; all alike by default.
    base_ang : float64[T, 2, P], optional
        Offsets that are there in any case.
    """
    shape = (len(sight.curvatures), 2, sight.n_particles)
    packing = _Packing(
        sight,
        blocks,
        np.ones(shape[::2]) if counted is None else counted,
        np.zeros(shape) if base_ang is None else base_ang,
    )
    start = np.zeros(packing.ends[-1])
    found = minimize(
        packing.loss, start, jac=True, method="L-BFGS-B",
        options={"maxiter": _STEPS, "ftol": _CLOSE / max(abs(packing.loss(start)[0]), 1.0), "gtol": 0.0, "maxcor": 12},
    )  # fmt: skip
    values = packing.values(found.x)
    return Fit(values, packing.offsets(values))


class _Packing:
    """All parameters as one vector, each entry scaled by how sharply it is told."""

    def __init__(self, sight: Sight, blocks: Sequence[Block], counted: Floats, base_ang: Floats) -> None:
        self._sight, self._blocks, self._counted, self._base = sight, blocks, counted, base_ang
        sharp = sight.curvatures[:, None] * counted
        self._scales = [1.0 / np.sqrt(1.0 + block.sharpness(sharp)) for block in blocks]
        self.ends = np.cumsum([0] + [scale.size for scale in self._scales])

    def values(self, packed: Floats) -> tuple[Floats, ...]:
        """Take a vector apart."""
        parts = [packed[start:end] for start, end in zip(self.ends, self.ends[1:], strict=False)]
        return tuple(part.reshape(scale.shape) * scale for part, scale in zip(parts, self._scales, strict=True))

    def offsets(self, values: Sequence[Floats]) -> Floats:
        """Add up what all blocks do."""
        moved = self._base.copy()
        for block, value in zip(self._blocks, values, strict=True):
            moved += block.offsets(value)
        return moved

    def loss(self, packed: Floats) -> tuple[float, Floats]:
        """Return the negative log posterior and its slopes."""
        values = self.values(packed)
        agreement, slopes = self._sight.read(self.offsets(values))
        slopes *= self._counted[:, None]
        prior = 0.5 * sum(float(np.sum(value**2)) for value in values)
        by_block = [
            ((value - block.pulled(slopes)) * scale).ravel()
            for block, value, scale in zip(self._blocks, values, self._scales, strict=True)
        ]
        return prior - float(np.sum(self._counted * agreement)), np.concatenate(by_block)
