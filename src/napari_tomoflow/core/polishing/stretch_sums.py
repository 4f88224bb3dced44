"""What images say of being stretched: sums over rings of them, made once for any small stretch.

An image that shows its specimen at frequencies (1 + δ) k instead of k, with δ small, shows of the map not the slice S
but ``S + Σ p_j G_j``, where δ = Σ p_j E_j and G_j is how S changes along the frequencies E_j k. So with w what
exposure, tilt and noise leave of an image X, and γ the phase of its CTF::

    agreement(p) = Σ w Re X (S + Σ p_j G_j)* sin γ          power(p) = Σ w² |S + Σ p_j G_j|² sin² γ

are linear and quadratic in p. The noise of the average adds to the power, so that a fit to these falls short; the power
that two averages have in common, S and G of the one with S* and G* of the other, knows of none.

E are the two ways to stretch along one direction as much as to shrink across it: what makes images larger is the pixel
of the map, and what turns them the tilt axis.

Legend: R rings, K frequencies, P particles.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.images import Indices
from napari_tomoflow.core.averaging.series_images import DatasetImages
from napari_tomoflow.core.polishing.defocus_sums import Band, Comparison, Rings, Slices

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Waves = NDArray[np.complex64]

STRETCHES: Floats = np.array([[[1.0, 0.0], [0.0, -1.0]], [[0.0, 1.0], [1.0, 0.0]]])
"""E: along x and across it, and along the diagonal and across it."""

_RINGS = 32


@dataclass(frozen=True, eq=False)
class StretchSums:
    """Sums over rings.

    Attributes
    ----------
    products : float64[3, R]
        Of images with S, G₁ and G₂.
    squares : float64[3, 3, R]
        Of S, G₁ and G₂ with each other.
    common : float64[3, 3, R]
        Of S, G₁ and G₂ with those of the other half's average.
    """

    products: Floats
    squares: Floats
    common: Floats

    @classmethod
    def joined(cls, parts: "Sequence[StretchSums]") -> "StretchSums":
        """Put the rings of different series side by side."""
        columns = zip(*((one.products, one.squares, one.common) for one in parts), strict=True)
        products, squares, common = (np.concatenate(column, axis=-1) for column in columns)
        return cls(products, squares, common)

    def __add__(self, other: "StretchSums") -> "StretchSums":
        """Pool particles."""
        return StretchSums(self.products + other.products, self.squares + other.squares, self.common + other.common)

    def measured(self, stretch: Floats, squares: Floats | None = None) -> tuple[Floats, Floats]:
        """Return agreement and power of every ring for p of shape (2,), with these squares or others: float64[R]."""
        shares = np.array([1.0, *stretch])
        power = np.einsum("i,ijr,j->r", shares, self.squares if squares is None else squares, shares)
        return shares @ self.products, power


@dataclass(frozen=True, eq=False)
class SumStretches:
    """Sums up over all tilts what some particles of a series say; fit to be sent to another process.

    Attributes
    ----------
    comparison : Comparison
    slopes : pair of Slopes
        Of the average of either half.
    """

    comparison: Comparison
    slopes: "tuple[Slopes, Slopes]"

    @classmethod
    def of(cls, source: DatasetImages, name: str, halves: tuple[Reals, Reals], band: Band) -> "SumStretches":
        """Prepare to compare the particles of a series; see `Comparison.of`."""
        comparison = Comparison.of(source, name, halves, band)
        pixel_ang = source.of_series(name).pixel_ang
        first, second = (Slopes(half, comparison.rings, pixel_ang) for half in halves)
        return cls(comparison, (first, second))

    def __call__(self, chosen: Indices) -> StretchSums:
        """Work on some particles of one half."""
        source, rings = self.comparison.source, self.comparison.rings
        half, name = int(source.particles.half[chosen[0]]), str(source.particles.tomogram[chosen[0]])
        models = list(zip(self.comparison.models, self.slopes, strict=True))
        upright = np.linalg.inv(source.of_series(name).optics.stretch)
        ring = _ring_of(rings)
        products, squares, common = np.zeros((3, _RINGS)), *np.zeros((2, 3, 3, _RINGS))
        for view in self.comparison.views(chosen):
            seen = view.sine * view.visible[:, None]
            images, power = view.images * seen, view.power * seen**2
            other, own = (
                [model(rings, view.turns), *slopes(rings, view.turns, upright @ view.turns)]
                for model, slopes in (models[2 - half], models[half - 1])
            )
            for i, one in enumerate(other):
                products[i] += _summed(ring, images * one.conj())
                for j in range(3):
                    squares[i, j] += _summed(ring, power * one * other[j].conj())
                    common[i, j] += _summed(ring, power * one * own[j].conj())
        return StretchSums(products, squares, (common + common.swapaxes(0, 1)) / 2)


class Slopes:
    """How the slices of a map change as its frequencies are stretched.

    A map times a coordinate is, over −2πi, the slope of its transform along that coordinate.
    """

    def __init__(self, volume: Reals, rings: Rings, pixel_ang: float) -> None:
        offset_ang = ((np.arange(len(volume)) - len(volume) // 2) * pixel_ang).astype(np.float32)
        along_xyz = (offset_ang, offset_ang[:, None], offset_ang[:, None, None])
        self._moments = tuple(Slices(volume * along, rings) for along in along_xyz)
        self._changes = STRETCHES @ rings.frequency_inv_ang_yx[::-1]

    def __call__(self, rings: Rings, turns: Floats, upright: Floats) -> Iterator[Waves]:
        """Return G₁ and G₂, complex64[P, K] each, for rotations from map to image, as seen and without the stretch."""
        moments = [one(rings, turns) for one in self._moments]
        along_x, along_y = (
            sum(upright[:, row, axis, None] * moment for axis, moment in enumerate(moments)) for row in (0, 1)
        )
        for change_x, change_y in self._changes:
            yield np.asarray(-2j * np.pi * (change_x * along_x + change_y * along_y), np.complex64)


def _ring_of(rings: Rings) -> Indices:
    """Return the ring of each frequency: int64[K]."""
    k_inv_ang = np.hypot(*rings.frequency_inv_ang_yx)
    return np.asarray(np.minimum(k_inv_ang / k_inv_ang.max() * _RINGS, _RINGS - 1), np.int64)


def _summed(ring: Indices, values: NDArray[np.complex64]) -> Floats:
    """Sum the real part over particles and each ring: float64[R]."""
    return np.asarray(np.bincount(ring, values.real.sum(axis=0, dtype=np.float64), _RINGS), np.float64)
