"""Filters for tilt images on their way into a tomogram.

Frequencies are cycles per pixel of the image at hand, Nyquist being 0.5.
"""

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.ops.fourier import half_frequencies, next_fast_size, pad_centred

Image = NDArray[np.float32]

_TRIMMED_PERCENT = 0.1
_SAMPLED_PIXELS = 250_000
_ISOLATED_SD = 8.0


def robust_mean_sd(image_yx: Image) -> tuple[float, float]:
    """Measure mean and standard deviation, the 0.1 % darkest and brightest pixels left out.

    Dead pixels and X-ray hits are far fewer than that, gold and carbon far more. Images beyond
    250 000 pixels are measured on a regular sample of them.
    """
    step = max(1, int(np.sqrt(image_yx.size / _SAMPLED_PIXELS)))
    sample = image_yx[::step, ::step].ravel()
    low, high = np.percentile(sample, (_TRIMMED_PERCENT, 100.0 - _TRIMMED_PERCENT))
    inside = sample[(sample >= low) & (sample <= high)]
    return float(np.mean(inside, dtype=np.float64)), float(np.std(inside, dtype=np.float64))


def mend_isolated_pixels(image_yx: Image, mean: float, sd: float) -> Image:
    """Replace dead and hot pixels by the median of their neighbours.

    A pixel is isolated when it lies more than 8 standard deviations from the image's mean and as
    far from all but two of the eight pixels around it. Gold has more neighbours like itself and stays.
    """
    limit = np.float32(_ISOLATED_SD * sd)
    rows, columns = np.nonzero(np.abs(image_yx - np.float32(mean)) > limit)
    if not len(rows):
        return image_yx
    around = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    padded = np.pad(image_yx, 1, mode="reflect")
    neighbours = np.stack([padded[rows + 1 + dy, columns + 1 + dx] for dy, dx in around])
    isolated = np.sort(np.abs(neighbours - image_yx[rows, columns]), axis=0)[2] > limit
    mended = image_yx.copy()
    mended[rows[isolated], columns[isolated]] = np.median(neighbours[:, isolated], axis=0)
    return mended


def pad_fading(image_yx: Image, shape_yx: Sequence[int]) -> Image:
    """Enlarge an image of mean 0 by its mirror image, which fades to 0 over the margin.

    An image that ends abruptly gives every tomogram bright edges after the ramp filter. Fading
    outside the image keeps all of its pixels.
    """
    padded = pad_centred(image_yx, shape_yx, "symmetric")
    for axis, (n, new) in enumerate(zip(image_yx.shape, shape_yx, strict=True)):
        front = new // 2 - n // 2
        outside = np.maximum(front - np.arange(new), np.arange(new) - (front + n - 1)).clip(0)
        margin = np.where(np.arange(new) < front, front, new - n - front) + 1.0
        fade = np.cos(np.pi / 2 * np.minimum(outside / margin, 1.0)) ** 2
        padded = padded * np.expand_dims(fade, 1 - axis).astype(np.float32)
    return padded


def lowpass_transfer(shape_yx: Sequence[int], cutoff_per_px: float, rolloff_per_px: float) -> Image:
    """Low-pass of a half transform: 1 up to `cutoff_per_px`, then a Gaussian of that standard deviation, in 2-D.

    Falling off with the distance in the plane, not only across the tilt axis, keeps round things round.
    """
    y, x = half_frequencies(shape_yx)
    beyond = np.maximum(np.hypot(y, x) - np.float32(cutoff_per_px), 0.0)
    return np.asarray(np.exp(-0.5 * (beyond / np.float32(rolloff_per_px)) ** 2), np.float32)


def ramp_weights(size: int, low_frequency: float) -> NDArray[np.float32]:
    """Weights that turn a plain sum of views into a density: the ramp |f| on a half transform.

    Parameters
    ----------
    size : int
        Even length of the transformed line.
    low_frequency : float
        Weight of frequency 0 in units of that of the first. The transform of the ramp sampled in
        real space has 2 / π² = 0.203 there, so that 0.2 keeps the mean of a finite line.
    """
    frequency = np.arange(size // 2 + 1) / size
    weights = frequency.copy()
    weights[0] = low_frequency / size
    return weights.astype(np.float32)


def undo_linear_interpolation(size: int) -> NDArray[np.float32]:
    """Return 1 / sinc², the inverse of what linear interpolation between samples does on average, on a half transform.

    Without it a tomogram is softer across the tilt axis than along it. Within a pixel or two of the
    axis itself, where all tilts fall on samples and nothing is blurred, it sharpens by 3 % too much.
    """
    return (1.0 / np.sinc(np.arange(size // 2 + 1) / size) ** 2).astype(np.float32)


def filter_lines(lines_vu: Image, weights: NDArray[np.float32]) -> Image:
    """Multiply the transform of each line by `weights`; lines are padded with zeros to the length these stand for."""
    size = 2 * (len(weights) - 1)
    lines_rft = scipy.fft.rfft(lines_vu, size, axis=1)
    lines_rft *= weights
    return np.ascontiguousarray(scipy.fft.irfft(lines_rft, size, axis=1, overwrite_x=True)[:, : lines_vu.shape[1]])


def padded_line_size(n_u: int) -> int:
    """Return a fast length that keeps the two ends of a line of `n_u` from mixing when it is filtered."""
    return next_fast_size(2 * n_u)
