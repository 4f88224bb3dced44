"""Slabs through a tomogram: averaged, filtered, and their grey values. It knows no viewer."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from napari_tomoflow.core.model import Optics, Tomogram
from napari_tomoflow.core.ops.deconvolution import deconvolve
from napari_tomoflow.core.ops.fourier import half_frequencies

Image = NDArray[np.float32]
Axis = Literal[0, 1, 2]

_LEVELS_PERCENT = {"soft": (0.02, 99.98), "normal": (0.5, 99.5), "strong": (3.0, 97.0)}

_ENOUGH_PIXELS = 2**17
"""Sorting more would hold the window up."""

CONTRASTS = tuple(_LEVELS_PERCENT)
"""Presets, from the one that clips hardly anything to the one that shows faint things."""


@dataclass(frozen=True)
class Filter:
    """What is done to a slab before it is shown.

    Attributes
    ----------
    kind : {"none", "low-pass", "deconvolve"}
    lowpass_ang : float
        Wavelength at which the low-pass falls to one half.
    defocus_ang : float
        Mean defocus of the series, underfocus positive.
    strength : float
        Of the deconvolution; see `core.ops.deconvolution`.
    optics : Optics
    """

    kind: Literal["none", "low-pass", "deconvolve"] = "none"
    lowpass_ang: float = 40.0
    defocus_ang: float = 30_000.0
    strength: float = 1.0
    optics: Optics = field(default_factory=Optics)

    def apply(self, image: Image, pixel_ang: float) -> Image:
        """Filter an image; its mean stays where it was."""
        if self.kind == "none":
            return image
        # Mirrored around, the image has no edges that could ring.
        padded = np.pad(image, [(0, n) for n in image.shape], mode="symmetric")
        mean = float(image.mean())
        if self.kind == "low-pass":
            filtered = _low_pass(padded - mean, self.lowpass_ang / pixel_ang)
        else:
            filtered = deconvolve(padded - mean, pixel_ang, self.defocus_ang, self.optics, strength=self.strength)
        return np.asarray(filtered[: image.shape[0], : image.shape[1]] + np.float32(mean), np.float32)


def _low_pass(image: Image, lowpass_px: float) -> Image:
    y, x = half_frequencies(image.shape)
    gain = np.exp(-np.log(2.0) * (y**2 + x**2) * lowpass_px**2).astype(np.float32)
    return np.asarray(scipy.fft.irfft2(scipy.fft.rfft2(image) * gain, s=image.shape), np.float32)


def slab(tomogram: Tomogram, axis: Axis, at_ang: float, thickness_ang: float) -> Image:
    """Average the planes within half a thickness of a place; at least the one there.

    Parameters
    ----------
    tomogram : Tomogram
    axis : int
        Across which axis: 0 gives [ny, nx], 1 [nz, nx], 2 [nz, ny].
    at_ang : float
        Where the middle of the slab lies along that axis, Å in the specimen's frame.
    thickness_ang : float
    """
    n = int(tomogram.volume.shape[axis])
    middle = index_of(tomogram, axis, at_ang)
    reach = max(0, round((thickness_ang / tomogram.voxel_ang - 1.0) / 2.0))
    planes = range(max(0, middle - reach), min(n, middle + reach + 1))
    where: list[Any] = [slice(None)] * 3
    total = np.zeros([size for one, size in enumerate(tomogram.volume.shape) if one != axis], np.float32)
    for plane in planes:
        where[axis] = plane
        total += np.asarray(tomogram.volume[tuple(where)], np.float32)
    return np.asarray(total / np.float32(len(planes)), np.float32)


def oblique_slab(
    tomogram: Tomogram,
    center_ang_zyx: NDArray[np.float64],
    axes_zyx: NDArray[np.float64],
    side_ang: float,
    thickness_ang: float = 0.0,
) -> Image:
    """Average square slices of any direction about a place; only the block of the volume they cross is read.

    Parameters
    ----------
    tomogram : Tomogram
    center_ang_zyx : float64[3]
        Å in the specimen's frame; it lies at pixel ``n // 2``.
    axes_zyx : float64[3, 3]
        Unit vectors (z, y, x) that point to the right of the slice, down it, and across it.
    side_ang : float
        Length of its sides; samples are one voxel apart.
    thickness_ang : float

    Returns
    -------
    float32[n, n]
        Outside the volume it has the mean of what is read.
    """
    reach = max(1, round(side_ang / 2.0 / tomogram.voxel_ang))
    half_thick = max(0, round((thickness_ang / tomogram.voxel_ang - 1.0) / 2.0))
    shape = np.array(tomogram.volume.shape)
    middle = (center_ang_zyx - np.array(tomogram.origin_ang_zyx)) / tomogram.voxel_ang + shape // 2
    right, down, across = np.asarray(axes_zyx, np.float64)
    span = np.arange(-reach, reach + 1, dtype=np.float64)
    plane = middle + span[:, None, None] * down + span[None, :, None] * right  # (rows, columns, zyx)
    corners = plane[[0, 0, -1, -1], [0, -1, 0, -1]]
    corners = np.concatenate([corners + step * half_thick * across for step in (-1, 1)])
    low = np.clip(np.floor(corners.min(axis=0)), 0, shape - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 1, low + 1, shape).astype(int)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    block = np.asarray(tomogram.volume[z, y, x], np.float32)
    mean = float(np.nanmean(block))
    total = np.zeros((len(span), len(span)), np.float32)
    for step in range(-half_thick, half_thick + 1):
        at = np.moveaxis(plane + step * across - low, -1, 0)
        total += map_coordinates(block, at, order=1, mode="grid-constant", cval=mean)
    return total / np.float32(2 * half_thick + 1)


def index_of(tomogram: Tomogram, axis: Axis, at_ang: float) -> int:
    """Return the plane nearest to a place."""
    n = int(tomogram.volume.shape[axis])
    index = round((at_ang - tomogram.origin_ang_zyx[axis]) / tomogram.voxel_ang) + n // 2
    return int(np.clip(index, 0, n - 1))


def extent_ang(tomogram: Tomogram, axis: Axis) -> tuple[float, float]:
    """Return where a tomogram begins and ends along an axis, the outer faces of its voxels."""
    n = int(tomogram.volume.shape[axis])
    low = tomogram.origin_ang_zyx[axis] - (n // 2 + 0.5) * tomogram.voxel_ang
    return low, low + n * tomogram.voxel_ang


def grey_levels(image: Image, contrast: str) -> tuple[float, float]:
    """Return the values that are shown black and white, of a sample where there are many pixels."""
    every = max(1, round((image.size / _ENOUGH_PIXELS) ** 0.5))
    sample = image[::every, ::every]
    finite = sample[np.isfinite(sample)]
    low, high = np.percentile(finite, _LEVELS_PERCENT[contrast]) if len(finite) else (0.0, 1.0)
    return float(low), float(high) if high > low else float(low) + 1.0
