"""A template as the tomogram would show it: its size, its mask, and the resolution it is matched at."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import DensityMap
from napari_tomoflow.core.ops.fourier import fourier_crop, next_fast_size, pad_centred
from napari_tomoflow.core.ops.masks import soft_sphere
from napari_tomoflow.core.ops.so3 import symmetry_operators

Image = NDArray[np.float32]

_LEVEL = 0.15
"""Of the densest (99.9th percentile): what is denser belongs to the particle."""

_INSIDE_PERCENT = 99.0
"""So much of the particle lies within its radius; the rest is noise of a map."""

_SOFT_VOX = 2.0
"""Over which a mask falls from 1 to 0."""

_ROOM = 0.1
"""How much wider than the particle the mask is: its surroundings are part of what is recognised."""

_FEWEST_VOX = 5.0

_ROUNDS_OF_RANDOM = 10
"""Mask and power agree to a few hundredths then; too few to find the template again."""


@dataclass(frozen=True, eq=False)
class Template:
    """A particle to look for, dense matter bright and its surroundings 0.

    Attributes
    ----------
    volume_zyx : float32[n, n, n]
        Cube of even side in voxels of its own; voxel n // 2 is the centre.
    mask_zyx : float32[n, n, n]
        From 0 to 1.
    voxel_ang : float
    diameter_ang : float
        Of the sphere about its centre that holds it.
    symmetry : str
    """

    volume_zyx: Image
    mask_zyx: Image
    voxel_ang: float
    diameter_ang: float
    symmetry: str

    def mirrored(self) -> "Template":
        """Return its mirror image, which has the symmetry of the same name about the same axes."""
        # Mirroring across xz turns an operator S into M S M: the axes along x and z stay where they are.
        return replace(self, volume_zyx=_flipped_y(self.volume_zyx), mask_zyx=_flipped_y(self.mask_zyx))


def prepare_template(
    density: DensityMap, voxel_ang: float, diameter_ang: float | None = None, symmetry: str | None = None
) -> Template:
    """Bring a map into the form that is matched.

    Parameters
    ----------
    density : DensityMap
        Of any shape and voxel.
    voxel_ang : float
        Of the tomogram; a finer map is binned by whole factors as far as that allows.
    diameter_ang : float, optional
        Measured when not given.
    symmetry : str, optional
        The map's own when not given.

    Raises
    ------
    DataError
        The map is empty, or not larger than a few of the tomogram's voxels.
    """
    symmetry = (symmetry or density.symmetry).strip().upper()
    symmetry_operators(symmetry)
    volume, own_ang = _cube(density.volume), density.voxel_ang
    if not np.isfinite(volume).all() or np.ptp(volume) == 0:
        raise DataError(f"{density.name}: the template is empty or holds NaN; give a map with a particle in it.")
    volume = (volume - np.median(_border(volume))) * np.float32(1.0 if density.contrast == "bright" else -1.0)
    mask = None if density.mask is None else _cube(density.mask)
    factor = max(1, int(voxel_ang / own_ang))
    if factor > 1:
        volume = _binned(volume, factor)
        mask = None if mask is None else _binned(mask, factor)
        own_ang *= factor
    measured_ang = diameter_ang or 2.0 * own_ang * _radius_vox(volume, mask)
    if measured_ang < _FEWEST_VOX * voxel_ang:
        raise DataError(
            f"{density.name}: a particle of {measured_ang:.0f} Å is {measured_ang / voxel_ang:.1f} voxels of "
            f"{voxel_ang:.3g} Å wide; match in a tomogram with finer voxels."
        )
    if mask is None:
        mask = ball(len(volume), mask_radius_ang(measured_ang, voxel_ang) / own_ang, _SOFT_VOX * voxel_ang / own_ang)
    return Template(volume, np.clip(mask, 0.0, 1.0), own_ang, measured_ang, symmetry)


def mask_radius_ang(diameter_ang: float, voxel_ang: float) -> float:
    """Return the radius of the ball a particle is recognised by."""
    return (0.5 + _ROOM / 2) * diameter_ang + 0.5 * voxel_ang


def box_size(diameter_ang: float, voxel_ang: float) -> int:
    """Return the side of the box, in voxels of the tomogram, that holds the ball."""
    return next_fast_size(int(np.ceil(2 * (mask_radius_ang(diameter_ang, voxel_ang) / voxel_ang + _SOFT_VOX / 2) + 1)))


def ball(size: int, radius_vox: float, soft_vox: float = _SOFT_VOX) -> Image:
    """Make a ball around voxel ``size // 2`` whose mask is half at its radius: float32[size, size, size]."""
    return soft_sphere(size, radius_vox - soft_vox / 2, soft_vox)


def phases_randomised(template: Template, seed: int) -> Template:
    """Return a template of the same power spectrum that shows nothing: the null hypothesis of a match.

    Random phases spread over the whole box. Brought back under the mask, the power would be another, and with it how
    far coarse and fine details go together; so mask and power are imposed in turns.
    """
    shape = template.volume_zyx.shape
    amplitude = np.abs(scipy.fft.rfftn(template.volume_zyx * template.mask_zyx))
    volume = np.random.default_rng(seed).standard_normal(shape, np.float32)
    for _ in range(_ROUNDS_OF_RANDOM):
        volume_rft = scipy.fft.rfftn(volume * template.mask_zyx)
        wanted_rft = volume_rft * (amplitude / np.maximum(np.abs(volume_rft), 1e-12))
        volume = np.asarray(scipy.fft.irfftn(wanted_rft, shape), np.float32)
    return replace(template, volume_zyx=volume)


def lowpass(frequency_per_vox: Image, cutoff_per_vox: float) -> Image:
    """Return how much of each frequency a match uses."""
    place = (frequency_per_vox / np.float32(cutoff_per_vox) - np.float32(0.9)) / np.float32(0.2)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * np.clip(place, 0.0, 1.0)), np.float32)


def _cube(volume: object) -> Image:
    """Pad a volume to a cube of even side with the values of its border."""
    array = np.asarray(volume, np.float32)
    side = 2 * -(-max(array.shape) // 2)
    return pad_centred(array, (side,) * 3)


def _binned(volume_zyx: Image, factor: int) -> Image:
    """Bin a cube by a whole factor to one of even side; voxel n // 2 stays the centre."""
    shape = (2 * -(-len(volume_zyx) // (2 * factor)),) * 3
    return fourier_crop(pad_centred(volume_zyx, [factor * n for n in shape]), shape)


def _border(volume_zyx: Image) -> Image:
    return np.concatenate(
        [volume_zyx[[0, -1]].ravel(), volume_zyx[:, [0, -1]].ravel(), volume_zyx[..., [0, -1]].ravel()]
    )


def _radius_vox(volume_zyx: Image, mask_zyx: Image | None) -> float:
    """Measure how far from its centre a particle reaches."""
    if mask_zyx is not None:
        inside = mask_zyx > 0.5
    else:
        inside = volume_zyx > _LEVEL * np.percentile(volume_zyx[volume_zyx > 0], 99.9)
    if not inside.any():
        raise DataError("The template's mask is empty; leave it out, or give one that is 1 on the particle.")
    return float(np.percentile(_radii(len(volume_zyx))[inside], _INSIDE_PERCENT))


def _radii(size: int) -> Image:
    axis = np.arange(size, dtype=np.float32) - size // 2
    return np.asarray(np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2))


def _flipped_y(volume_zyx: Image) -> Image:
    """Mirror y → −y about voxel n // 2 of an even side."""
    return np.ascontiguousarray(np.roll(volume_zyx[:, ::-1], 1, axis=1))
