"""What images say of their own CTF, compared with maps that know of none: sums over rings, made once for any defocus.

Images are compared with the average of the other half. Their own half holds their own noise, divided by the CTF that
was believed: it would say that what was believed is right, the louder the nearer to the end of the resolution.

With X an image in a wide box, S the slice of that average, w what exposure, tilt and noise
leave of it, and γ the phase of the CTF as it is known (`core.ops.ctf`), a defocus that is δ larger turns γ by
``slope · δ``, slope = π λ k² being the same all around a ring. So, ring by ring::

    agreement(δ) = Σ w² Re X* S sin(γ + slope δ)  =  A cos(slope δ) + B sin(slope δ)
    power(δ)     = Σ w² |S|² sin²(γ + slope δ)    = (P − C cos(2 slope δ) + E sin(2 slope δ)) / 2

and the five sums A, B, P, C, E over all particles of a tilt are all there is to keep.

Legend: T tilts in use, R rings.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.images import Indices
from napari_tomoflow.core.averaging.sampling import Response
from napari_tomoflow.core.averaging.series_images import DatasetImages, SeriesImages
from napari_tomoflow.core.ops.ctf import gamma_per_defocus
from napari_tomoflow.core.ops.fourier import half_frequencies, pad_centred

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Waves = NDArray[np.complex64]

_RINGS_PER_STEP = 4
"""Rings to a frequency step of the box: within one the phase turns by a few degrees over the whole scan."""

_PADDING = 1.4
"""The map fills the middle of the wide box only, where little is interpolated wrongly."""


@dataclass(frozen=True, eq=False)
class FringeSums:
    """Sums over rings.

    Attributes
    ----------
    sums : float64[T, 5, R]
        A, B, P, C, E.
    k_inv_ang : float64[R]
        Frequency of each ring.
    slope_rad_per_ang : float64[R]
        By how much the CTF turns for each Å of defocus.
    """

    sums: Floats
    k_inv_ang: Floats
    slope_rad_per_ang: Floats

    def __add__(self, other: "FringeSums") -> "FringeSums":
        """Pool particles."""
        return replace(self, sums=self.sums + other.sums)

    def scaled(self, amplitude: Floats) -> "FringeSums":
        """Take the map as if its rings were stronger: float64[R]."""
        factors = np.stack([amplitude, amplitude, amplitude**2, amplitude**2, amplitude**2])
        return replace(self, sums=self.sums * factors)

    def by_ring(self, offset_ang: Floats) -> tuple[Floats, Floats]:
        """Return agreement and power of every ring, float64[T, ..., R], for offsets float64[T, ...] of the defocus."""
        turn = offset_ang[..., None] * self.slope_rad_per_ang
        shape = (len(offset_ang), 5, *(1,) * (offset_ang.ndim - 1), len(self.k_inv_ang))
        a, b, p, c, e = np.moveaxis(self.sums.reshape(shape), 1, 0)
        agreement = a * np.cos(turn) + b * np.sin(turn)
        return agreement, 0.5 * (p - c * np.cos(2 * turn) + e * np.sin(2 * turn))

    def gain(self, offset_ang: Floats) -> Floats:
        """Return the gain in log likelihood over empty images for offsets of each tilt, its strength being free."""
        agreement, power = (one.sum(axis=-1) for one in self.by_ring(offset_ang))
        gain = np.divide(agreement * np.abs(agreement), power, out=np.zeros_like(power), where=power > 0)
        return np.asarray(gain)

    def likelihood(self, offset_ang: Floats, others: "FringeSums") -> Floats:
        """Return the log likelihood of each tilt at an offset for each, with the strengths that others tell there."""
        agreement, power = (one.sum(axis=-1) for one in others.by_ring(offset_ang))
        strength = np.divide(np.maximum(agreement, 0.0), power, out=np.zeros_like(power), where=power > 0)
        agreement, power = (one.sum(axis=-1) for one in self.by_ring(offset_ang))
        return np.asarray(2.0 * strength * agreement - strength**2 * power)


def pooled(folds: Sequence[FringeSums]) -> FringeSums:
    """Pool the particles of some folds."""
    return replace(folds[0], sums=np.sum([one.sums for one in folds], axis=0))


@dataclass(frozen=True)
class Band:
    """Frequencies that are compared, Å: from coarse to fine."""

    coarse_ang: float
    fine_ang: float


@dataclass(frozen=True, eq=False)
class View:
    """Images of some particles in one tilt, and the directions their average is seen along.

    Attributes
    ----------
    images : complex64[P, K]
        w X over the noise; 0 where a particle is not seen.
    power : float32[K]
        w².
    visible : bool[P]
    turns : float64[P, 3, 3]
        From the map to the image, stretched as the image is.
    sine, cosine : float32[P, K]
        Of the phase of the CTF as it is known.
    """

    images: Waves
    power: Reals
    visible: NDArray[np.bool_]
    turns: Floats
    sine: Reals
    cosine: Reals


@dataclass(frozen=True, eq=False)
class Seen:
    """Images of some particles in one tilt beside the slices they are compared with.

    Attributes
    ----------
    products : complex64[P, K]
        w X S* over the noise: what the image has of the slice, but for the CTF.
    shown : float32[P, K]
        w² |S|².
    sine, cosine : float32[P, K]
        Of the phase of the CTF as it is known.
    """

    products: Waves
    shown: Reals
    sine: Reals
    cosine: Reals


@dataclass(frozen=True, eq=False)
class Comparison:
    """Compares particles of a series with the average of the half they are not of.

    Attributes
    ----------
    source : DatasetImages
    rings : Rings
    models : pair of Slices
        The average of either half.
    """

    source: DatasetImages
    rings: "Rings"
    models: "tuple[Slices, Slices]"

    @classmethod
    def of(cls, source: DatasetImages, name: str, halves: tuple[Reals, Reals], band: Band) -> "Comparison":
        """Prepare to compare the particles of a series.

        Parameters
        ----------
        source : DatasetImages
        name : str
            Of the series.
        halves : pair of float32[n, n, n]
            Average of either half, of the box of the source, filtered by how far the halves agree and masked.
        band : Band
        """
        rings = Rings(source.of_series(name), band)
        first, second = (Slices(half, rings) for half in halves)
        return cls(source, rings, (first, second))

    def tilts(self, chosen: Indices) -> Iterator[Seen]:
        """Go through the tilts in use for some particles of one half, beside the average of the other."""
        other = self.models[2 - int(self.source.particles.half[chosen[0]])]
        for view in self.views(chosen):
            model = other(self.rings, view.turns) * view.visible[:, None]
            shown = (model.real**2 + model.imag**2) * view.power
            yield Seen(view.images * model.conj(), shown, view.sine, view.cosine)

    def views(self, chosen: Indices) -> Iterator[View]:
        """Go through the tilts in use for some particles of one tomogram."""
        particles, rings = self.source.particles[chosen], self.rings
        series = self.source.of_series(str(particles.tomogram[0]))
        image_ang_yx, depth_ang = series.places(particles.centers_ang_zyx, particles.paths_ang_zyx)
        for index, tilt in enumerate(series.tilts):
            boxes = series.wide_boxes(index, image_ang_yx[tilt], depth_ang[tilt])
            left, noise = rings.inside(boxes.left), rings.inside(boxes.noise)
            yield View(
                rings.inside(boxes.images_rft) * (left / noise**2),
                (left / noise) ** 2,
                boxes.visible,
                series.rotations[index] @ particles.matrices,
                *rings.fringes(series.lens(index, depth_ang[tilt])),
            )


@dataclass(frozen=True, eq=False)
class SumFringes:
    """Sums up over rings what some particles of a series say; fit to be sent to another process.

    Attributes
    ----------
    comparison : Comparison
    """

    comparison: Comparison

    def __call__(self, chosen: Indices) -> FringeSums:
        """Work on some particles of one half."""
        rings = self.comparison.rings
        sums = []
        for seen in self.comparison.tilts(chosen):
            common, shown, sine, cosine = np.real(seen.products), seen.shown, seen.sine, seen.cosine
            terms = (common * sine, common * cosine, shown, shown * (1 - 2 * sine**2), 2 * shown * sine * cosine)
            sums.append([rings.summed(one.sum(axis=0, dtype=np.float64)) for one in terms])
        return FringeSums(np.array(sums), rings.k_inv_ang, rings.slope_rad_per_ang)


class Rings:
    """The coefficients of wide boxes within the band, one of each pair, and the ring each lies in.

    Rings are those of the image, as the phases of its CTF are; `frequency_inv_ang_yx` is of what is imaged.
    """

    def __init__(self, series: SeriesImages, band: Band) -> None:
        m, pixel_ang = series.wide_px, series.pixel_ang
        self.box_px = m
        ky, kx = half_frequencies((m, m))
        radius = np.hypot(ky, kx) * m
        width_ang = m * pixel_ang
        # Of column 0 a half transform holds every frequency and its opposite.
        once = (kx > 0) | (ky > 0)
        chosen = once & (radius >= width_ang / band.coarse_ang) & (radius < min(width_ang / band.fine_ang, m / 2 - 1))
        self._at = np.flatnonzero(chosen)
        self.reach = float(radius[chosen].max(initial=0.0)) + 1.0
        at_y, at_x = (
            np.asarray(np.broadcast_to(axis, radius.shape)[chosen] / pixel_ang, np.float64) for axis in (ky, kx)
        )
        self.frequency_inv_ang_yx = np.stack(series.optics.true_frequencies((at_y, at_x)))
        ring = np.floor(radius[chosen] * _RINGS_PER_STEP).astype(np.int64)
        used, self._ring = np.unique(ring, return_inverse=True)
        self.k_inv_ang = (used + 0.5) / (_RINGS_PER_STEP * width_ang)
        self.slope_rad_per_ang = gamma_per_defocus(self.k_inv_ang, series.optics)
        self._response = Response(m, pixel_ang, series.optics, "none")

    def inside(self, planes_rft: NDArray[Any]) -> NDArray[Any]:
        """Take the coefficients out of half transforms: array[..., K]."""
        return np.asarray(planes_rft.reshape(*planes_rft.shape[:-2], -1)[..., self._at])

    def fringes(self, lens: Floats) -> tuple[Reals, Reals]:
        """Return sine and cosine of the phase of the CTF for many particles: float32[P, K]."""
        u, v, azimuth, phase = lens
        sine, cosine = (self.inside(self._response.ctf(u, v, azimuth, phase + more)) for more in (0.0, 90.0))
        return sine, cosine

    def summed(self, values: Floats) -> Floats:
        """Sum over each ring."""
        return np.asarray(np.bincount(self._ring, values, len(self.k_inv_ang)), np.float64)


class Slices:
    """A map to be seen from anywhere in wide boxes."""

    def __init__(self, volume: Reals, rings: Rings) -> None:
        self._grid = CubeGrid(rings.box_px, _PADDING, min(rings.reach, rings.box_px / 2))
        self._cube = self._grid.cube_of(pad_centred(volume, (rings.box_px,) * 3, "constant"))

    def __call__(self, rings: Rings, turns: Floats) -> Waves:
        """Return the slices across some directions: complex64[P, K] for rotations from map to image."""
        return rings.inside(self._grid.extract(self._cube, np.ascontiguousarray(turns[:, :2], np.float32)))
