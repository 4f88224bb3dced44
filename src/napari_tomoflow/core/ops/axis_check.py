"""Does the nominal tilt axis agree with the images? A quick look, before anything is aligned.

Summed across the tilt axis, the images of all tilts give the same profile along it, but for a shift.
Profiles along other directions change with tilt. The sense of the axis cannot be seen this way: half a
turn leaves every profile as it is.

Legend: N images, A axes.
"""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SMALL_PX = 128
"""Images are averaged down to about this size; finer detail does not help."""

_APART_DEG = 25.0
"""Images are compared with the one about this far away: nearer ones agree in every direction."""

_TOLERANCE_DEG = 4.0
_STEP_DEG = 3.0
_CLEARLY = 4.0
"""Robust standard deviations of the scores over all directions; noise stays below."""
_FEWEST = 8
_NARROWEST_DEG = 40.0


def shrink(image_yx: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average blocks of pixels, so that the longer side has `SMALL_PX` to twice as many; the rest is cut off."""
    step = max(1, max(image_yx.shape) // SMALL_PX)
    ny, nx = (side // step for side in image_yx.shape)
    blocks = image_yx[: ny * step, : nx * step].reshape(ny, step, nx, step)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


def better_axis(images: NDArray[np.float32], tilt_deg: Floats, axis_deg: float) -> float | None:
    """Look for a usual mistake that fits the images clearly better than the axis given.

    Parameters
    ----------
    images : float32[N, ny, nx]
        From `shrink`.
    tilt_deg : float64[N]
    axis_deg : float
        Counter-clockwise from +y.

    Returns
    -------
    float or None
        The negated axis, or the axis or its negative a quarter-turn off, when it scores clearly higher;
        None when the axis given does well enough, or the images cannot tell.
    """
    if len(images) < _FEWEST or np.ptp(tilt_deg) < _NARROWEST_DEG or min(images.shape[1:]) < 16:
        return None
    scan = np.arange(0.0, 180.0, _STEP_DEG)
    scores = axis_scores(images, tilt_deg, scan)
    spread = 1.4826 * float(np.median(np.abs(scores - np.median(scores))))

    def score(axis: float) -> float:
        return float(scores[np.abs(_half_turn(scan - axis)) <= _TOLERANCE_DEG].max())

    mistakes = [
        axis for axis in (-axis_deg, axis_deg + 90.0, 90.0 - axis_deg) if abs(_half_turn(axis - axis_deg)) > 10.0
    ]
    best = max(mistakes, key=score, default=axis_deg)
    return float(_half_turn(best)) if score(best) > score(axis_deg) + _CLEARLY * spread else None


def axis_scores(images: NDArray[np.float32], tilt_deg: Floats, axes_deg: Floats) -> Floats:
    """Score axes by how well profiles of images some 25° apart agree, whatever their shift: float64[A], at most 1."""
    by_angle = np.argsort(tilt_deg, kind="stable")
    sorted_deg = tilt_deg[by_angle]
    far = np.searchsorted(sorted_deg, sorted_deg + _APART_DEG)
    first = np.flatnonzero(far < len(by_angle))
    pairs = by_angle[first], by_angle[far[first]]
    windowed = _windowed(images)
    return np.array([_agreement(_profiles(windowed, axis), *pairs) for axis in axes_deg])


def _windowed(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take the mean off and fade out beyond the inscribed circle, which looks the same in all directions."""
    ny, nx = images.shape[1:]
    y, x = np.mgrid[:ny, :nx]
    radius = np.hypot(y - ny // 2, x - nx // 2) / (min(ny, nx) / 2)
    window = np.clip((1.0 - radius) / 0.2, 0.0, 1.0).astype(np.float32)
    means = (images * window).sum(axis=(1, 2), keepdims=True) / window.sum()
    return np.asarray((images - means) * window)


def _profiles(windowed: NDArray[np.float32], axis_deg: float) -> Floats:
    """Sum images across an axis: one profile along it for each, float64[N, length]."""
    n, ny, nx = windowed.shape
    angle = np.deg2rad(axis_deg)
    y, x = np.mgrid[:ny, :nx]
    length = 2 * ((min(ny, nx) + 1) // 2)
    along = (y - ny // 2) * np.cos(angle) - (x - nx // 2) * np.sin(angle) + length // 2
    place = np.clip(np.round(along).astype(np.int64), 0, length - 1).ravel()
    sums = np.stack([np.bincount(place, image.ravel(), minlength=length) for image in windowed])
    counts = np.bincount(place, minlength=length)
    return np.asarray(sums / np.maximum(counts, 1)).reshape(n, length)


def _agreement(profiles: Floats, first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Mean over pairs of the highest normalised correlation at any shift, slow variations left out."""
    length = profiles.shape[1]
    spectra = scipy.fft.rfft(profiles, n=2 * length)
    spectra[:, : 2 * 4] = 0.0  # up to four waves per field: ice thickness and illumination
    powers = (np.abs(spectra) ** 2).sum(axis=1) * 2 - np.abs(spectra[:, -1]) ** 2
    curves = scipy.fft.irfft(spectra[first] * np.conj(spectra[second]), n=2 * length)
    norms = np.sqrt(powers[first] * powers[second]) / (2 * length)
    return float(np.mean(curves.max(axis=1) / np.maximum(norms, np.finfo(np.float64).tiny)))


def _half_turn(angle_deg: Floats | float) -> Floats:
    """Bring directions of lines into (−90°, 90°]."""
    return np.asarray(90.0 - np.mod(90.0 - np.asarray(angle_deg), 180.0))
