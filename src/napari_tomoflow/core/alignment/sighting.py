"""Where points of the specimen are seen in every tilt, measured against what the other tilts show of them.

Every measurement starts from where an alignment predicts the point and reaches a few pixels around, so
nothing is followed from image to image and no error adds up along the series. The image measured never
takes part in its own prediction.

Legend: K tilts in use, P points, L landmarks of one or more points each, m side of a patch in pixels.
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
Ints = NDArray[np.int64]

_LOWPASS_PX = 4.0
"""Finest wavelength compared: beyond it a single tilt is all noise."""

_SPARE_PX = 4
"""Pixels around a patch beyond what is compared, for interpolation."""

_AT_ONCE = 16
"""Points measured between two reports."""

_SHOWN_SHARE = 0.6
"""A tilt shows a landmark when it shows this share of its points."""


class Sightings(NamedTuple):
    """Where landmarks were seen.

    Attributes
    ----------
    centre_ang_zyx : float64[L, 3]
        Mean of the points of each.
    position_ang_yx : float64[L, K, 2]
        Of the centre, Å from the image centre.
    height : float64[L, K]
        Of the correlation peak over the noise; 0 where the tilt does not show the landmark, or the best
        place is at the very edge of what was searched.
    shown : bool[L, K]
    """

    centre_ang_zyx: Floats
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
    landmark: Ints,
    radius_px: int,
    reach_px: int,
    report: Report,
) -> Sightings:
    """Look for landmarks around where an alignment predicts them.

    Each tilt is compared with a ball around every point, back-projected from all the other tilts. The
    correlations of the points of one landmark are added up: in any one tilt they are taken to be equally
    far from their predictions.

    Parameters
    ----------
    stack : WorkStack
        From `whitened`.
    alignment : Alignment
        Of the K tilts.
    points_ang_zyx : float64[P, 3]
    landmark : int64[P]
        The one that each point belongs to.
    radius_px : int
        Of the balls.
    reach_px : int
        How far from its prediction a landmark is looked for along each axis.
    report
    """
    from napari_tomoflow.core.kernels.landmarks import cut_patches, predict_patches

    count = np.bincount(landmark)
    expected_ang = alignment.project(points_ang_zyx)[0].transpose(1, 0, 2)
    centres_px = geometry.pixels_from_ang(expected_ang, stack.pixel_ang, stack.images.shape[1:])
    inside = _inside(centres_px, stack.images.shape[1:], radius_px)
    matrices = np.ascontiguousarray(alignment.rotations[:, [1, 0]])
    side, window = next_fast_size(2 * (radius_px + reach_px) + _SPARE_PX), 2 * reach_px + 1
    maps, variance = np.zeros((len(count), len(stack), window, window)), np.zeros((len(count), len(stack)))
    for first in watched(range(0, len(inside), _AT_ONCE), report, "Following the specimen"):
        some = slice(first, first + _AT_ONCE)
        patches = np.empty((*inside[some].shape, side, side), np.float32)
        cut_patches(patches, stack.images, np.ascontiguousarray(centres_px[some]))
        predicted = np.zeros_like(patches)
        predict_patches(predicted, patches, np.ascontiguousarray(inside[some]), matrices, radius_px)
        its_maps, its_noise = correlate_patches(patches, predicted, reach_px)
        np.add.at(maps, landmark[some], its_maps)
        np.add.at(variance, landmark[some], its_noise**2)
    steps_px, height = find_tops(maps, np.sqrt(variance))
    belongs = np.arange(len(count))[:, None] == landmark
    shown = belongs @ inside.astype(np.int64) >= _SHOWN_SHARE * count[:, None]
    centre_ang_zyx = belongs @ points_ang_zyx / count[:, None]
    position = alignment.project(centre_ang_zyx)[0].transpose(1, 0, 2) + steps_px * stack.pixel_ang
    return Sightings(centre_ang_zyx, position, np.where(shown, height, 0.0), shown)


def correlate_patches(patches: Floats32, predicted: Floats32, reach_px: int) -> tuple[Floats32, Floats]:
    """Correlate each patch with its prediction.

    Parameters
    ----------
    patches, predicted : float32[P, K, m, m]
        Of whitened images; an empty prediction correlates with nothing.
    reach_px : int
        How far a step may go along each axis.

    Returns
    -------
    maps : float32[P, K, 2 reach + 1, 2 reach + 1]
        No step in the middle.
    noise : float64[P, K]
        Standard deviation of the map of a patch that is all noise.
    """
    m = patches.shape[-1]
    predicted_rft = scipy.fft.rfft2(predicted, workers=-1)
    product = scipy.fft.rfft2(patches, workers=-1) * np.conj(predicted_rft)
    maps = scipy.fft.fftshift(scipy.fft.irfft2(product, s=(m, m), workers=-1), axes=(-2, -1))
    near = slice(m // 2 - reach_px, m // 2 + reach_px + 1)
    return maps[..., near, near], _noise_of(predicted_rft, m)


def find_tops(maps: Floats, noise: Floats) -> tuple[Floats, Floats]:
    """Find how far each landmark lies from its prediction.

    Parameters
    ----------
    maps : float[L, K, s, s]
        Correlations, no step in the middle.
    noise : float64[L, K]

    Returns
    -------
    steps_px : float64[L, K, 2]
        (y, x), by parabolas through the highest place of the correlation.
    height : float64[L, K]
        Of the correlation over its noise; 0 where it is highest at the edge, or nothing is predicted.
    """
    side = maps.shape[-1]
    y, x = np.divmod(maps.reshape(*maps.shape[:2], -1).argmax(axis=-1), side)
    inside = (np.minimum(y, x) > 0) & (np.maximum(y, x) < side - 1)
    y, x = np.clip(y, 1, side - 2), np.clip(x, 1, side - 2)
    p, k = np.indices(y.shape)
    top = maps[p, k, y, x]
    offset_y = _vertices(maps[p, k, y - 1, x], top, maps[p, k, y + 1, x])
    offset_x = _vertices(maps[p, k, y, x - 1], top, maps[p, k, y, x + 1])
    steps_px = np.stack([y - side // 2 + offset_y, x - side // 2 + offset_x], axis=-1)
    height = np.divide(top, noise, out=np.zeros_like(noise), where=inside & (noise > 0))
    return np.where(inside[..., None], steps_px, 0.0), height


def _vertices(before: Floats, top: Floats, after: Floats) -> Floats:
    """Place the tops of parabolas through three values each, within half a pixel of the middle one."""
    bend = before - 2.0 * top + after
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
