"""The coefficients of particle images that a comparison with a map looks at, from low frequencies to high."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.images import ParticleImages

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Waves = NDArray[np.complex64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Samples:
    """Coefficients at the same places in every image. Legend: P particles, T tilts, M places.

    Attributes
    ----------
    values : complex64[P, T, M]
        D of `core.averaging.images`.
    power : float32[P, T, M]
        P of the same; 0 in images that do not show the particle.
    rows : float32[P, T, 2, 3]
        Axes u and v of the images in the tomogram, as (x, y, z).
    places : int64[M, 2]
        Frequency (u, v) of each place in steps of the box, sorted by its radius; of a frequency and its opposite only
        one is there, and frequency 0, which only tells the background, is not.
    box_px : int
    pixel_ang : float
    """

    values: Waves
    power: Reals
    rows: Reals
    places: Indices
    box_px: int
    pixel_ang: float

    @classmethod
    def of(cls, images: ParticleImages, radius: float) -> "Samples":
        """Take the coefficients within a radius, in frequency steps of the box."""
        places = places_within(radius)
        row, column = places[:, 1] % images.box_px, places[:, 0]
        power = images.power[:, :, row, column] * images.visible[..., None].astype(np.float32)
        return cls(
            values=np.ascontiguousarray(images.images_rft[:, :, row, column]),
            power=np.ascontiguousarray(power),
            rows=np.ascontiguousarray(images.rotations[:, :, :2], np.float32),
            places=places,
            box_px=images.box_px,
            pixel_ang=images.pixel_ang,
        )

    def __len__(self) -> int:
        """Return the number of particles."""
        return len(self.values)

    def __getitem__(self, chosen: Indices) -> "Samples":
        """Return those of some particles."""
        return replace(self, values=self.values[chosen], power=self.power[chosen], rows=self.rows[chosen])

    def count_within(self, radius: float) -> int:
        """Return how many of the places lie within a radius."""
        return int(np.searchsorted(np.hypot(*self.places.T), radius))

    def seen(self, radius: float) -> Floats:
        """Return how many coefficients of each particle lie within a radius: float64[P]."""
        counts = np.count_nonzero(self.power[:, :, : self.count_within(radius)], axis=(1, 2))
        return np.asarray(counts, np.float64)


def places_within(radius: float) -> Indices:
    """List the frequencies (u, v) of a half transform within a radius, from low to high: int64[M, 2]."""
    most = int(np.ceil(radius))
    grid_v, grid_u = np.meshgrid(np.arange(-most, most + 1), np.arange(most + 1), indexing="ij")
    distance = np.hypot(grid_u, grid_v)
    # Of column 0 a half transform holds every frequency and its opposite.
    inside = (distance < radius) & ((grid_u > 0) | (grid_v > 0))
    u, v = grid_u[inside], grid_v[inside]
    order = np.lexsort((np.arctan2(v, u), distance[inside]))
    return np.stack([u, v], axis=1)[order].astype(np.int64)
