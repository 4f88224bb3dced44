"""From raw tilt images to small clean ones that can be compared: bin, despike, window, band-pass."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.shadow import find_shadow
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

_MOST_HIDDEN = 0.5
"""A tilt of which a shadow hides more than this fraction is not used."""

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
    masks : float32[K, ny, nx]
        How far each pixel counts: zero in dead borders and shadows, fading towards them.
    tilts : int64[K]
        Index of each in the series, by increasing tilt.
    tilt_deg : float64[K]
    pixel_ang : float
    shadowed : dict of int to float
        Tilts of the series with a shadow on them, and the fraction of the image it hides.
    """

    images: NDArray[np.float32]
    masks: NDArray[np.float32]
    tilts: NDArray[np.int64]
    tilt_deg: NDArray[np.float64]
    pixel_ang: float
    shadowed: dict[int, float] = field(default_factory=dict)

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

    def chosen(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> "WorkStack":
        """Keep some of the tilts, or all in another order."""
        return replace(
            self,
            images=self.images[keep],
            masks=self.masks[keep],
            tilts=self.tilts[keep],
            tilt_deg=self.tilt_deg[keep],
        )

    def binned(self, factor: int) -> "WorkStack":
        """Bin by a whole factor."""
        return replace(
            self,
            images=fourier_bin(self.images, factor),
            masks=_sampled(self.masks, factor),
            pixel_ang=self.pixel_ang * factor,
        )

    def filtered(self, band: Band) -> "WorkStack":
        """Mask and band-pass the images, and bring each to contrast one."""
        transfer = band_pass(self.images.shape[1:], self.pixel_ang, band.lowpass_ang, band.highpass_ang)
        images = np.empty_like(self.images)
        for i, image in enumerate(self.images):
            masked = image * self.masks[i]
            images[i] = scipy.fft.irfft2(scipy.fft.rfft2(masked, workers=-1) * transfer, s=image.shape, workers=-1)
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
    clean: dict[int, _Clean] = {}
    excluded = {int(i): series.excluded_because[i] or "left out" for i in np.flatnonzero(~series.kept)}
    for tilt in watched([int(i) for i in series.kept_indices], report, "Reading images"):
        clean[tilt] = _clean(read_clean(series, tilt), binning, has_shadows=series.contrast == "dark")
    usual = float(np.median([one.contrast for one in clean.values()])) if clean else 0.0
    for tilt, one in list(clean.items()):
        if reason := _useless(one, usual):
            excluded[tilt] = reason
            del clean[tilt]
    if len(clean) < FEWEST_TILTS:
        raise DataError(
            f"{series.name}: only {len(clean)} of {series.n_tilts} tilts hold an image that can be aligned; "
            f"at least {FEWEST_TILTS} are needed; include more tilts or check the stack."
        )
    # Sorted by tilt, so that the order of the stack decides no tie.
    tilts = np.array(sorted(clean, key=lambda tilt: series.tilt_deg[tilt]), np.int64)
    images = np.stack([clean[tilt].image / clean[tilt].contrast for tilt in tilts])
    masks = np.stack([clean[tilt].mask for tilt in tilts])
    shadowed = {int(tilt): clean[tilt].hidden for tilt in tilts if clean[tilt].hidden}
    return WorkStack(
        images, masks, tilts, series.tilt_deg[tilts], series.pixel_ang * binning, shadowed=shadowed
    ), excluded


class _Clean(NamedTuple):
    """One binned image: mean zero where it counts, how far each pixel does, its contrast, the fraction in shadow."""

    image: NDArray[np.float32]
    mask: NDArray[np.float32]
    contrast: float
    hidden: float


def _clean(image: NDArray[np.float32], binning: int, *, has_shadows: bool) -> _Clean:
    """Bin and find dead borders and shadows."""
    window_y = _live_window(np.ptp(image, axis=1) > 0, binning)
    window_x = _live_window(np.ptp(image, axis=0) > 0, binning)
    binned, mask = fourier_bin(image, binning), np.outer(window_y, window_x)
    hidden = 0.0
    if has_shadows:
        open_yx, hidden = find_shadow(binned, mask)
        mask *= open_yx
    total = max(float(mask.sum()), 1.0)
    binned -= np.float32((binned * mask).sum() / total)
    contrast = float(np.sqrt((binned**2 * mask).sum() / total))
    return _Clean(binned, mask, contrast, hidden)


def _useless(clean: _Clean, usual: float) -> str:
    """Say why an image is not used, or nothing."""
    if not clean.contrast > _BLANK * usual:
        return f"dark or blank (contrast {clean.contrast:.3g}, the median tilt has {usual:.3g})"
    if clean.hidden > _MOST_HIDDEN:
        return f"shadowed, as by a grid bar: {100 * clean.hidden:.0f} % of it is hidden"
    return ""


def _live_window(live: NDArray[np.bool_], binning: int) -> NDArray[np.float32]:
    """Fade from the first to the last line that is not one constant value, sampled at the binned pixels."""
    n = len(live)
    alive = np.flatnonzero(live)
    start, stop = (int(alive[0]), int(alive[-1]) + 1) if len(alive) else (0, n)
    window = cosine_window(n, start, stop, _FADE * n)
    at = _places(n, binning)
    return np.where((at >= 0) & (at < n), window[np.clip(at, 0, n - 1)], np.float32(0.0))


def _sampled(masks: NDArray[np.float32], binning: int) -> NDArray[np.float32]:
    """Sample masks at the pixels of the binned grid, zero beyond the border."""
    ny, nx = masks.shape[1:]
    y, x = _places(ny, binning), _places(nx, binning)
    inside = ((y >= 0) & (y < ny))[:, None] & ((x >= 0) & (x < nx))
    sampled = masks[:, np.clip(y, 0, ny - 1)[:, None], np.clip(x, 0, nx - 1)]
    return np.asarray(sampled * inside, np.float32)


def _places(n: int, binning: int) -> NDArray[np.int64]:
    """Return which pixels of a line lie under those of the binned one."""
    m = -(-n // binning)
    return (np.arange(m) - m // 2) * binning + n // 2
