"""From raw tilt images to small clean ones that can be compared: bin, despike, window, band-pass."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.tilt_series import TiltSeries
from napari_tomoflow.core.ops.correlation import band_pass, cosine_window
from napari_tomoflow.core.ops.fourier import binned_shape, fourier_bin
from napari_tomoflow.core.report import Report, watched

_LARGEST_PX = 512
"""Images are binned to at most this side: shifts are read to a twentieth of a pixel, and noise asks for no more."""

_FINEST_ANG = 8.0
"""Nor is a pixel finer than this used, as long as `_SMALLEST_PX` remain: nothing finer survives in one tilt image."""

_SMALLEST_PX = 192

_BLANK = 0.2
"""A tilt whose contrast is below this fraction of the median tilt's is dark or blank."""

_FADE = 0.08
"""Fraction of the image that fades at each border."""

_SAMPLES = 512
"""Grey values are judged on a grid of at most so many pixels a side: percentiles of 16 million tell no more."""

FEWEST_TILTS = 5


@dataclass(frozen=True)
class Band:
    """Wavelengths compared, Å."""

    lowpass_ang: float
    highpass_ang: float


@dataclass(frozen=True)
class WorkStack:
    """Small clean images of the tilts in use. Legend: K tilts in use.

    Attributes
    ----------
    images : float32[K, ny, nx]
        Mean zero, contrast one.
    windows_y, windows_x : float32[K, ny], float32[K, nx]
        How far each row and column counts: zero in dead borders, fading towards them.
    tilts : int64[K]
        Index of each in the series, by increasing tilt.
    tilt_deg : float64[K]
    pixel_ang : float
    """

    images: NDArray[np.float32]
    windows_y: NDArray[np.float32]
    windows_x: NDArray[np.float32]
    tilts: NDArray[np.int64]
    tilt_deg: NDArray[np.float64]
    pixel_ang: float

    def __len__(self) -> int:
        """Return the number of tilts in use."""
        return len(self.images)

    @property
    def side_px(self) -> int:
        """Side of the square, even frame that holds an image in any orientation of its axis."""
        longest = max(self.images.shape[1:])
        return int(longest + longest % 2)

    @property
    def field_ang(self) -> float:
        """Shorter side of the field of view."""
        return float(min(self.images.shape[1:]) * self.pixel_ang)

    def chosen(self, keep: NDArray[np.bool_]) -> "WorkStack":
        """Keep some of the tilts."""
        return WorkStack(
            self.images[keep],
            self.windows_y[keep],
            self.windows_x[keep],
            self.tilts[keep],
            self.tilt_deg[keep],
            self.pixel_ang,
        )

    def binned(self, factor: int) -> "WorkStack":
        """Bin by a whole factor."""
        return WorkStack(
            fourier_bin(self.images, factor),
            np.stack([_binned_window(window, factor) for window in self.windows_y]),
            np.stack([_binned_window(window, factor) for window in self.windows_x]),
            self.tilts,
            self.tilt_deg,
            self.pixel_ang * factor,
        )

    def filtered(self, band: Band) -> "WorkStack":
        """Window and band-pass the images, and bring each to contrast one."""
        transfer = band_pass(self.images.shape[1:], self.pixel_ang, band.lowpass_ang, band.highpass_ang)
        images = np.empty_like(self.images)
        for i, image in enumerate(self.images):
            windowed = image * self.windows_y[i][:, None] * self.windows_x[i]
            images[i] = scipy.fft.irfft2(scipy.fft.rfft2(windowed, workers=-1) * transfer, s=image.shape, workers=-1)
            images[i] /= max(float(images[i].std()), np.finfo(np.float32).tiny)
        return replace(self, images=images)


