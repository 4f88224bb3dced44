"""Fourier shell correlation: how well two volumes agree at each frequency.

Frequencies are cycles per voxel. The three sums of a shell, AB, AA and BB, are kept apart, so that
curves of several volumes can be added before they are divided.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.ops.fourier import radial_frequencies

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ShellSums:
    """Sums over the shells of two transforms. Legend: S shells.

    Attributes
    ----------
    frequency_per_px : float64[S]
        Middle of each shell; the first one is 0 alone.
    ab, aa, bb : float64[S]
        Real part of the cross spectrum, and the two power spectra.
    count : float64[S]
        Coefficients of a full transform in each shell.
    """

    frequency_per_px: Floats
    ab: Floats
    aa: Floats
    bb: Floats
    count: Floats

    @property
    def fsc(self) -> Floats:
        """Correlation of each shell, -1 to 1; 0 where either volume is empty."""
        norm = np.sqrt(self.aa * self.bb)
        return np.divide(self.ab, norm, out=np.zeros_like(self.ab), where=norm > 0)

    def __add__(self, other: "ShellSums") -> "ShellSums":
        """Pool two pairs of volumes of the same shells."""
        sums = (getattr(self, name) + getattr(other, name) for name in ("ab", "aa", "bb", "count"))
        return ShellSums(self.frequency_per_px, *sums)


def shell_sums(a: ArrayLike, b: ArrayLike, n_shells: int | None = None) -> ShellSums:
    """Sum products of two transforms over shells up to Nyquist.

    Parameters
    ----------
    a, b : array[...]
        Images or volumes of one shape, which need not be cubic.
    n_shells : int, optional
        Shells beside that of frequency 0; half the shortest side by default.
    """
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    if a.shape != b.shape:
        raise DataError(f"Volumes of {a.shape} and {b.shape} cannot be compared; give two of one shape.")
    n_shells = n_shells or max(1, min(a.shape) // 2)
    shell = _shells(a.shape, n_shells)
    a_rft, b_rft = scipy.fft.rfftn(a), scipy.fft.rfftn(b)
    # Columns between the first and that of Nyquist stand for two coefficients each.
    twice = np.full(a_rft.shape[-1], 2.0)
    twice[0] = 1.0
    if a.shape[-1] % 2 == 0:
        twice[-1] = 1.0

    def summed(values: NDArray[np.float32]) -> Floats:
        sums = np.bincount(shell.ravel(), (values * twice).ravel(), n_shells + 2)[: n_shells + 1]
        return sums.astype(np.float64)

    products = ((a_rft * b_rft.conj()).real, _power(a_rft), _power(b_rft), np.ones(a_rft.shape, np.float32))
    return ShellSums(np.arange(n_shells + 1) / (2 * n_shells), *map(summed, products))


def _shells(shape: tuple[int, ...], n_shells: int) -> NDArray[np.int64]:
    """Give each coefficient of a half transform its shell; beyond Nyquist everything is shell ``n_shells + 1``."""
    frequency = radial_frequencies(shape)
    shell = np.rint(frequency * 2 * n_shells).astype(np.int64)
    shell[(shell == 0) & (frequency > 0)] = 1
    return np.asarray(np.minimum(shell, n_shells + 1))


def _power(transform: NDArray[np.complex64]) -> NDArray[np.float32]:
    return np.asarray(transform.real**2 + transform.imag**2)


def resolution_per_px(sums: ShellSums, threshold: float = 0.143) -> float | None:
    """Find the frequency at which the FSC first falls below `threshold`, between shells by a straight line.

    Returns
    -------
    float or None
        Cycles per voxel; None when it never falls below, or is below from the first shell on.
    """
    return crossing(sums.fsc, sums.frequency_per_px, threshold)


def crossing(fsc: Floats, frequency: Floats, threshold: float) -> float | None:
    """Find where a curve first falls below `threshold`, between shells by a straight line; the first shell is left out.

    Returns
    -------
    float or None
        In units of `frequency`; None when it never falls below, or is below from the second shell on.
    """
    fsc, frequency = fsc[1:], frequency[1:]
    below = np.flatnonzero(fsc < threshold)
    if not len(below) or below[0] == 0:
        return None
    at = int(below[0])
    share = (fsc[at - 1] - threshold) / (fsc[at - 1] - fsc[at])
    return float(frequency[at - 1] + share * (frequency[at] - frequency[at - 1]))
