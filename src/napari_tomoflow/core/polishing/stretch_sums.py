"""What images say of being stretched: sums over rings of them, made once for any small stretch.

An image that shows its specimen at frequencies (1 + δ) k instead of k, with δ small, shows of the map not the slice S
but ``S + Σ p_j G_j``, where δ = Σ p_j E_j and G_j is how S changes along the frequencies E_j k. So with w what
exposure, tilt and noise leave of an image X, and γ the phase of its CTF::

    agreement(p) = Σ w Re X (S + Σ p_j G_j)* sin γ          power(p) = Σ w² |S + Σ p_j G_j|² sin² γ

are linear and quadratic in p. E are the two ways to stretch along one direction as much as to shrink across it: what
makes images larger is the pixel of the map, and what turns them the tilt axis.

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
    """

    products: Floats
    squares: Floats

    @classmethod
    def joined(cls, parts: "Sequence[StretchSums]") -> "StretchSums":
        """Put the rings of different series side by side."""
        products, squares = (
            np.concatenate([getattr(one, name) for one in parts], axis=-1) for name in ("products", "squares")
        )
        return cls(products, squares)

    def __add__(self, other: "StretchSums") -> "StretchSums":
        """Pool particles."""
        return StretchSums(self.products + other.products, self.squares + other.squares)

    def measured(self, stretch: Floats) -> tuple[Floats, Floats]:
        """Return agreement and power of every ring, float64[R] each, for p of shape (2,)."""
        shares = np.array([1.0, *stretch])
        return shares @ self.products, np.einsum("i,ijr,j->r", shares, self.squares, shares)


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
        model, slopes = self.comparison.models[2 - half], self.slopes[2 - half]
        upright = np.linalg.inv(source.of_series(name).optics.stretch)
        ring = _ring_of(rings)
        products, squares = np.zeros((3, _RINGS)), np.zeros((3, 3, _RINGS))
        for view in self.comparison.views(chosen):
            seen = view.sine * view.visible[:, None]
            images, power = view.images * seen, view.power * seen**2
            shown = [model(rings, view.turns), *slopes(rings, view.turns, upright @ view.turns)]
            for i, one in enumerate(shown):
                products[i] += _summed(ring, images * one.conj())
                for j in range(i + 1):
                    squares[i, j] += _summed(ring, power * one * shown[j].conj())
        squares[1, 2], squares[0, 1:] = squares[2, 1], squares[1:, 0]
        return StretchSums(products, squares)


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
