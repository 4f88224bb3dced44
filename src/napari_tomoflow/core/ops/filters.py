"""Filters for tilt images on their way into a tomogram.

Frequencies are cycles per pixel of the image at hand, Nyquist being 0.5.
"""

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.ops.fourier import crop_centred, half_frequencies, next_fast_size

Image = NDArray[np.float32]

_TRIMMED_PERCENT = 0.1
_SAMPLED_PIXELS = 100_000
_ISOLATED_SD = 8.0


def robust_mean_sd(image_yx: Image) -> tuple[float, float]:
    """Measure mean and standard deviation, the 0.1 % darkest and brightest pixels left out.

    Dead pixels and X-ray hits are far fewer than that, gold and carbon far more. Images beyond
    100 000 pixels are measured on a regular sample of them.
    """
    step = max(1, int(np.sqrt(image_yx.size / _SAMPLED_PIXELS)))
    sample = image_yx[::step, ::step].ravel()
    low, high = np.percentile(sample, (_TRIMMED_PERCENT, 100.0 - _TRIMMED_PERCENT))
    inside = sample[(sample >= low) & (sample <= high)]
    return float(np.mean(inside, dtype=np.float64)), float(np.std(inside, dtype=np.float64))


def mend_isolated_pixels(image_yx: Image, mean: float, sd: float) -> Image:
    """Replace dead and hot pixels by the median of their neighbours.

    What is isolated says `isolated_pixels`, with a limit of 8 standard deviations.
    """
    rows, columns = isolated_pixels(image_yx, mean, sd, _ISOLATED_SD)
    if not len(rows):
        return image_yx
    mended = image_yx.copy()
    mended[rows, columns] = np.median(_neighbours(image_yx, rows, columns), axis=0)
    return mended


def isolated_pixels(
    image_yx: Image, mean: float, sd: float, limit_sd: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find dead and hot pixels: their rows and columns.

    A pixel is isolated when it lies more than `limit_sd` standard deviations from the image's mean and as
    far from all but two of the eight pixels around it. Gold has more neighbours like itself.
    """
    limit = np.float32(limit_sd * sd)
    low, high = np.float32(mean) - limit, np.float32(mean) + limit
    # Most images have none: their extremes tell so in a tenth of the time.
    if image_yx.min() >= low and image_yx.max() <= high:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    rows, columns = np.nonzero((image_yx < low) | (image_yx > high))
    off = np.abs(_neighbours(image_yx, rows, columns) - image_yx[rows, columns])
    isolated = np.sort(off, axis=0)[2] > limit
    return rows[isolated], columns[isolated]


def _neighbours(image_yx: Image, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Image:
    """Return the eight pixels around each of some: float32[8, P]; the image is mirrored at its borders."""
    around = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    padded = np.pad(image_yx, 1, mode="reflect")
    return np.stack([padded[rows + 1 + dy, columns + 1 + dx] for dy, dx in around])


def pad_fading(image_yx: Image, shape_yx: Sequence[int], mean: float = 0.0, sd: float = 1.0) -> Image:
    """Normalise an image and enlarge it by its mirror image, which fades to 0 over the margin.

    An image that ends abruptly gives every tomogram bright edges after the ramp filter. Fading
    outside the image keeps all of its pixels.

    Parameters
    ----------
    image_yx : float32[ny, nx]
    shape_yx : sequence of int
        Size of the result; pixel ``n // 2`` stays the centre.
    mean, sd : float
        Become 0 and 1.
    """
    padded = np.empty(shape_yx, np.float32)
    inner = crop_centred(padded, image_yx.shape)
    np.subtract(image_yx, np.float32(mean), out=inner)
    if sd != 1.0:
        inner *= np.float32(1.0 / sd)
    front = padded.shape[0] // 2 - image_yx.shape[0] // 2
    # First the columns of the rows that hold the image, then whole rows.
    _fade_rows(padded[front : front + len(image_yx)].T, image_yx.shape[1])
    _fade_rows(padded, len(image_yx))
    return padded


def _fade_rows(padded: Image, n: int) -> None:
    """Fill the rows before and after the `n` centred ones with their mirror image, fading to 0."""
    new = len(padded)
    front = new // 2 - n // 2
    for rows, margin in ((np.arange(front), front), (np.arange(front + n, new), new - n - front)):
        mirrored = np.abs((rows - front + n) % (2 * n) - n + 0.5) - 0.5  # ... 1 0 | 0 1 2 ... n-1 | n-1 n-2 ...
        outside = np.where(rows < front, front - rows, rows - (front + n - 1))
        fade = np.cos(np.pi / 2 * outside / (margin + 1.0)) ** 2
        padded[rows] = padded[front + mirrored.astype(np.int64)] * fade[:, None].astype(np.float32)


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


def exact_weights(size: int, tilt_deg: ArrayLike, thickness_px: float) -> NDArray[np.float64]:
    """Weights for tilts at any angles: one over how many views share a frequency, on half transforms of lines.

    The transform of a specimen `thickness_px` deep is no finer than one over that, so the transform of
    view j contributes to that of view i, at a frequency f, by ``1 - thickness · f · |sin(θi - θj)|`` where
    that is positive. With even steps this is the ramp times the step up to the frequency where
    neighbours part; beyond it, where each view stands alone, it stays constant.

    Parameters
    ----------
    size : int
        Even length of the transformed lines.
    tilt_deg : float[T]
    thickness_px : float

    Returns
    -------
    float64[T, size // 2 + 1]

    References
    ----------
    Harauz, G. and van Heel, M. Optik 73, 146 (1986).
    """
    frequency = np.arange(size // 2 + 1) / size
    angles = np.deg2rad(tilt_deg)
    apart = thickness_px * np.abs(np.sin(angles[:, None] - angles))
    sharing = [np.maximum(1.0 - one[:, None] * frequency, 0.0).sum(axis=0) for one in apart]
    return np.asarray(1.0 / (thickness_px * np.array(sharing)))


def sirt_like_weights(size: int, iterations: int, first_per_px: float) -> NDArray[np.float32]:
    """Gain of a number of SIRT iterations over the complete inversion, on a half transform of a line.

    From nothing, n iterations bring back ``1 - (1 - e)ⁿ`` of what the ramp would; the eigenvalue e of an
    iteration is ``first_per_px / f``, because views sample a frequency f as densely as 1 / f.

    Parameters
    ----------
    size : int
        Even length of the transformed line.
    iterations : int
    first_per_px : float
        Frequency up to which the first iteration brings back everything: for T views of a slab D voxels
        thick, over an angle of Θ radians in all, the mean of ``cos(tilt)`` over D · Θ.
    """
    frequency = np.maximum(np.arange(size // 2 + 1) / size, 1e-9)
    eigenvalue = np.minimum(first_per_px / frequency, 1.0)
    return np.asarray(1.0 - (1.0 - eigenvalue) ** iterations, np.float32)


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
