"""How high a template that shows nothing scores, and from which score on a peak is believed.

A template of the same power spectrum with random phases, or the template's mirror image, goes through the same search.
Scores are counted in standard deviations σ of its correlation over all places and rotations (z). Of its peaks, those
beyond a level u₀ thin out as those of normal noise do, exponentially in u = z² / 2, so

    E(z) = K exp(−b (z² / 2 − u₀)),   b = K / Σ (u_k − u₀)

peaks that high are expected to be false, K of them being beyond u₀. It is measured, not assumed: structure that
resembles anything makes b small.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

FEWEST_PEAKS = 10
"""With no more the tail of a null cannot be fitted."""

_TAIL_PEAKS = 100
"""But no more than half of all: the lower ones are kept apart by each other and thin out more slowly."""


@dataclass(frozen=True)
class Null:
    """The scores of a template that shows nothing.

    Attributes
    ----------
    sd : float
        Standard deviation of its correlation coefficients.
    level : float
        u₀, in z² / 2.
    decay : float
        b: 1 for normal noise.
    beyond : float
        K, in the whole tomogram.
    """

    sd: float
    level: float
    decay: float
    beyond: float

    @classmethod
    def of_peaks(cls, scores: Floats, sd: float, share: float = 1.0) -> "Null":
        """Fit the tail of the peaks.

        Parameters
        ----------
        scores : float64[P]
            Correlation coefficients of the null's peaks, more than `FEWEST_PEAKS`.
        sd : float
        share : float
            Of the tomogram they were looked for in.
        """
        half_squares = np.sort(np.square(np.maximum(scores / sd, 0.0)) / 2)[::-1]
        beyond = min(_TAIL_PEAKS, len(half_squares) // 2)
        level = half_squares[beyond]
        excess = float(np.sum(half_squares[:beyond] - level))
        return cls(sd, float(level), beyond / max(excess, 1e-9), beyond / share)

    @classmethod
    def of_normal_noise(cls, sd: float, trials: float) -> "Null":
        """Assume normal noise, where a tomogram is too small to measure it.

        Voxels and orientations count as if each were independent of its neighbours, so fewer false ones are found
        than are expected.

        Parameters
        ----------
        sd : float
        trials : float
            Voxels times orientations.
        """
        return cls(sd, float(np.log(trials)), 1.0, 1.0)

    @property
    def quality(self) -> dict[str, float]:
        """What tells how far the noise is from normal."""
        return {"sd_lcc": self.sd, "decay": self.decay}

    def z(self, scores: Floats) -> Floats:
        """Return correlation coefficients in standard deviations."""
        return np.asarray(scores / self.sd)

    def expected_above(self, z: ArrayLike) -> Floats:
        """Return how many false peaks are expected that high; not below the level, where it is a lower bound."""
        excess = np.square(np.maximum(z, 0.0)) / 2 - self.level
        return np.asarray(self.beyond * np.exp(-self.decay * excess))

    def threshold(self, false_positives: float) -> float:
        """Return the z above which so many false peaks are expected."""
        return float(np.sqrt(2 * max(0.0, self.level + np.log(self.beyond / false_positives) / self.decay)))
