"""Where points of the specimen are seen in every tilt, measured against what the other tilts show of them.

Every measurement starts from where an alignment predicts the point and reaches a few pixels around, so
nothing is followed from image to image and no error adds up along the series. The image measured never
takes part in its own prediction.

Legend: K tilts in use, P points, m side of a patch in pixels.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.prepare import WorkStack
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.ops import geometry
from napari_tomoflow.core.ops.correlation import band_pass
from napari_tomoflow.core.ops.fourier import next_fast_size
from napari_tomoflow.core.report import Report, watched

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Flags = NDArray[np.bool_]

_LOWPASS_PX = 4.0
"""Finest wavelength compared: beyond it a single tilt is all noise."""

_SPARE_PX = 4
"""Pixels around a patch beyond what is compared, for interpolation."""

_AT_ONCE = 16
"""Points measured between two reports."""


class Sightings(NamedTuple):
    """Where points were seen.

    Attributes
    ----------
    position_ang_yx : float64[P, K, 2]
        Å from the image centre.
    height : float64[P, K]
        Of the correlation peak over the noise; 0 where the tilt does not show the point, or the best
        place is at the very edge of what was searched.
    shown : bool[P, K]
    """

    position_ang_yx: Floats
    height: Floats
    shown: Flags


def whitened(stack: WorkStack, highpass_px: float) -> WorkStack:
    """Mask the images and give all wavelengths from four pixels to a longest one the same weight.

    White noise of variance 1 stands for what there was, before the band is cut. One spectrum, the mean of
    all tilts around circles, whitens all of them: tilts that show less also count less.
    """
    ny, nx = stack.images.shape[1:]
    images_rft = scipy.fft.rfft2(stack.images * stack.masks, workers=-1)
    frequency = np.hypot(scipy.fft.fftfreq(ny)[:, None], scipy.fft.rfftfreq(nx)[None])
    circle = np.minimum((frequency * max(ny, nx)).astype(np.int64), max(ny, nx) // 2)
    power = (np.abs(images_rft) ** 2).mean(axis=0) / (ny * nx)
    around = np.bincount(circle.ravel(), power.ravel()) / np.maximum(np.bincount(circle.ravel()), 1)
    transfer = band_pass((ny, nx), 1.0, _LOWPASS_PX, highpass_px)
    transfer /= np.sqrt(np.maximum(around, np.finfo(np.float32).tiny))[circle]
    images_rft *= transfer
    images = scipy.fft.irfft2(images_rft, s=(ny, nx), workers=-1, overwrite_x=True)
    return replace(stack, images=np.asarray(images, np.float32))


def sight(
    stack: WorkStack,
    alignment: Alignment,
    points_ang_zyx: Floats,
    radius_px: int,
    reach_px: int,
    report: Report,
) -> Sightings:
    """Look for points around where an alignment predicts them.

    Each tilt is compared with a ball around the point, back-projected from all the other tilts.

    Parameters
    ----------
    stack : WorkStack
        From `whitened`.
    alignment : Alignment
        Of the K tilts.
    points_ang_zyx : float64[P, 3]
    radius_px : int
        Of the ball.
    reach_px : int
        How far from its prediction a point is looked for along each axis.
    report
    """
    from napari_tomoflow.core.kernels.landmarks import cut_patches, predict_patches

    expected_ang = alignment.project(points_ang_zyx)[0].transpose(1, 0, 2)
    centres_px = geometry.pixels_from_ang(expected_ang, stack.pixel_ang, stack.images.shape[1:])
    shown = _inside(centres_px, stack.images.shape[1:], radius_px)
    matrices = np.ascontiguousarray(alignment.rotations[:, [1, 0]])
    side = next_fast_size(2 * (radius_px + reach_px) + _SPARE_PX)
    steps_px, height = np.zeros((*shown.shape, 2)), np.zeros(shown.shape)
    for first in watched(range(0, len(shown), _AT_ONCE), report, "Following features"):
        some = slice(first, first + _AT_ONCE)
        patches = np.empty((*shown[some].shape, side, side), np.float32)
        cut_patches(patches, stack.images, np.ascontiguousarray(centres_px[some]))
        predicted = np.zeros_like(patches)
        predict_patches(predicted, patches, shown[some], matrices, radius_px)
        steps_px[some], height[some] = measure_patches(patches, predicted, reach_px)
    return Sightings(expected_ang + steps_px * stack.pixel_ang, np.where(shown, height, 0.0), shown)


def measure_patches(patches: Floats32, predicted: Floats32, reach_px: int) -> tuple[Floats, Floats]:
    """Find how far each patch lies from its prediction.

    Parameters
    ----------
    patches, predicted : float32[P, K, m, m]
        Of whitened images.
    reach_px : int
        How far a step may go along each axis.

    Returns
    -------
    steps_px : float64[P, K, 2]
        (y, x), by parabolas through the highest place of the correlation.
    height : float64[P, K]
        Of the correlation over its noise; 0 where it is highest at the edge, or nothing is predicted.
    """
    m = patches.shape[-1]
    predicted_rft = scipy.fft.rfft2(predicted, workers=-1)
    product = scipy.fft.rfft2(patches, workers=-1) * np.conj(predicted_rft)
    maps = scipy.fft.fftshift(scipy.fft.irfft2(product, s=(m, m), workers=-1), axes=(-2, -1))
    near = slice(m // 2 - reach_px, m // 2 + reach_px + 1)
    maps = maps[..., near, near]
    flat = maps.reshape(*maps.shape[:2], -1)
    y, x = np.divmod(flat.argmax(axis=-1), 2 * reach_px + 1)
    inside = (np.minimum(y, x) > 0) & (np.maximum(y, x) < 2 * reach_px)
    y, x = np.clip(y, 1, 2 * reach_px - 1), np.clip(x, 1, 2 * reach_px - 1)
    p, k = np.indices(y.shape)
    top = maps[p, k, y, x]
    offset_y = _vertices(maps[p, k, y - 1, x], top, maps[p, k, y + 1, x])
    offset_x = _vertices(maps[p, k, y, x - 1], top, maps[p, k, y, x + 1])
    steps_px = np.stack([y - reach_px + offset_y, x - reach_px + offset_x], axis=-1)
    noise = _noise_of(predicted_rft, m)
    height = np.divide(top, noise, out=np.zeros_like(noise), where=inside & (noise > 0))
    return np.where(inside[..., None], steps_px, 0.0), height


def _vertices(before: Floats32, top: Floats32, after: Floats32) -> Floats:
    """Place the tops of parabolas through three values each, within half a pixel of the middle one."""
    bend = before.astype(np.float64) - 2.0 * top + after
    safe = np.where(bend < 0, bend, -np.inf)
    return np.asarray(np.clip(0.5 * (before - after) / safe, -0.5, 0.5))


def _noise_of(predicted_rft: NDArray[np.complex64], m: int) -> Floats:
    """Return the standard deviation of the correlation of each prediction with whitened noise."""
    band = band_pass((m, m), 1.0, _LOWPASS_PX, float(m))
    power = np.abs(predicted_rft * band) ** 2
    # A half transform holds one of each pair of opposite waves, save those on its two outer columns.
    power[..., 1 : (m + 1) // 2] *= 2.0
    return np.asarray(np.sqrt(power.sum(axis=(-2, -1))) / m, np.float64)


def _inside(centres_px_yx: Floats, shape_yx: tuple[int, ...], radius_px: int) -> Flags:
    """Tell which patches lie wholly inside their images."""
    highest = np.array(shape_yx) - 1 - radius_px
    return np.asarray(((centres_px_yx >= radius_px) & (centres_px_yx <= highest)).all(axis=-1))
