"""Maps on other grids, and with some shells weaker."""

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.model import DensityMap
from napari_tomoflow.core.ops.fourier import fourier_crop, radial_frequencies

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]


def resized(volume: Reals, box_px: int) -> Reals:
    """Sample a map on another grid over the same field; its slices stay the same (`core.averaging.images`)."""
    n = len(volume)
    # A slice is the transform divided by the box, a voxel's value a mean over it.
    scale = np.float32((n / box_px) ** 2)
    if box_px <= n:
        return np.asarray(fourier_crop(volume, (box_px,) * 3) * scale, np.float32)
    transform = scipy.fft.rfftn(np.fft.ifftshift(volume))
    half = n // 2
    # The highest frequency of an even grid is left out: only its cosine is known.
    rows = np.arange(-half + 1, half)
    wide = np.zeros((box_px, box_px, box_px // 2 + 1), np.complex64)
    wide[np.ix_(rows % box_px, rows % box_px, np.arange(half))] = transform[np.ix_(rows % n, rows % n, np.arange(half))]
    finer = np.fft.fftshift(scipy.fft.irfftn(wide, s=(box_px,) * 3))
    return np.asarray(finer * (np.float32((box_px / n) ** 3) * scale), np.float32)


def shell_filtered(volume: Reals, gain: Floats) -> Reals:
    """Multiply each shell of a map, one step of the box wide, by a gain: float64[up to n / 2 + 1]; others by 0."""
    frequency = len(volume) * radial_frequencies(volume.shape)
    gains = np.interp(frequency, np.arange(len(gain) + 1), np.append(gain, 0.0)).astype(np.float32)
    return np.asarray(scipy.fft.irfftn(scipy.fft.rfftn(volume) * gains, s=volume.shape), np.float32)


def low_pass(radius: float, fading: float = 2.0) -> Floats:
    """Return the gains of shells that let frequencies beyond a radius fade over a few steps."""
    shells = np.arange(int(np.ceil(radius + fading)) + 1)
    share = np.clip((shells - radius) / fading + 0.5, 0.0, 1.0)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * share))


def fitted(given: DensityMap, box_px: int, pixel_ang: float, centre_ang_zyx: ArrayLike = (0.0, 0.0, 0.0)) -> Reals:
    """Sample any map on the grid of an average: dense matter bright, its centre at voxel ``n // 2`` or off that.

    Detail that the grid cannot hold is filtered out first.
    """
    from scipy.ndimage import affine_transform

    volume = np.asarray(given.volume, np.float32) * np.float32(1.0 if given.contrast == "bright" else -1.0)
    ratio = pixel_ang / given.voxel_ang
    if ratio > 1.0:
        frequency = radial_frequencies(volume.shape)
        transform = scipy.fft.rfftn(volume) * (frequency < 0.5 / ratio)
        volume = np.asarray(scipy.fft.irfftn(transform, s=volume.shape), np.float32)
    offset = np.array(volume.shape) // 2 - ratio * (box_px // 2) - np.asarray(centre_ang_zyx) / given.voxel_ang
    return np.asarray(affine_transform(volume, np.full(3, ratio), offset, (box_px,) * 3, order=3), np.float32)


def band_pass(coarsest: float, radius: float, fading: float = 2.0) -> Floats:
    """Return the gains of `low_pass` without the shells up to the coarsest.

    Of detail coarser than itself a particle has none, and the CTF lets next to nothing of it through: whatever a map
    holds there was made large by dividing noise and left-over background by that.
    """
    gain = low_pass(radius, fading)
    gain[: int(coarsest) + 1] = 0.0
    return gain
