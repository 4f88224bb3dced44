"""What a batch of particles looks like in every tilt, as transforms ready to be compared with and added to maps.

A particle j in tilt i is seen as::

    X_ij = t_ij · S_ij + noise         t = CTF · fading by exposure · weight of the tilt, noise of power 1

with S the slice of the particle's map across the direction it is seen along. All that searches, averages and
likelihoods ever ask of X are the products with t::

    D_ij = t_ij · X_ij                 P_ij = t_ij²

    log likelihood of a slice S = Re Σ D S* − ½ Σ P |S|² + constant
    best map                    = Σ slices D inserted / Σ slices P inserted

so these two are what is kept. Multiplying by the CTF before the box is cut brings back what the CTF had carried out of
it; the cut then smooths P as it smooths the CTF² the particle is seen through.

Transforms are orthonormal (``norm="ortho"``), with the particle's centre at pixel 0: noise has power 1 in each
coefficient whatever the box, and a slice is the transform of the map's projection divided by the box.

Legend: P particles, T tilts, n pixels along the box.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.ops.fourier import half_frequencies

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Waves = NDArray[np.complex64]
Indices = NDArray[np.int64]

EDGE_PX = 5.0
"""Width of the soft edge of the round window that ends the box."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ParticleImages:
    """Images of some particles in every tilt. See the module for what they stand for.

    Attributes
    ----------
    images_rft : complex64[P, T, n, n // 2 + 1]
        D: transforms times all that weakened them, dense matter bright, zero where a particle is not seen.
    power : float32[P, T, n, n // 2 + 1]
        P: what the same was done to the particle's slice.
    rotations : float64[P, T, 3, 3]
        R of each tilt, from the tomogram to the image, acting on (x, y, z); stretched as the image is (`Optics`).
    visible : bool[P, T]
    pixel_ang : float
    """

    images_rft: Waves
    power: Reals
    rotations: Floats
    visible: NDArray[np.bool_]
    pixel_ang: float

    def __post_init__(self) -> None:
        """Check that all shapes fit."""
        shape = self.images_rft.shape
        n = shape[2] if len(shape) == 4 else 0
        if n < 4 or n % 2 or shape[3] != n // 2 + 1 or self.power.shape != shape:
            raise DataError(
                f"Images of particles have the shapes {shape} and {self.power.shape}; "
                "give half transforms of even boxes, particles × tilts × n × (n / 2 + 1)."
            )
        if self.rotations.shape != (*shape[:2], 3, 3) or self.visible.shape != shape[:2]:
            raise DataError(
                f"{shape[:2]} images have rotations of {self.rotations.shape} and marks of {self.visible.shape}; "
                "give one for each."
            )

    def __len__(self) -> int:
        """Return the number of particles."""
        return len(self.images_rft)

    @property
    def box_px(self) -> int:
        """Edge of the box, n."""
        return int(self.images_rft.shape[2])

    def axes(self, poses: Floats) -> Reals:
        """Return where the axes of every image lie in the map, for poses A of shape (P, 3, 3): float32[P, T, 2, 3].

        A frequency (kx, ky) of an image is that of the map at ``kx · axes[0] + ky · axes[1]``, in the order (x, y, z).
        """
        return np.ascontiguousarray((self.rotations @ poses[:, None])[:, :, :2], np.float32)

    def cropped(self, box_px: int) -> "ParticleImages":
        """Keep the frequencies of a coarser grid of `box_px` pixels, over the same field of view."""
        if box_px == self.box_px:
            return self
        if not 4 <= box_px < self.box_px or box_px % 2:
            raise DataError(
                f"A box of {self.box_px} px cannot be cropped to {box_px}; give an even number of at least 4 below it."
            )
        rows = np.rint(scipy.fft.fftfreq(box_px) * box_px).astype(np.int64)
        window = (slice(None), slice(None), rows, slice(box_px // 2 + 1))
        return ParticleImages(
            images_rft=np.ascontiguousarray(self.images_rft[window]),
            power=np.ascontiguousarray(self.power[window]),
            rotations=self.rotations,
            visible=self.visible,
            pixel_ang=self.pixel_ang * self.box_px / box_px,
        )


class ImageSource(Protocol):
    """Where the images of particles come from: raw tilt series, or a stack cut out of them before."""

    @property
    def particles(self) -> ParticleSet:
        """The particles; images are centred on where they lie now."""

    @property
    def box_px(self) -> int:
        """Edge of the boxes."""

    @property
    def pixel_ang(self) -> float:
        """Pixel of the boxes."""

    def at(self, particles: ParticleSet) -> "ImageSource":
        """Return the same source for the same particles, in the same order, where they lie now."""

    def images(self, chosen: Indices) -> ParticleImages:
        """Return the images of some particles of one tomogram, in the order asked for."""


def batches(particles: ParticleSet, size: int) -> list[Indices]:
    """Cut particles into batches of at most `size`, each of one tomogram, so that its images are read together."""
    _, first, number = np.unique(particles.tomogram, return_index=True, return_inverse=True)
    # In the order the tomograms appear, not that of the alphabet.
    return [part for one in np.argsort(first) for part in _pieces(np.flatnonzero(number == one), size)]


def _pieces(indices: Indices, size: int) -> Iterator[Indices]:
    for start in range(0, len(indices), size):
        yield indices[start : start + size]


@lru_cache(maxsize=8)
def round_window(n: int) -> Reals:
    """Return a window that falls from 1 to 0 over the last pixels within n / 2 of pixel 0: float32[n, n], read only."""
    offset = scipy.fft.fftfreq(n) * n
    distance = np.hypot(offset[:, None], offset)
    beyond = np.clip((distance - (n / 2 - 1 - EDGE_PX)) / EDGE_PX, 0.0, 1.0)
    window = np.asarray(0.5 + 0.5 * np.cos(np.pi * beyond), np.float32)
    window.setflags(write=False)
    return window


def cut_to_box(weighed_rft: Waves, power: Reals, box_px: int) -> tuple[Waves, Reals]:
    """Cut weighed images in wide boxes, and the weights with them, down to the box.

    Parameters
    ----------
    weighed_rft : complex64[..., m, m // 2 + 1]
        D, orthonormal, the particle's centre at pixel 0.
    power : float32[..., m, m // 2 + 1]
        P.
    box_px : int
        n, at most m; both even.

    Returns
    -------
    images_rft : complex64[..., n, n // 2 + 1]
        D.
    power : float32[..., n, n // 2 + 1]
        P.
    """
    window = round_window(box_px)
    images_rft = scipy.fft.rfft2(boxes_of(weighed_rft, box_px) * window, norm="ortho")
    # A multiplier is a transform without a scale.
    cut_power = scipy.fft.rfft2(boxes_of(power, box_px) * window) / np.float32(power.shape[-2])
    return np.asarray(images_rft, np.complex64), np.maximum(cut_power.real, np.float32(0.0))


def boxes_of(wide_rft: NDArray[Any], box_px: int) -> Reals:
    """Turn orthonormal transforms of wide boxes into images of the box, pixel 0 staying pixel 0: float32[..., n, n]."""
    m, half = wide_rft.shape[-2], box_px // 2
    wide = scipy.fft.irfft2(wide_rft, s=(m, m), norm="ortho")
    boxes = np.empty((*wide.shape[:-2], box_px, box_px), np.float32)
    # Four corners, copied whole: picking rows and columns by number takes longer.
    low, high, first, last = slice(half), slice(half, None), slice(half), slice(m - half, None)
    for rows, from_rows in ((low, first), (high, last)):
        for columns, from_columns in ((low, first), (high, last)):
            boxes[..., rows, columns] = wide[..., from_rows, from_columns]
    return boxes


def shift_phases(n: int, shift_px_yx: Floats) -> Waves:
    """Return the factors that move images by some pixels: complex64[..., n, n // 2 + 1] for shifts [..., 2]."""
    ky, kx = (axis.astype(np.float64) for axis in half_frequencies((n, n)))
    shift = np.asarray(shift_px_yx, np.float64)
    along_y = np.exp(-2j * np.pi * ky[:, 0] * shift[..., :1]).astype(np.complex64)
    along_x = np.exp(-2j * np.pi * kx[0] * shift[..., 1:]).astype(np.complex64)
    return np.asarray(along_y[..., :, None] * along_x[..., None, :])
