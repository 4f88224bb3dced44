"""The resolution of an average: the FSC of its halves, free of what the mask alone makes agree.

A mask correlates neighbouring shells and so lends noise an FSC. How much tells the same mask on halves whose phases
were exchanged for random ones beyond a frequency where they still agree without any mask::

    FSC = (FSC_masked − FSC_random) / (1 − FSC_random)

References
----------
Chen et al. 2013, doi:10.1016/j.ultramic.2013.06.004, equation 4.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.ops.fourier import radial_frequencies
from napari_tomoflow.core.ops.fsc import crossing, shell_sums

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

_RANDOM_BELOW = 0.8
"""Phases are exchanged from where the unmasked FSC first falls below this."""

_SHELLS_OF_GRACE = 2
"""Shells next to the first random one that true ones leak into."""

_SURE_SD = 4.0
"""How far beyond chance halves must agree, in standard deviations of what noise does."""

_DIP_SHELLS = 2
"""Longest dip of an FSC that is overlooked."""

_AGREES = 0.143
"""FSC of halves from which on a shell is believed by itself."""

_SPANS = 2.0
"""Spans to either side that shells are averaged over."""


@dataclass(frozen=True, eq=False)
class FscCurve:
    """Agreement of two halves. Legend: S shells, the first one being frequency 0.

    Attributes
    ----------
    frequency_inv_ang : float64[S]
    unmasked, masked : float64[S]
    randomised : float64[S]
        Of the masked halves with random phases; 0 where phases were kept.
    corrected : float64[S]
        What counts; the unmasked curve where there is no mask.
    coefficients : float64[S]
        Independent coefficients in each shell, which a mask leaves fewer of.
    """

    frequency_inv_ang: Floats
    unmasked: Floats
    masked: Floats
    randomised: Floats
    corrected: Floats
    coefficients: Floats

    def resolution_ang(self, threshold: float = 0.143) -> float | None:
        """Return where the corrected curve first falls below a threshold, Å.

        The finest of all, twice the voxel, where it never does. None where the halves agree no better than noise would
        by chance in as many coefficients: the first shells have few.
        """
        if self.corrected[1] < threshold:
            return None
        at = crossing(self.corrected, self.frequency_inv_ang, threshold) or float(self.frequency_inv_ang[-1])
        within = (self.frequency_inv_ang > 0) & (self.frequency_inv_ang <= at)
        count = self.coefficients[within]
        chance = _SURE_SD * np.sqrt(count.sum())
        return 1.0 / at if count @ self.corrected[within] > chance else None

    def record(self) -> Mapping[str, Any]:
        """Say it in plain numbers, for the quality of an average."""
        return {
            "resolution_ang": self.resolution_ang(0.143),
            "resolution_at_half_ang": self.resolution_ang(0.5),
            "fsc": {
                name: np.round(getattr(self, name), 5).tolist()
                for name in ("frequency_inv_ang", "unmasked", "masked", "randomised", "corrected")
            },
        }


def fsc_curve(
    half1: ArrayLike, half2: ArrayLike, voxel_ang: float, mask: ArrayLike | None = None, seed: int = 0
) -> FscCurve:
    """Compare two halves.

    Parameters
    ----------
    half1, half2 : array[n, n, n]
        Neither filtered nor masked.
    voxel_ang : float
    mask : array[n, n, n], optional
        From 0 to 1, with a soft edge.
    seed : int
        Of the random phases.
    """
    first, second = np.asarray(half1, np.float32), np.asarray(half2, np.float32)
    sums = shell_sums(first, second)
    frequency, unmasked = sums.frequency_per_px, sums.fsc
    if mask is None:
        return FscCurve(frequency / voxel_ang, unmasked, unmasked, np.zeros_like(unmasked), unmasked, sums.count / 2)
    soft = np.asarray(mask, np.float32)
    masked = shell_sums(first * soft, second * soft).fsc
    below = np.flatnonzero(unmasked[1:] < _RANDOM_BELOW)
    start = int(below[0]) + 1 if len(below) else len(unmasked)
    randomised = np.zeros_like(masked)
    if start < len(unmasked):
        from_per_px = float(frequency[start])
        noise = [_with_random_phases(half, from_per_px, [seed, n]) for n, half in enumerate((first, second))]
        trusted = start + _SHELLS_OF_GRACE
        randomised[trusted:] = shell_sums(noise[0] * soft, noise[1] * soft).fsc[trusted:]
    corrected = (masked - randomised) / np.maximum(1.0 - randomised, 1e-6)
    seen = np.square(soft, dtype=np.float64).mean()
    return FscCurve(frequency / voxel_ang, unmasked, masked, randomised, corrected, seen * sums.count / 2)


def settled_fsc(fsc: Floats, weight: Floats, span: float) -> Floats:
    """Tell how much of each shell is signal, beyond where halves agree, too.

    Parameters
    ----------
    fsc : float64[S]
        Of the halves.
    weight : float64[S]
        That the coefficients of each shell were divided by, on average.
    span : float
        Box over particle: shells no further apart than this show the same signal.

    Returns
    -------
    float64[S]
        From 0 to 1: FSC of halves without the chance of a single shell.

    Notes
    -----
    Signal does not end where halves cease to show it: an FSC of 0.143 between halves is one of 0.5 with the truth, and
    the next shell may fall on either side of 0 by chance. A filter that goes by it cuts what is as good as the shell
    before, and every mask then fills the gap with what leaks out of that. With τ² the power of the signal the ratio of
    signal to noise is ``FSC / (1 − FSC) = weight · τ²``. The weight is known and brings the zeros of the CTF; τ² cannot
    change within a span. So where halves agree by less than 0.143 τ² is averaged over shells, near ones more than far
    ones, each as sure as it is by its number of coefficients.
    """
    shell, agreed = np.arange(len(fsc)), np.clip(fsc, -0.9, 0.999)
    near = np.clip(1.0 - np.abs(shell[:, None] - shell) / (_SPANS * span), 0.0, None)
    # Of τ², times the weight: the variance of the ratio is about 1 / (n (1 − FSC)²) for n coefficients.
    sure = shell**2 * weight * (1.0 - agreed) ** 2
    over, under = near @ (sure * agreed / (1.0 - agreed)), near @ (sure * weight)
    ratio = weight * np.divide(np.maximum(over, 0.0), under, out=np.zeros(len(fsc)), where=under > 0)
    return np.asarray(np.where(fsc < _AGREES, ratio / (1.0 + ratio), np.clip(fsc, 0.0, 1.0)))


def agreement_radius(fsc: Floats, threshold: float = _AGREES) -> float:
    """Return how far halves agree, in shells, overlooking dips of a shell or two.

    Where all particles have the same defocus the FSC dips at the zeros of the CTF; detail beyond is as good as that
    before.
    """
    low = fsc < threshold
    low[0] = False
    ends = np.flatnonzero(np.convolve(low, np.ones(_DIP_SHELLS + 1), "valid") == _DIP_SHELLS + 1)
    if not len(ends):
        return float(len(fsc) - 1)
    end = int(ends[0])
    if fsc[end - 1] <= threshold:  # nothing agrees but, by definition, frequency 0
        return 0.0
    return float(end - 1 + (fsc[end - 1] - threshold) / (fsc[end - 1] - fsc[end]))


def _with_random_phases(volume: Reals, from_per_px: float, seed: list[int]) -> Reals:
    """Exchange the phases from a frequency on for those of white noise."""
    transform = scipy.fft.rfftn(volume)
    frequency = radial_frequencies(volume.shape)
    # A real volume's transform has the symmetry that phases drawn one by one would lack.
    noise = scipy.fft.rfftn(np.random.default_rng(seed).standard_normal(volume.shape, np.float32))
    phases = noise / np.maximum(np.abs(noise), 1e-20)
    random = np.where(frequency >= from_per_px, np.abs(transform) * phases, transform)
    return np.asarray(scipy.fft.irfftn(random, s=volume.shape), np.float32)
