"""Soft masks: 1 inside, 0 outside, half a cosine between."""

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.ops.fourier import radial_frequencies

Reals = NDArray[np.float32]

EDGE_PX = 6.0
"""Width of the soft edge: a narrower one correlates the shells of either half."""

_EDGE_RESOLUTIONS = 2.0
"""Least width of an edge in resolutions, or shells are correlated that the resolution is read from."""

_MASKED_AT_ANG = 15.0
_MOST_SHARE = 0.5
_SPECK_SHARE = 0.05
"""Of the largest part of a body: what is smaller is noise."""


def edge_px_for(resolution_ang: float, voxel_ang: float) -> float:
    """Return how wide the soft edge of a mask must be for a resolution to be read under it."""
    return max(EDGE_PX, _EDGE_RESOLUTIONS * resolution_ang / voxel_ang)


def soft_sphere(size: int, radius_px: float, edge_px: float = EDGE_PX) -> Reals:
    """Return a ball about voxel ``size // 2``, 1 up to the radius and 0 an edge further: float32[n, n, n]."""
    squared = (np.arange(size, dtype=np.float32) - size // 2) ** 2
    distance = np.sqrt(squared[:, None, None] + squared[:, None] + squared)
    return _fall(distance - np.float32(radius_px), edge_px)


def soft_cylinder(size: int, radius_px: float, height_px: float, edge_px: float = EDGE_PX) -> Reals:
    """Return a cylinder along z of a radius and a whole height, about voxel ``size // 2``: float32[n, n, n]."""
    offset = np.arange(size, dtype=np.float32) - size // 2
    across = np.hypot(offset[:, None], offset) - np.float32(radius_px)
    along = np.abs(offset) - np.float32(height_px / 2)
    return _fall(along, edge_px)[:, None, None] * _fall(across, edge_px)


def mask_of_map(
    volume: ArrayLike,
    voxel_ang: float,
    *,
    extend_px: float = 3.0,
    edge_px: float = EDGE_PX,
    lowpass_ang: float | None = None,
) -> Reals:
    """Mask the largest body of a map whose dense matter is bright.

    Parameters
    ----------
    volume : array[n, n, n]
    voxel_ang : float
    extend_px : float
        How far the mask reaches beyond the body.
    edge_px : float
        Width of the soft edge beyond that.
    lowpass_ang : float, optional
        Resolution the body is looked for at; 15 Å, or three voxels where that is more, by default.

    Raises
    ------
    DataError
        No body stands out.

    Notes
    -----
    The body is what Otsu's threshold parts from the background; parts of it that meet when extended are one, specks
    are none. The FSC of a mask this tight asks for phase randomisation.
    """
    smooth = _lowpassed(np.asarray(volume, np.float32), voxel_ang, lowpass_ang or max(_MASKED_AT_ANG, 3 * voxel_ang))
    dense = smooth > _otsu(smooth)
    if not dense.any() or dense.sum() > _MOST_SHARE * smooth.size:
        raise DataError("The map has no body that stands out from its background; mask it with a sphere.")
    body = _largest_body(dense, extend_px)
    outside = scipy.ndimage.distance_transform_edt(~body)
    return _fall(outside.astype(np.float32) - np.float32(extend_px), edge_px)


def _largest_body(dense: NDArray[np.bool_], reach_px: float) -> NDArray[np.bool_]:
    """Choose what belongs to the largest body: parts within reach, as the rings of a barrel, but no specks."""
    parts, _ = scipy.ndimage.label(dense)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    dense = (sizes >= _SPECK_SHARE * sizes.max())[parts]
    bodies, _ = scipy.ndimage.label(scipy.ndimage.distance_transform_edt(~dense) <= reach_px)
    largest = np.argmax(np.bincount(bodies[dense]))
    return np.asarray(dense & (bodies == largest))


def _fall(beyond_px: Reals, edge_px: float) -> Reals:
    share = np.clip(beyond_px / np.float32(max(edge_px, 1e-3)), 0.0, 1.0)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * share), np.float32)


def _lowpassed(volume: Reals, voxel_ang: float, resolution_ang: float) -> Reals:
    """Blur a map so that detail at the resolution keeps half its amplitude."""
    frequency = radial_frequencies(volume.shape) / voxel_ang
    gain = np.exp(-np.log(2.0) * (frequency * resolution_ang) ** 2).astype(np.float32)
    return np.asarray(scipy.fft.irfftn(scipy.fft.rfftn(volume) * gain, s=volume.shape), np.float32)


def _otsu(values: Reals) -> float:
    """Return the threshold that parts values into the two groups least spread in themselves."""
    counts, edges = np.histogram(values, 256)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * middles)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(middles[int(np.nanargmax(apart[:-1]))])
