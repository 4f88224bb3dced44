"""Local resolution: how far two halves agree around every voxel, and maps filtered by it.

Both halves are split into narrow bands of frequency. What a band of one has in common with that of the other, summed
under a Gaussian window, is the FSC of the windowed halves (by Parseval's theorem), at every voxel from a few
transforms of the whole map; and no window's edge makes shells agree that do not.

References
----------
Cardone et al. 2013, doi:10.1016/j.jsb.2013.08.002. FSC in windows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.ops.fourier import radial_frequencies
from napari_tomoflow.core.report import Report, silent

Reals = NDArray[np.float32]
Weigh = Callable[[NDArray[Any]], NDArray[Any]]
"""How much of a band is kept where its FSC, from 0 to 1, is so high."""

_STEP = 0.25
"""Of bands, over one by the width of the window: wider ones see past the end of sharp cut-offs."""

_SIGMA = 1.0 / np.sqrt(8.0 * np.log(2.0))
"""Standard deviation of a Gaussian of width 1 at half its height."""


@dataclass(frozen=True, eq=False)
class LocalFilter:
    """Two halves as far as they agree.

    Attributes
    ----------
    frequency_per_px : float32[nz, ny, nx]
        Up to where they agree around each voxel, cycles per voxel.
    halves : pair of float32[nz, ny, nx]
        What is left of either when finer detail is filtered out.
    """

    frequency_per_px: Reals
    halves: tuple[Reals, Reals]


@dataclass(frozen=True, eq=False)
class Band:
    """Detail of about one frequency.

    Attributes
    ----------
    frequency_per_px : float
    parts : tuple of float32[nz, ny, nx]
        What each volume has of it; the bands of a volume sum up to it.
    """

    frequency_per_px: float
    parts: tuple[Reals, ...]


class Bands:
    """Volumes split into bands, and sums of them under a window.

    Parameters
    ----------
    volumes : sequence of array[nz, ny, nx]
    width_px : float
        Width of the window at half its height.
    """

    def __init__(self, volumes: tuple[ArrayLike, ...], width_px: float) -> None:
        self._transforms = [scipy.fft.rfftn(np.asarray(volume, np.float32)) for volume in volumes]
        self._shape = np.shape(volumes[0])
        self._frequency = radial_frequencies(self._shape)
        self._step = _STEP / width_px
        self._window = np.exp(-2.0 * (np.pi * _SIGMA * width_px * self._frequency) ** 2).astype(np.float32)

    def __len__(self) -> int:
        """Return the number of bands, that of frequency 0 included, up to one beyond the corners of the transform."""
        return int(np.ceil(float(self._frequency.max()) / self._step)) + 1

    def __iter__(self) -> Iterator[Band]:
        """Yield the bands, coarse detail first."""
        for number in range(len(self)):
            offset = np.clip((self._frequency - number * self._step) / self._step, -1.0, 1.0)
            gain = np.cos(np.pi / 2.0 * offset).astype(np.float32) ** 2
            parts = (scipy.fft.irfftn(one * gain, s=self._shape) for one in self._transforms)
            yield Band(number * self._step, tuple(np.asarray(part, np.float32) for part in parts))

    def windowed(self, volume: Reals) -> Reals:
        """Sum a volume under the window around every voxel."""
        return np.asarray(scipy.fft.irfftn(scipy.fft.rfftn(volume) * self._window, s=self._shape), np.float32)

    def agreement(self, first: Reals, second: Reals) -> Reals:
        """Correlate two parts of a band around every voxel: -1 to 1."""
        power = np.maximum(self.windowed(first**2), 0.0) * np.maximum(self.windowed(second**2), 0.0)
        common = self.windowed(first * second)
        return np.asarray(np.divide(common, np.sqrt(power), out=np.zeros_like(common), where=power > 0))


def local_filter(
    first: ArrayLike,
    second: ArrayLike,
    width_px: float,
    weigh: Weigh,
    threshold: float = 0.143,
    report: Report = silent,
) -> LocalFilter:
    """Find how far two halves agree around every voxel, and filter out what is finer.

    Parameters
    ----------
    first, second : array[nz, ny, nx]
        Neither filtered nor masked.
    width_px : float
        Width of the window at half its height: about three times the resolution. A coarser resolution than this
        cannot be told.
    weigh : callable
        How much is kept of detail that agrees so well.
    threshold : float
        Detail beyond the first band that agrees less is dropped.
    report : Report

    Notes
    -----
    Local FSCs never rise again in the filter, so that chance agreement of fine detail, which alignment would build on,
    is not let back in.
    """
    bands = Bands((first, second), width_px)
    shape = np.shape(first)
    before = np.ones(shape, np.float32)
    least = np.ones(shape, np.float32)
    frequency = np.full(shape, 1.0 / width_px, np.float32)
    halves = np.zeros((2, *shape), np.float32)
    last = 0.0
    for number, band in enumerate(bands):
        report(number, len(bands), "Measuring the local resolution")
        fsc = np.clip(bands.agreement(*band.parts), 0.0, 1.0)
        if band.frequency_per_px < 1.0 / width_px:  # the window holds too few coefficients to tell an end by
            weight = weigh(fsc)
        else:
            ends = (fsc < threshold) & (least >= threshold)
            share = (before[ends] - threshold) / np.maximum(before[ends] - fsc[ends], 1e-6)
            frequency[ends] = last + share * (band.frequency_per_px - last)
            np.minimum(least, fsc, out=least)
            least[least < threshold] = 0.0
            frequency[least > 0] = band.frequency_per_px
            weight = weigh(least)
        for half, part in zip(halves, band.parts, strict=True):
            half += weight * part
        before, last = fsc, band.frequency_per_px
        if not least.any():
            break
    np.clip(frequency, 1.0 / width_px, 0.5, out=frequency)
    return LocalFilter(frequency, (halves[0], halves[1]))


def window_px(resolution_ang: float, voxel_ang: float) -> float:
    """Return the width of the window that suits a map of a resolution."""
    return max(3.0 * resolution_ang / voxel_ang, 8.0)
