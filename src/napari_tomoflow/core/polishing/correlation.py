"""Where around its place each tilt shows each particle: maps of agreement, made once for many guesses.

With D of `core.averaging.images` and S the slices of the average of the particle's own half, filtered by how far the
halves agree, an image whose particle lies d further than thought has the log likelihood, up to a constant::

    agreement(d) = Σ Re D* S exp(−2πi k · d)          over all frequencies, their opposites too

which is the inverse transform of D S*. It is kept in a small window about d = 0, as weights of cubic B-splines.
Whatever is asked of geometry afterwards is read from there.

Legend: P particles of one series, T tilts in use, w × w places.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from napari_tomoflow.core.averaging.aligning import halves_apart
from napari_tomoflow.core.averaging.images import ImageSource, Indices, batches
from napari_tomoflow.core.averaging.search import Reference
from napari_tomoflow.core.kernels import agreement as kernels
from napari_tomoflow.core.ops.resample import spline_transfer_1d
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import MapBatches, in_order

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Waves = NDArray[np.complex64]

BATCH = 32
"""Particles worked on together."""

_PER_CYCLE = 3.5
"""Places to a period of the finest detail: splines are within 2 % of it."""

_SPARE = 2
"""Places beyond the reach that splines within it need."""


@dataclass(frozen=True)
class Window:
    """The places of the maps.

    Attributes
    ----------
    width_ang : float
        Of the box.
    radius : float
        Frequencies compared, in steps of the box.
    reach_ang : float
        How far from where particles are thought to be they are looked for, along y and x.
    """

    width_ang: float
    radius: float
    reach_ang: float

    @property
    def grid_px(self) -> int:
        """Places along a side of the whole box."""
        return int(np.ceil(_PER_CYCLE * self.radius))

    @property
    def step_ang(self) -> float:
        """From one place to the next."""
        return self.width_ang / self.grid_px

    @property
    def places(self) -> int:
        """Places along each side, w."""
        reach = min(int(np.ceil(self.reach_ang / self.step_ang)) + _SPARE, self.grid_px // 2 - 1)
        return 2 * reach + 1

    def size_bytes(self, n_particles: int, n_tilts: int) -> int:
        """Return how much memory the maps take."""
        return 4 * n_particles * n_tilts * self.places**2


@dataclass(frozen=True, eq=False)
class CorrelateBatch:
    """Compares a batch of particles with the average of their half; fit to be sent to another process.

    Attributes
    ----------
    source : ImageSource
    references : pair of Reference
        For either half.
    window : Window
    """

    source: ImageSource
    references: tuple[Reference, Reference]
    window: Window

    def __call__(self, chosen: Indices) -> Reals:
        """Make the maps of some particles of one half and one tomogram: float32[P, T, w, w]."""
        particles, window = self.source.particles, self.window
        images, reference = self.source.images(chosen), self.references[int(particles.half[chosen[0]]) - 1]
        n, reach = images.box_px, int(np.ceil(window.radius))
        products_rft = np.empty((images.visible.size, 2 * reach, reach + 1), np.complex64)
        kernels.correlate_slices(
            products_rft,
            images.images_rft.reshape(-1, n, n // 2 + 1),
            reference.cube_rft,
            images.axes(particles.matrices[chosen]).reshape(-1, 2, 3),
            reference.grid.scale,
            window.radius,
        )
        return spline_weights(products_rft, window).reshape(*images.visible.shape, window.places, window.places)


def spline_weights(products_rft: Waves, window: Window) -> Reals:
    """Transform products back, and turn the places of a window into weights of cubic B-splines.

    Parameters
    ----------
    products_rft : complex64[S, 2 r, r + 1]
        D S*, frequencies being whole steps of the box; r is the window's radius, rounded up.
    window : Window

    Returns
    -------
    float32[S, w, w]
        What the inverse transform on the window's grid, without a scale, has at its places.

    Notes
    -----
    Few frequencies and few places: two products of matrices take a seventh of a transform of the whole grid.
    """
    rows, columns = products_rft.shape[1:]
    places = np.arange(window.places) - window.places // 2
    v, u = np.rint(scipy.fft.fftfreq(rows) * rows), np.arange(columns)
    along_y = _waves(places, v, window.grid_px)
    # Opposite frequencies are not held: they add the complex conjugate.
    along_x = (_waves(places, u, window.grid_px) * np.where(u > 0, 2.0, 1.0)).T
    real_part = np.stack((along_x.real, -along_x.imag), axis=1).reshape(-1, window.places).astype(np.float32)
    with threadpool_limits(1, "blas"):  # how many threads share a product shows in its last digits
        return np.asarray((along_y.astype(np.complex64) @ products_rft).view(np.float32) @ real_part)


def _waves(places: Indices, steps: NDArray[Any], grid_px: int) -> NDArray[np.complex128]:
    """Sample waves of some steps of frequency, strengthened as weights of splines must be: complex128[w, steps]."""
    return np.asarray(spline_transfer_1d(steps / grid_px) * np.exp(2j * np.pi / grid_px * np.outer(places, steps)))


@dataclass(frozen=True, eq=False)
class AgreementMaps:
    """How well the images of some particles agree with the map at every place of a window.

    Attributes
    ----------
    splines : float32[T, P, w, w]
        Weights of cubic B-splines; the middle is where each particle is thought to be.
    step_ang : float
        From one place to the next.
    """

    splines: Reals
    step_ang: float

    def read(self, offsets_ang: Floats) -> tuple[Floats, Floats]:
        """Return the agreement of every image at an offset, and its slopes.

        Parameters
        ----------
        offsets_ang : float64[T, 2, P]
            Along y and x, from where particles are thought to be seen.

        Returns
        -------
        values : float64[T, P]
            Log likelihood.
        slopes : float64[T, 2, P]
            Per Å.
        """
        values, slopes = np.empty(self.splines.shape[:2]), np.empty(offsets_ang.shape)
        kernels.sample_maps(values, slopes, self.splines, np.ascontiguousarray(offsets_ang / self.step_ang))
        return values, slopes / self.step_ang

    def curvatures(self) -> Floats:
        """Return how sharply each tilt tells places, on average over its particles: float64[T], per Å²."""
        mean = AgreementMaps(self.splines.mean(axis=1, keepdims=True), self.step_ang)
        steps = np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]) * self.step_ang
        read = [mean.read(np.tile(one[:, None], (len(self.splines), 1, 1)))[0][:, 0] for one in steps]
        return np.maximum(4.0 * read[0] - sum(read[1:]), 0.0) / (2.0 * self.step_ang**2)


def agreement_maps(
    source: ImageSource,
    mine: Indices,
    references: tuple[Reference, Reference],
    window: Window,
    report: Report = silent,
    map_batches: MapBatches = in_order,
) -> AgreementMaps:
    """Compare some particles of one tomogram, those numbered `mine`, with the average of their half."""
    jobs = halves_apart([mine[one] for one in batches(source.particles[mine], 2 * BATCH)], source.particles.half)
    splines: Reals | None = None
    correlate = CorrelateBatch(source, references, window)
    report(0, len(jobs), "Comparing particles with the average")
    for done, maps in enumerate(map_batches(correlate, jobs)):
        if splines is None:
            splines = np.empty((maps.shape[1], len(mine), *maps.shape[2:]), np.float32)
        splines[:, np.searchsorted(mine, jobs[done])] = maps.transpose(1, 0, 2, 3)
        report(done + 1, len(jobs), "Comparing particles with the average")
    if splines is None:
        raise ValueError("No particles were given.")
    return AgreementMaps(splines, window.step_ang)


def references_of(halves: Sequence[Reals], radius: float) -> tuple[Reference, Reference]:
    """Prepare the maps of both halves, already filtered and masked, for frequencies up to a radius."""
    first, second = (Reference.of(half, radius) for half in halves)
    return first, second
