"""What every particle shows beyond the average, on one lattice of frequencies in the frame of the map.

With D and P as in `core.averaging.images` and S̄ the slices of the average at the particle's pose, all samples of a
particle are summed around the points of the lattice::

    sums = 2 Σ (D − P S̄) / σ²            weights = 2 Σ P / σ²

twice, as each frequency stands for its opposite too, and where σ² is the power of what is left in the images, shell by
shell: 1 where the images were whitened well. It is measured within the particle's disc, as images of particles end in a
round window, and what that takes away is no information about the particle. A map that differs from the average by ΔV
is then more likely than the average by::

    Re Σ sums* ΔV − ½ Σ weights |ΔV|²

The weights are 0 where no tilt looked: a missing wedge is missing, not empty. As the average itself is taken off image
by image, the coarseness of the lattice only touches the differences. What spreading samples over the points around them
does to these, to fade them by sinc² of the distance from the centre along each axis, is divided out of the sums.

Legend: P particles, G points of the lattice, S shells, n voxels of the box.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.images import ImageSource, Indices, ParticleImages, batches
from napari_tomoflow.core.averaging.samples import Samples, places_within
from napari_tomoflow.core.averaging.search import lattice_within
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.kernels import poses as kernels
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import MapBatches, in_order

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Waves = NDArray[np.complex64]

BATCH = 32
"""Particles worked on together: about a second on one core, so that stopping is quick."""

_MOST_BYTES = 3e9
_BYTES_PER_POINT = 12


@dataclass(frozen=True)
class Lattice:
    """The frequencies (x, y, z) with x ≥ 0 within a radius, frequency 0 left out.

    Attributes
    ----------
    box_px : int
        n, even; points are one frequency step of this box apart.
    radius : float
        In those steps; at most n / 2 − 1.
    """

    box_px: int
    radius: float

    def __post_init__(self) -> None:
        """Check that the box holds the frequencies."""
        if not 1.0 <= self.radius <= self.box_px / 2 - 1:
            raise DataError(
                f"A box of {self.box_px} px holds no detail of {self.radius:g} frequency steps; give a coarser "
                "resolution_ang."
            )

    @property
    def points(self) -> Indices:
        """The points as (x, y, z): int64[G, 3]."""
        return lattice_within(self.radius)[0]

    @property
    def shells(self) -> Indices:
        """Number of the shell of each point, one frequency step wide: int64[G]."""
        return np.asarray(np.rint(np.linalg.norm(self.points, axis=1)), np.int64)

    def volumes_of(self, values: Waves) -> Reals:
        """Turn transforms on the lattice into maps whose centre is voxel n // 2: float32[..., n, n, n]."""
        n = self.box_px
        x, y, z = self.points.T
        whole = np.zeros((*values.shape[:-1], n, n, n // 2 + 1), np.complex64)
        whole[..., z, y, x] = values * np.float32(n)
        # In the plane x = 0 a point and its opposite are one coefficient: the mean of what either holds.
        plane = x == 0
        opposite = (..., -z[plane], -y[plane], 0)
        whole[opposite] = (whole[opposite] + values[..., plane].conj() * np.float32(n)) / 2
        maps = scipy.fft.irfftn(whole, s=(n, n, n), axes=(-3, -2, -1), overwrite_x=True)
        return np.asarray(np.fft.fftshift(maps, axes=(-3, -2, -1)), np.float32)

    def values_of(self, volumes: Reals) -> Waves:
        """Turn maps into transforms on the lattice, the inverse of `volumes_of`: complex64[..., G]."""
        centred = np.fft.ifftshift(volumes, axes=(-3, -2, -1))
        x, y, z = self.points.T
        whole = scipy.fft.rfftn(centred, axes=(-3, -2, -1))
        return np.ascontiguousarray(whole[..., z, y, x] / np.float32(self.box_px), np.complex64)

    @property
    def spreading(self) -> Reals:
        """What sharing samples out among the points around them does to a map: float32[n, n, n]."""
        along = np.sinc((np.arange(self.box_px) - self.box_px // 2) / self.box_px) ** 2
        return np.asarray(along[:, None, None] * along[:, None] * along, np.float32)

    def masked(self, values: Waves, mask: Reals) -> Waves:
        """Multiply the maps of transforms by a mask: complex64[..., G]."""
        return self.values_of(self.volumes_of(values) * mask)


@dataclass(frozen=True, eq=False)
class Spectra:
    """What particles show beyond the average.

    Attributes
    ----------
    lattice : Lattice
    sums : complex64[P, G]
    weights : float32[P, G]
    noise_power : float64[S]
        σ² of each shell.
    """

    lattice: Lattice
    sums: Waves
    weights: Reals
    noise_power: Floats

    def __len__(self) -> int:
        """Return the number of particles."""
        return len(self.sums)

    def __getitem__(self, chosen: Indices) -> "Spectra":
        """Return some of the particles, in the order asked for."""
        return replace(self, sums=self.sums[chosen], weights=self.weights[chosen])

    def shared_out(self, shares: Floats) -> tuple[Waves, Reals]:
        """Sum particles into classes, each with its share: two arrays [K, G] for shares float64[P, K]."""
        part = np.asarray(shares.T, np.float32)
        # A product of real numbers: the real and imaginary parts side by side.
        return (part @ self.sums.view(np.float32)).view(np.complex64), part @ self.weights


@dataclass(frozen=True, eq=False)
class GatherBatch:
    """Gathers what some particles show beyond the average; fit to be sent to another process.

    Attributes
    ----------
    source : ImageSource
    average : complex64[2 c + 1, 2 c + 1, c + 1]
        Cube of the average (`CubeGrid.cube_of`).
    grid : CubeGrid
    lattice : Lattice
    operators : float64[O, 3, 3]
        Rotations that leave the particle alike: what it shows is averaged over them.
    ball : float32[n, n, n]
        What holds the particle, outside of which nothing is kept.
    disc : float32[n, n]
        Where noise is measured, 1 in the particle and 0 outside; its centre is pixel 0.
    """

    source: ImageSource
    average: Waves
    grid: CubeGrid
    lattice: Lattice
    operators: Floats
    ball: Reals
    disc: Reals

    def __call__(self, chosen: Indices) -> tuple[Waves, Reals, Floats, Floats]:
        """Return sums and weights, not yet divided by σ², and what `_noise` does."""
        images = self.source.images(chosen)
        axes = images.axes(self.source.particles.matrices[chosen])
        left = self._left(images, axes)
        return *self._on_lattice(Samples.of(left, self.lattice.radius), axes), *self._noise(left)

    def _left(self, images: ParticleImages, axes: Reals) -> ParticleImages:
        """Take the average off the images."""
        slices = self.grid.extract(self.average, axes)
        return replace(images, images_rft=images.images_rft - images.power * slices)

    def _noise(self, left: ParticleImages) -> tuple[Floats, Floats]:
        """Add up, shell by shell, the power of what is left within the disc, and that of noise of power 1."""
        n = left.box_px
        inside = scipy.fft.irfft2(left.images_rft, s=(n, n), norm="ortho") * self.disc
        power = np.square(np.abs(scipy.fft.rfft2(inside, norm="ortho")))
        # What a window leaves of noise is its power, smoothed by that of the window's transform.
        overlap = scipy.fft.irfft2(np.square(np.abs(scipy.fft.rfft2(self.disc))), s=(n, n)) / n**2
        expected = scipy.fft.rfft2(scipy.fft.irfft2(left.power, s=(n, n)) * overlap).real
        places = places_within(self.lattice.radius)
        shell = np.rint(np.hypot(*places.T)).astype(np.int64)
        totals = [
            np.bincount(shell, (plane * left.visible[..., None, None]).sum(axis=(0, 1))[places[:, 1] % n, places[:, 0]])
            for plane in (power, expected)
        ]
        return np.asarray(totals[0], np.float64), np.asarray(totals[1], np.float64)

    def _on_lattice(self, samples: Samples, axes: Reals) -> tuple[Waves, Reals]:
        points, numbers = lattice_within(self.lattice.radius)
        shape = (len(samples), len(points))
        sums, weights = np.zeros(shape, np.complex64), np.zeros(shape, np.float32)
        part, part_weights = np.empty_like(sums), np.empty_like(weights)
        for operator in self.operators:
            turned = np.ascontiguousarray(axes @ operator.astype(np.float32))
            kernels.gather_on_lattice(
                part, part_weights, samples.values, samples.power, turned, samples.places, numbers
            )
            sums += part
            weights += part_weights
        inside = self.ball / (len(self.operators) * self.lattice.spreading)
        for number, one in enumerate(sums):
            sums[number] = self.lattice.masked(one, inside)
        return sums, weights / np.float32(len(self.operators))


def gather_spectra(
    source: ImageSource,
    average: Reals,
    lattice: Lattice,
    operators: Floats,
    ball: Reals,
    diameter_ang: float,
    report: Report = silent,
    map_batches: MapBatches = in_order,
) -> Spectra:
    """Gather what all particles show beyond their average.

    Parameters
    ----------
    source : ImageSource
        Images in the box of the lattice.
    average : float32[n, n, n]
        On the scale of `reconstruct_at_poses`.
    lattice : Lattice
    operators : float64[O, 3, 3]
        Of the particle's symmetry, the identity first.
    ball : float32[n, n, n]
        Holds the particle with its soft edge.
    diameter_ang : float
        Of the particle.
    report, map_batches
        See `core.report` and `core.stage`.

    Raises
    ------
    DataError
        Memory would not do.
    """
    count, points = len(source.particles), len(lattice.points)
    _check_memory(count, points)
    grid = CubeGrid(lattice.box_px)
    gather = GatherBatch(source, grid.cube_of(average), grid, lattice, operators, ball, _disc(source, diameter_ang))
    sums, weights = np.empty((count, points), np.complex64), np.empty((count, points), np.float32)
    power, expected = np.zeros((2, int(np.ceil(lattice.radius)) + 1))
    jobs = batches(source.particles, BATCH)
    report(0, len(jobs), "Gathering what particles show")
    for done, (some, some_weights, *by_shell) in enumerate(map_batches(gather, jobs)):
        sums[jobs[done]], weights[jobs[done]] = some, some_weights
        for total, one in zip((power, expected), by_shell, strict=True):
            total[: len(one)] += one
        report(done + 1, len(jobs), "Gathering what particles show")
    noise = np.divide(power, expected, out=np.ones_like(power), where=expected > 0)
    scale = (2.0 / np.maximum(noise, 1e-12)).astype(np.float32)[lattice.shells]
    sums *= scale
    weights *= scale
    return Spectra(lattice, sums, weights, noise)


def _disc(source: ImageSource, diameter_ang: float) -> Reals:
    """Return the disc that holds a particle, its centre at pixel 0."""
    along = scipy.fft.fftfreq(source.box_px) * source.box_px * source.pixel_ang
    return np.asarray(np.hypot(along[:, None], along) <= diameter_ang / 2, np.float32)


def _check_memory(count: int, points: int) -> None:
    needed = count * points * _BYTES_PER_POINT
    if needed > _MOST_BYTES:
        raise DataError(
            f"{count} particles at {points} frequencies take {needed / 1e9:.0f} GB, more than "
            f"{_MOST_BYTES / 1e9:.0f} GB; give a coarser resolution_ang."
        )
