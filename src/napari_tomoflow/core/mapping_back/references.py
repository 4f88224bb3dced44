"""An average made ready to be placed: where its surface lies, and what of it is body."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.resizing import fitted
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import DensityMap

Reals = NDArray[np.float32]

_FINER = 2
"""Voxels of a reference to one of the tomogram: linear interpolation is true to what is that much finer."""

_BLUR_PX = 1.0
"""Keeps detail the tomogram's voxels cannot hold to a hundredth, in voxels of the reference."""

_RIM_VOX = 1.25
"""How far labels reach beyond the surface, in voxels of the tomogram: each corner of a surface drawn through the
painted volume then lies between voxels of one label, and can be coloured by it."""

_SMALLEST_PART = 0.1
"""Parts of a body below this share of the largest one are noise."""


@dataclass(frozen=True)
class Reference:
    """A map on a grid finer than the tomogram's.

    Attributes
    ----------
    volumes : float32[2, n, n, n]
        Density, 1 at the surface, and depth in the body: px from where the labels end, not positive outside.
    voxel_ang : float
    level : float
        Surface in the units of the map it was made of.
    volume_nm3 : float
        Within the surface.
    is_cut : bool
        Whether the body reaches the border of the map.
    """

    volumes: Reals
    voxel_ang: float
    level: float
    volume_nm3: float
    is_cut: bool

    @property
    def diameter_ang(self) -> float:
        """Of the ball that has the volume of the body."""
        return float(2.0 * (3.0 * 1000.0 * self.volume_nm3 / (4.0 * np.pi)) ** (1 / 3))


def level_of(density: DensityMap, level_sd: float) -> float:
    """Return the density that many standard deviations of a map above its background, or below if matter is dark."""
    values = np.asarray(density.volume, np.float32)
    sign = 1.0 if density.contrast == "bright" else -1.0
    return float(np.median(values)) + sign * level_sd * float(values.std())


def reference_of(density: DensityMap, voxel_ang: float, level: float | None = None) -> Reference:
    """Make a map ready for a tomogram.

    Parameters
    ----------
    density : DensityMap
    voxel_ang : float
        Of the tomogram.
    level : float, optional
        Surface, in the units of the map. By default it lies where Otsu's threshold parts the map within its mask
        from the background.

    Raises
    ------
    DataError
        Nothing stands out of the map.
    """
    from scipy.ndimage import distance_transform_edt

    finer_ang = voxel_ang / _FINER
    volume, is_in_map = _on_grid(density, finer_ang)
    background = float(np.median(volume[is_in_map]))
    volume = np.where(is_in_map, volume - np.float32(background), np.float32(0.0))
    sign = 1.0 if density.contrast == "bright" else -1.0
    above = _otsu(volume, is_in_map) if level is None else sign * level - background
    body = _body(volume >= above) if above > 0 else np.zeros(volume.shape, bool)
    if not body.any():
        raise DataError(f"The map {density.name} has no body that stands out; give its surface with level_sd.")
    outside, inside = distance_transform_edt(~body), distance_transform_edt(body)
    depth = np.where(body, inside - 0.5, 0.5 - outside) + _RIM_VOX * _FINER
    # What lies around the body within the rim fades, so that a copy ends without an edge.
    share = np.clip(depth / _FINER, 0.0, 1.0)
    volumes = np.stack([volume / above * share, depth]).astype(np.float32)
    return Reference(
        volumes=_cropped(volumes),
        voxel_ang=finer_ang,
        level=sign * (above + background),
        volume_nm3=float(body.sum()) * (finer_ang / 10.0) ** 3,
        is_cut=bool(np.any(body & ~_eroded(is_in_map))),
    )


def stacked(references: Sequence[Reference]) -> Reals:
    """Pad references of one voxel size to the largest: float32[S, 2, n, n, n], voxel ``n // 2`` their centre."""
    size = max(one.volumes.shape[1] for one in references)
    joined = np.zeros((len(references), 2, size, size, size), np.float32)
    for one, room in zip(references, joined, strict=True):
        n = one.volumes.shape[1]
        kept = slice(size // 2 - n // 2, size // 2 - n // 2 + n)
        room[:, kept, kept, kept] = one.volumes
    return joined


def _on_grid(density: DensityMap, finer_ang: float) -> tuple[Reals, NDArray[np.bool_]]:
    """Sample a map, dense matter bright, on a cube of finer voxels, and tell where the map and its mask are."""
    from scipy.ndimage import gaussian_filter

    widest_ang = max(density.volume.shape) * density.voxel_ang
    box_px = 2 * int(np.ceil(widest_ang / finer_ang / 2))
    volume = gaussian_filter(fitted(density, box_px, finer_ang), _BLUR_PX)
    mask = np.ones(density.volume.shape, np.float32) if density.mask is None else density.mask
    within = fitted(density.replace(volume=mask, halves=None, mask=None, contrast="bright"), box_px, finer_ang)
    return volume, within > 0.5


def _otsu(volume: Reals, is_in_map: NDArray[np.bool_]) -> float:
    from skimage.filters import threshold_otsu

    values = volume[is_in_map]
    return float(threshold_otsu(values)) if np.ptp(values) > 0 else 0.0


def _body(above: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest connected part and those that are not small beside it."""
    from scipy.ndimage import label

    parts, _ = label(above)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= max(1.0, _SMALLEST_PART * sizes.max()))[parts])


def _eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy.ndimage import binary_erosion

    return np.asarray(binary_erosion(mask))


def _cropped(volumes: Reals) -> Reals:
    """Cut off what is not painted; the ball the painting kernel looks at must hold the rest."""
    n = volumes.shape[1]
    places = np.argwhere(volumes[1] > 0) - n // 2
    radius = int(np.ceil(np.sqrt((places**2).sum(axis=1).max()))) + 2
    size = 2 * radius
    cut = np.zeros((2, size, size, size), np.float32)
    old, new = max(0, n // 2 - radius), max(0, radius - n // 2)
    length = min(n, size)
    kept, room = slice(old, old + length), slice(new, new + length)
    cut[:, room, room, room] = volumes[:, kept, kept, kept]
    return cut
