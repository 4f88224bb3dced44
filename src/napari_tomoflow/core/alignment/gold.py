"""Find gold beads in tilt images: small, round, all of one size, and far denser than anything else.

A bead is looked for with the projection of a ball less a ring around it, which is blind to the mean and
to any slope of the background. What it finds is centred to a fraction of a pixel.

Legend: K detections.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from napari_tomoflow.core.model.tilt_series import TiltSeries
from napari_tomoflow.core.ops.fourier import fourier_bin
from napari_tomoflow.core.ops.peaks import noise_sd
from napari_tomoflow.core.report import Report, watched

Floats = NDArray[np.float64]

_DIAMETERS_NM = (4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0)
"""Gold is sold in these sizes, more or less."""

_LARGEST_NM = 20.0
"""Larger beads are rare, large molecules not: spots that stand out most at a larger size are taken for those."""

_DIAMETER_PX = 8.0
"""Images are binned as long as a bead is no smaller: its centre is as sharp and the work a fraction."""

_SMALLEST_PX = 4.0
"""A smaller spot has no shape."""

_RING = 1.5
"""Outer diameter of the ring around a bead, in diameters."""

_DETECTED = 5.0
"""A detection stands out of the noise of the filtered image by this factor."""

_MOST = 150
"""Detections kept per image, the strongest first."""

_ROUND = 0.5
"""Least ratio of the two curvatures at the top of a detection."""

_LOW_TILTS = 5
"""Images the diameter is measured in, the least tilted."""

_TYPICAL = 5
"""Rank of the detection that speaks for an image: a few brilliant specks of dirt do not make gold."""


@dataclass(frozen=True, eq=False)
class Detections:
    """Spots in one tilt that look like beads, strongest first.

    Attributes
    ----------
    position_ang_yx : float64[K, 2]
        Å from the image centre.
    height : float64[K]
        Answer of the matched filter over its noise.
    """

    position_ang_yx: Floats
    height: Floats


def gold_transfer(shape_yx: Sequence[int], diameter_px: float) -> NDArray[np.complex64]:
    """Return the matched filter of a bead, complex64[ny, nx // 2 + 1], to multiply `scipy.fft.rfft2`.

    It has unit sum of squares, so that white noise keeps its standard deviation, and mean zero.
    """
    y, x = (scipy.fft.fftfreq(n, 1.0 / n) for n in shape_yx)
    from_centre = np.hypot(y[:, None], x) / (0.5 * diameter_px)
    ball = np.sqrt(np.clip(1.0 - from_centre**2, 0.0, None))
    ring = ((from_centre > 1.0) & (from_centre <= _RING)).astype(np.float64)
    kernel = ball - ring * (ball.sum() / ring.sum())
    kernel /= np.sqrt((kernel**2).sum())
    return np.asarray(scipy.fft.rfft2(kernel), np.complex64)


def find_spots(image_yx: NDArray[np.float32], diameter_px: float) -> tuple[Floats, Floats]:
    """Find dense round spots of one size in an image in which dense is dark.

    Returns
    -------
    position_px_yx : float64[K, 2]
        From pixel ``n // 2``.
    height : float64[K]
        Over the noise of the filtered image.
    """
    margin = int(np.ceil(0.5 * _RING * diameter_px)) + 1
    if 2 * margin >= min(image_yx.shape):
        return np.zeros((0, 2)), np.zeros(0)
    answer = _answer(image_yx, diameter_px)
    tops = (answer == maximum_filter(answer, size=2 * int(0.5 * diameter_px) + 1)) & (answer > _DETECTED)
    # A bead partly outside is centred wrongly, and the filter wraps around.
    tops[:margin] = tops[-margin:] = tops[:, :margin] = tops[:, -margin:] = False
    rows, columns = np.nonzero(tops)
    strongest = np.argsort(-answer[rows, columns], kind="stable")[:_MOST]
    rows, columns = rows[strongest], columns[strongest]
    offset, roundness = _vertices(answer, rows, columns)
    good = roundness > _ROUND
    centre = np.array([n // 2 for n in image_yx.shape])
    position = np.stack([rows, columns], axis=1) + offset - centre
    return position[good], answer[rows, columns].astype(np.float64)[good]


def _answer(image_yx: NDArray[np.float32], diameter_px: float) -> NDArray[np.float32]:
    """Filter an image; dense spots come out positive, in units of the noise."""
    transfer = gold_transfer(image_yx.shape, diameter_px)
    mean = np.float32(image_yx.mean())
    answer = scipy.fft.irfft2(scipy.fft.rfft2(mean - image_yx) * transfer, s=image_yx.shape)
    noise = max(noise_sd(answer), 1e-30)
    return np.asarray((answer - np.median(answer)) / noise, np.float32)


def _vertices(
    answer: NDArray[np.float32], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Fit a paraboloid to the 3 × 3 pixels around each top: (offset [K, 2], ratio of its curvatures [K])."""
    around = np.stack([[answer[rows + dy, columns + dx] for dx in (-1, 0, 1)] for dy in (-1, 0, 1)]).astype(np.float64)
    slope_y, slope_x = 0.5 * (around[2, 1] - around[0, 1]), 0.5 * (around[1, 2] - around[1, 0])
    bend_yy = around[2, 1] - 2.0 * around[1, 1] + around[0, 1]
    bend_xx = around[1, 2] - 2.0 * around[1, 1] + around[1, 0]
    bend_xy = 0.25 * (around[2, 2] - around[2, 0] - around[0, 2] + around[0, 0])
    determinant = bend_yy * bend_xx - bend_xy**2
    safe = np.where(determinant > 0, determinant, np.inf)
    step_y = bend_xy * slope_x - bend_xx * slope_y
    step_x = bend_xy * slope_y - bend_yy * slope_x
    offset = np.stack([step_y / safe, step_x / safe], axis=1)
    mean, apart = 0.5 * (bend_yy + bend_xx), np.hypot(0.5 * (bend_yy - bend_xx), bend_xy)
    ratio = np.where(mean < 0, (mean + apart) / np.minimum(mean - apart, -1e-12), 0.0)
    return np.clip(offset, -1.0, 1.0), ratio


def measure_diameter(series: TiltSeries, report: Report) -> tuple[float, float]:
    """Find the size of ball that stands out most in the least tilted images.

    Returns
    -------
    diameter_ang : float
    height : float
        Of the fifth strongest spot of that size in the median image; 0 where there are fewer, and where
        what stands out is too large for gold.
    """
    low = series.kept_indices[np.argsort(np.abs(series.tilt_deg[series.kept]), kind="stable")[:_LOW_TILTS]]
    heights = np.zeros((len(low), len(_DIAMETERS_NM)))
    for row, tilt in enumerate(watched([int(one) for one in low], report, "Looking for gold")):
        image = dense_is_dark(series, tilt)
        for column, diameter_nm in enumerate(_DIAMETERS_NM):
            if 10.0 * diameter_nm < _SMALLEST_PX * series.pixel_ang:
                continue
            binning = gold_binning(10.0 * diameter_nm, series.pixel_ang)
            _, found = find_spots(fourier_bin(image, binning), 10.0 * diameter_nm / (series.pixel_ang * binning))
            heights[row, column] = found[_TYPICAL - 1] if len(found) >= _TYPICAL else 0.0
    typical = np.median(heights, axis=0)
    best = int(typical.argmax())
    height = float(typical[best]) if _DIAMETERS_NM[best] <= _LARGEST_NM else 0.0
    return 10.0 * _DIAMETERS_NM[best], height


def gold_binning(diameter_ang: float, pixel_ang: float) -> int:
    """Return the binning at which a bead is still 8 px across, or as many as there are."""
    return max(1, int(diameter_ang / (_DIAMETER_PX * pixel_ang)))


def dense_is_dark(series: TiltSeries, tilt: int) -> NDArray[np.float32]:
    """Read an image, holes filled and turned so that dense matter is dark."""
    image = series.image(tilt)
    finite = np.isfinite(image)
    if not finite.all():
        image = np.where(finite, image, np.median(image[finite]) if finite.any() else 0.0).astype(np.float32)
    return image if series.contrast == "dark" else -image


def detect_gold(series: TiltSeries, tilts: NDArray[np.int64], diameter_ang: float, report: Report) -> list[Detections]:
    """Find what looks like beads of one size in some tilts of a series; the others come out empty."""
    binning = gold_binning(diameter_ang, series.pixel_ang)
    pixel_ang = series.pixel_ang * binning
    found = [Detections(np.zeros((0, 2)), np.zeros(0))] * series.n_tilts
    for tilt in watched([int(one) for one in tilts], report, "Finding gold"):
        image = fourier_bin(dense_is_dark(series, tilt), binning)
        position_px, height = find_spots(image, diameter_ang / pixel_ang)
        found[tilt] = Detections(position_px * pixel_ang, height)
    return found
