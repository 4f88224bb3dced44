"""How well a line of directions is the tilt axis: along it all tilts of a series have the same profile."""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.ops.correlation import cosine_window

_TAPER = 0.1
"""Fraction of a profile that fades at each end."""


def common_line_scores(
    lines: NDArray[np.float64], pixel_ang: float, lowpass_ang: float, highpass_ang: float
) -> NDArray[np.float64]:
    """Score candidate axes by the mean correlation of every tilt's profile with the sum of the others.

    Parameters
    ----------
    lines : float64[A, N, m]
        Profile of each of N tilts along each of A candidate axes.
    pixel_ang, lowpass_ang, highpass_ang : float
        Sampling of the profiles and the wavelengths compared.

    Returns
    -------
    float64[A]
        In [−1, 1]. A tilt never meets itself in the sum, so noise scores zero.
    """
    m = lines.shape[-1]
    frequency = scipy.fft.rfftfreq(m, pixel_ang)
    band = np.exp(-np.log(2.0) * (frequency * lowpass_ang) ** 2) * (frequency > 0)
    band *= 1.0 - np.exp(-np.log(2.0) * (frequency * highpass_ang) ** 2)
    window = cosine_window(m, 0, m, _TAPER * m)
    filtered = scipy.fft.irfft(scipy.fft.rfft(lines * window) * band, n=m)
    profiles = _unit(filtered)
    others = _unit(profiles.sum(axis=1, keepdims=True) - profiles)
    scores: NDArray[np.float64] = (profiles * others).sum(axis=-1).mean(axis=1)
    return scores


def _unit(lines: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.linalg.norm(lines, axis=-1, keepdims=True)
    return np.asarray(lines / np.maximum(norms, np.finfo(np.float64).tiny))
