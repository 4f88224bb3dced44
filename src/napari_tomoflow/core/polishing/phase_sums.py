"""What images say of aberrations they all have in common: sums over all of them, for each frequency, made once.

As in `defocus_sums`, with an odd phase ω and an even one ε that nobody knew of yet, both smooth over the plane::

    agreement = Σ w Re X S* e^{−iω} sin(γ + ε)  =  Re e^{−iω} (T_s cos ε + T_c sin ε)
    power     = Σ w² |S|² sin²(γ + ε)           =  (P − C cos 2ε + E sin 2ε) / 2

so that T_s, T_c (two numbers each), P, C and E of all particles and tilts are all there is to keep.

Legend: K frequencies, P particles.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.images import Indices
from napari_tomoflow.core.polishing.defocus_sums import Comparison

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PhaseSums:
    """Sums at frequencies of an image, one of each pair of opposites.

    Attributes
    ----------
    sums : float64[7, K]
        Real and imaginary part of T_s and of T_c, then P, C, E.
    frequency_inv_ang_yx : float64[2, K]
    series : int64[K]
        Number of the series that each of them is of.
    """

    sums: Floats
    frequency_inv_ang_yx: Floats
    series: Indices

    @classmethod
    def joined(cls, parts: "Sequence[PhaseSums]") -> "PhaseSums":
        """Put the frequencies of different series side by side."""
        return cls(
            np.concatenate([one.sums for one in parts], axis=1),
            np.concatenate([one.frequency_inv_ang_yx for one in parts], axis=1),
            np.repeat(np.arange(len(parts)), [one.sums.shape[1] for one in parts]),
        )

    def __add__(self, other: "PhaseSums") -> "PhaseSums":
        """Pool particles seen at the same frequencies."""
        return replace(self, sums=self.sums + other.sums)

    @property
    def k_inv_ang(self) -> Floats:
        """Frequencies by their length: float64[K]."""
        return np.asarray(np.hypot(*self.frequency_inv_ang_yx), np.float64)

    def measured(self, odd_rad: Floats, even_rad: Floats) -> tuple[Floats, Floats]:
        """Return agreement and power at every frequency, for phases float64[K]."""
        wave = self._wave(even_rad) * np.exp(-1j * odd_rad)
        _, _, _, _, p, c, e = self.sums
        return wave.real, 0.5 * (p - c * np.cos(2 * even_rad) + e * np.sin(2 * even_rad))

    def slopes(self, odd_rad: Floats, even_rad: Floats, amplitude: Floats) -> tuple[Floats, Floats]:
        """Return how the log likelihood 2 a agreement − a² power grows with both phases: float64[K] each."""
        turn = np.exp(-1j * odd_rad)
        odd = np.imag(self._wave(even_rad) * turn)
        even = np.real(self._wave(even_rad + np.pi / 2) * turn)
        _, _, _, _, _, c, e = self.sums
        growing = c * np.sin(2 * even_rad) + e * np.cos(2 * even_rad)
        return 2 * amplitude * odd, 2 * amplitude * even - amplitude**2 * growing

    def _wave(self, even_rad: Floats) -> NDArray[np.complex128]:
        """Return T_s cos ε + T_c sin ε."""
        sine, cosine = self.sums[0] + 1j * self.sums[1], self.sums[2] + 1j * self.sums[3]
        return np.asarray(sine * np.cos(even_rad) + cosine * np.sin(even_rad))


@dataclass(frozen=True, eq=False)
class SumPhases:
    """Sums up over all tilts what some particles of a series say; fit to be sent to another process.

    Attributes
    ----------
    comparison : Comparison
    """

    comparison: Comparison

    def __call__(self, chosen: Indices) -> PhaseSums:
        """Work on some particles of one half."""
        frequency_inv_ang_yx = self.comparison.rings.frequency_inv_ang_yx
        total = np.zeros((7, frequency_inv_ang_yx.shape[1]))
        for seen in self.comparison.tilts(chosen):
            sine, cosine, shown = seen.sine, seen.cosine, seen.shown
            for row, wave in ((0, seen.products * sine), (2, seen.products * cosine)):
                added = wave.sum(axis=0, dtype=np.complex128)
                total[row] += added.real
                total[row + 1] += added.imag
            for row, power in ((4, shown), (5, shown * (1 - 2 * sine**2)), (6, 2 * shown * sine * cosine)):
                total[row] += power.sum(axis=0, dtype=np.float64)
        return PhaseSums(total, np.asarray(frequency_inv_ang_yx, np.float64), np.zeros(total.shape[1], np.int64))