def working_binning(shape_yx: tuple[int, int], pixel_ang: float) -> int:
    """Return the binning at which a series is aligned."""
    side = max(shape_yx)
    coarse_enough = max(-(-side // _LARGEST_PX), int(np.ceil(_FINEST_ANG / pixel_ang)))
    return int(max(min(coarse_enough, side // _SMALLEST_PX), -(-side // _LARGEST_PX), 1))


def read_clean(series: TiltSeries, tilt: int) -> NDArray[np.float32]:
    """Read one image: holes filled, spikes cut, dense matter dark, median zero, its scale untouched.

    Returns
    -------
    float32[ny, nx]
    """
    image = series.image(tilt)
    finite = np.isfinite(image)
    if not finite.all():
        image = np.where(finite, image, np.median(image[finite]) if finite.any() else 0.0).astype(np.float32)
    step = -(-max(image.shape) // _SAMPLES)
    low, middle, high = (float(value) for value in np.percentile(image[::step, ::step], (0.1, 50.0, 99.9)))
    # Twice the range of all but one pixel in 500 is a spike, not gold: beads cover more than that.
    clipped = np.clip(image, 2.0 * low - high, 2.0 * high - low)
    return np.asarray(clipped - middle if series.contrast == "dark" else middle - clipped, np.float32)


def read_binned(series: TiltSeries, tilts: Sequence[int], binning: int, report: Report) -> NDArray[np.float32]:
    """Read some images, one at a time, and Fourier-bin them.

    Parameters
    ----------
    series : TiltSeries
    tilts : sequence of int
        Indices in the series, in any order.
    binning : int
        A whole factor of at least 1.
    report

    Returns
    -------
    float32[K, ceil(ny / binning), ceil(nx / binning)]
        As `read_clean` gives them: holes filled, spikes cut before they could ring, dense matter dark.
        An offset of d px from pixel ``n // 2`` in the image is one of ``d / binning`` px here.
    """
    binned = np.empty((len(tilts), *binned_shape(series.shape_yx, binning)), np.float32)
    for row, tilt in enumerate(watched([int(tilt) for tilt in tilts], report, "Reading images")):
        binned[row] = fourier_bin(read_clean(series, tilt), binning)
    return binned


def prepare(series: TiltSeries, report: Report) -> tuple[WorkStack, dict[int, str]]:
    """Read the kept images one at a time, bin and clean them.

    Returns
    -------
    stack : WorkStack
    excluded : dict of int to str
        Why each tilt that is not in the stack is not.
    """
    binning = working_binning(series.shape_yx, series.pixel_ang)
    cleaned, contrast = {}, {}
    excluded = {int(i): series.excluded_because[i] or "left out" for i in np.flatnonzero(~series.kept)}
    for tilt in watched([int(i) for i in series.kept_indices], report, "Reading images"):
        image, window_y, window_x = _clean(read_clean(series, tilt), binning)
        contrast[tilt] = float(image.std())
        cleaned[tilt] = (image, window_y, window_x)
    usual = float(np.median(list(contrast.values()))) if contrast else 0.0
    for tilt, value in contrast.items():
        if not value > _BLANK * usual:
            excluded[tilt] = f"dark or blank (contrast {value:.3g}, the median tilt has {usual:.3g})"
            del cleaned[tilt]
    if len(cleaned) < FEWEST_TILTS:
        raise DataError(
            f"{series.name}: only {len(cleaned)} of {series.n_tilts} tilts hold an image that can be aligned; "
            f"at least {FEWEST_TILTS} are needed; include more tilts or check the stack."
        )
    # Sorted by tilt, so that the order of the stack decides no tie.
    tilts = np.array(sorted(cleaned, key=lambda tilt: series.tilt_deg[tilt]), np.int64)
    images, windows_y, windows_x = (np.stack([cleaned[tilt][k] for tilt in tilts]) for k in range(3))
    images /= images.std(axis=(1, 2), keepdims=True)
    pixel_ang = series.pixel_ang * binning
    return WorkStack(images, windows_y, windows_x, tilts, series.tilt_deg[tilts], pixel_ang), excluded


def _clean(
    image: NDArray[np.float32], binning: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Bin and find dead borders: (image, window along y, window along x)."""
    window_y = _live_window(np.ptp(image, axis=1) > 0, binning)
    window_x = _live_window(np.ptp(image, axis=0) > 0, binning)
    binned = fourier_bin(image, binning)
    weight = np.outer(window_y, window_x)
    mean = float((binned * weight).sum() / max(float(weight.sum()), 1.0))
    return (binned - mean).astype(np.float32), window_y, window_x


def _live_window(live: NDArray[np.bool_], binning: int) -> NDArray[np.float32]:
    """Fade from the first to the last line that is not one constant value."""
    n = len(live)
    alive = np.flatnonzero(live)
    start, stop = (int(alive[0]), int(alive[-1]) + 1) if len(alive) else (0, n)
    return _binned_window(cosine_window(n, start, stop, _FADE * n), binning)


def _binned_window(window: NDArray[np.float32], binning: int) -> NDArray[np.float32]:
    """Sample a window at the pixels of the binned grid."""
    n = len(window)
    m = -(-n // binning)
    at = (np.arange(m) - m // 2) * binning + n // 2
    return np.interp(at, np.arange(n), window, left=0.0, right=0.0).astype(np.float32)
