"""Band-pass filters, tapers and cross-correlation of images."""

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_HALF_AT_EDGE = np.log(2.0)
"""Gaussian edges of a band fall to one half at the wavelengths that name it."""


def band_pass(shape_yx: Sequence[int], pixel_ang: float, lowpass_ang: float, highpass_ang: float) -> Floats:
    """Return the filter that keeps wavelengths from `lowpass_ang` to `highpass_ang`: float32[ny, nx // 2 + 1].

    It multiplies `scipy.fft.rfft2`; its edges are Gaussian and it takes the mean away.
    """
    fy = scipy.fft.fftfreq(shape_yx[0], pixel_ang)[:, None]
    fx = scipy.fft.rfftfreq(shape_yx[1], pixel_ang)[None]
    squared = fy**2 + fx**2
    low = np.exp(-_HALF_AT_EDGE * squared * lowpass_ang**2)
    high = 1.0 - np.exp(-_HALF_AT_EDGE * squared * highpass_ang**2)
    return np.asarray(low * high, np.float32)


def cosine_window(size: int, start: float, stop: float, soft_px: float) -> Floats:
    """Return a window float32[size]: one inside [start, stop) px, falling to zero over `soft_px` inside each end."""
    at = np.arange(size) + 0.5
    inside = np.minimum(at - start, stop - at) / max(soft_px, 1e-6)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(inside, 0.0, 1.0)), np.float32)


def whitened_product(images_yx: Floats, reference_yx: Floats, weights_rft: Floats) -> NDArray[np.complex64]:
    """Return the cross-spectrum of images with a reference, its amplitude drawn to the square root.

    Parameters
    ----------
    images_yx : float32[..., ny, nx]
    reference_yx : float32[ny, nx]
    weights_rft : float32[ny, nx // 2 + 1]
        Multiplied in, e.g. a band-pass.

    Notes
    -----
    All images share one whitening, that of their sum, so their maps add up to the map of the sum.
    The square root lies between correlation, ruled by a few strong waves, and phase correlation, ruled by noise.
    """
    images_rft = scipy.fft.rfft2(images_yx, workers=-1)
    product = images_rft * np.conj(scipy.fft.rfft2(reference_yx, workers=-1))
    amplitude = np.abs(product.reshape(-1, *product.shape[-2:]).sum(axis=0))
    floor = 1e-6 * float(amplitude.max()) + np.finfo(np.float32).tiny
    return np.asarray(product * (weights_rft / np.sqrt(amplitude + floor)), np.complex64)


def correlation_map(product_rft: NDArray[np.complex64], shape_yx: Sequence[int]) -> Floats:
    """Turn cross-spectra into maps float32[..., ny, nx] with zero displacement at pixel ``n // 2``.

    A peak at d means that the image lies d px further along than the reference.
    """
    maps = scipy.fft.irfft2(product_rft, s=tuple(shape_yx), workers=-1)
    return np.asarray(scipy.fft.fftshift(maps, axes=(-2, -1)), np.float32)
