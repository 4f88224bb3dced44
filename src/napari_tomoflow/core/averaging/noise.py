"""The noise of a tilt image: its level and its spectrum."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.core.ops.filters import robust_mean_sd
from napari_tomoflow.core.ops.fourier import half_frequencies

Floats = NDArray[np.float64]

_TILES = 5
"""Tiles along each side of an image."""

_LEAST_POWER = 1e-6


@dataclass(frozen=True, eq=False)
class Noise:
    """The background of a tilt image.

    Attributes
    ----------
    mean, sd : float
        Of the image, its extremes left out.
    amplitude : float64[steps]
        Standard deviation of the coefficients of orthonormal transforms of tiles, once the image has mean 0 and SD 1,
        for each whole step of frequency.
    """

    mean: float
    sd: float
    amplitude: Floats


def noise_of(series: TiltSeries, tilt: int, tile_px: int, size: int) -> Noise:
    """Measure the background of a tilt image.

    Parameters
    ----------
    series : TiltSeries
    tilt : int
    tile_px : int
        Edge of the tiles the spectrum is measured in.
    size : int
        How many steps of frequency of such a tile the images of particles keep.

    Returns
    -------
    Noise
        With a step for each frequency up to the corner of the kept ones.

    Notes
    -----
    The median over tiles leaves out beads, carbon and dark borders. Particles count as noise: in ice that is crowded,
    neighbours are what hides a particle at low frequency.
    """
    image_yx = series.image(tilt)
    if not np.isfinite(image_yx).all():
        raise DataError(f"{series.name}: image {tilt} holds pixels that are not numbers; mend or exclude it.")
    mean, sd = robust_mean_sd(image_yx)
    if not sd > 0:
        raise DataError(f"{series.name}: image {tilt} is blank (every pixel is {mean:g}); exclude it.")
    fitting = min(tile_px, *series.shape_yx)
    starts = [np.unique(np.linspace(0, n - fitting, _TILES).astype(int)) for n in series.shape_yx]
    tiles = [image_yx[y : y + fitting, x : x + fitting] for y in starts[0] for x in starts[1]]
    curve = typical_amplitude((tile - mean) / sd for tile in tiles)
    steps = np.arange(int(np.ceil(size / 2 * 2**0.5)) + 1)
    return Noise(mean, sd, np.interp(steps * fitting / tile_px, np.arange(len(curve)), curve))


def typical_amplitude(tiles: Iterable[NDArray[np.floating]]) -> Floats:
    """Return the median amplitude of the transforms of square images, for each step of frequency: float64[steps].

    Where they hold nothing at all, because they were filtered, it is a thousandth of the largest.
    """
    power = np.median([_radial_power(tile) for tile in tiles], axis=0)
    # Frequency 0 is the mean, which says nothing of noise.
    power[0] = power[1]
    return np.asarray(np.sqrt(np.maximum(power, _LEAST_POWER * power.max())))


def _radial_power(tile_yx: NDArray[np.floating]) -> Floats:
    """Average the power spectrum of a tile over rings one step of frequency wide."""
    n = len(tile_yx)
    tile_rft = scipy.fft.rfft2(tile_yx, norm="ortho")
    ky, kx = half_frequencies((n, n))
    ring = np.rint(np.hypot(ky, kx) * n).astype(np.int64)
    power = tile_rft.real**2 + tile_rft.imag**2
    total = np.bincount(ring.ravel(), power.ravel())
    return np.asarray(total / np.bincount(ring.ravel()))
