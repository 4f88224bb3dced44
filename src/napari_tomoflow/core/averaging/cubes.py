"""Maps and the cubes of their transforms that slices are taken from and put into.

A map of n voxels is padded to m before it is transformed, so that cells lie n / m of a frequency step apart and
trilinear interpolation between them errs little. What it does on average, to fade the map by sinc² of the distance from
the centre along each axis, is divided out.

A slice of a cube is the orthonormal transform of the map's projection (`core.averaging.images`).
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numba import get_num_threads
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.kernels import slices
from napari_tomoflow.core.model.optics import MOST_STRETCH
from napari_tomoflow.core.ops.fourier import next_fast_size

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Waves = NDArray[np.complex64]


@dataclass(frozen=True)
class CubeGrid:
    """The cells of a cube. Legend: n voxels, m padded ones, c cells from frequency 0 to the edge.

    Attributes
    ----------
    box_px : int
        n, even: edge of maps and images.
    padding : float
        m / n, at least.
    radius : float or None
        Frequencies from here on are left out, in steps of 1 / n cycles per voxel; n / 2 by default.
    """

    box_px: int
    padding: float = 2.0
    radius: float | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.box_px < 4 or self.box_px % 2:
            raise DataError(f"A map of {self.box_px} voxels cannot be sliced; give an even size of at least 4.")
        if not 1.0 <= self.padding <= 4.0:
            raise DataError(f"The padding cannot be {self.padding:g}; give 1 to 4, e.g. 2.")
        if self.radius is not None and not 1.0 <= self.radius <= self.box_px / 2:
            raise DataError(
                f"Slices of {self.box_px} px cannot reach to frequency {self.radius:g}; give 1 to {self.box_px // 2}."
            )

    @property
    def reach(self) -> float:
        """Frequency slices end at, in steps of 1 / n."""
        return self.box_px / 2 if self.radius is None else self.radius

    @property
    def padded_px(self) -> int:
        """Edge of the padded map, m."""
        return next_fast_size(int(np.ceil(self.padding * self.box_px)))

    @property
    def scale(self) -> float:
        """Cells to a frequency step, m / n."""
        return self.padded_px / self.box_px

    @property
    def half(self) -> int:
        """Cells from frequency 0 to the edge, c: with room for slices of images that are stretched."""
        return int(MOST_STRETCH * self.reach * self.scale) + 2

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a cube."""
        return (2 * self.half + 1, 2 * self.half + 1, self.half + 1)

    def cube_of(self, volume: ArrayLike) -> Waves:
        """Transform a map whose centre is voxel ``n // 2`` into a cube: complex64[2 c + 1, 2 c + 1, c + 1]."""
        n, m = self.box_px, self.padded_px
        density = np.asarray(volume, np.float32)
        if density.shape != (n, n, n):
            raise DataError(f"A map of {density.shape} voxels does not fit cubes for {n}; crop or pad it.")
        padded = np.zeros((m, m, m), np.float32)
        inside = _wrapped(n, m)
        padded[np.ix_(inside, inside, inside)] = density / self.gridding()
        transform = scipy.fft.rfftn(padded, overwrite_x=True, workers=get_num_threads())
        cube = np.zeros(self.shape, np.complex64)
        used, cells, columns = self._shared_cells()
        cube[np.ix_(used, used, columns)] = transform[np.ix_(cells, cells, columns)] / np.float32(n)
        return cube

    def map_of(self, cube: Waves) -> Reals:
        """Transform a cube back into a map: the inverse of `cube_of`, but for what lies beyond the reach."""
        n, m = self.box_px, self.padded_px
        transform = np.zeros((m, m, m // 2 + 1), np.complex64)
        used, cells, columns = self._shared_cells()
        transform[np.ix_(cells, cells, columns)] = cube[np.ix_(used, used, columns)] * np.float32(n)
        padded = scipy.fft.irfftn(transform, s=(m, m, m), overwrite_x=True, workers=get_num_threads())
        inside = _wrapped(n, m)
        return np.asarray(padded[np.ix_(inside, inside, inside)] / self.gridding(), np.float32)

    def _shared_cells(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return which cells of a cube lie below Nyquist, where these are in a transform, and which columns do."""
        most = min(self.half, (self.padded_px - 1) // 2)
        frequency = np.arange(-most, most + 1)
        return frequency + self.half, frequency % self.padded_px, np.arange(most + 1)

    def gridding(self, rotation: Floats | None = None) -> Reals:
        """Return what trilinear interpolation between cells does to a map, on average: float32[n, n, n].

        With a rotation, acting on (x, y, z): what interpolation at rotated cells does.
        """
        n = self.box_px
        offset = (np.arange(n) - n // 2) / self.padded_px
        z, y, x = np.meshgrid(offset, offset, offset, indexing="ij", sparse=True)
        if rotation is None:
            return np.asarray(np.sinc(z) ** 2 * np.sinc(y) ** 2 * np.sinc(x) ** 2, np.float32)
        along = [row[0] * x + row[1] * y + row[2] * z for row in rotation]
        return np.asarray(np.prod([np.sinc(one) ** 2 for one in along], axis=0), np.float32)

    def frequencies(self) -> Reals:
        """Return the distance of every cell from frequency 0, in steps of 1 / n: float32[2 c + 1, 2 c + 1, c + 1]."""
        along = np.arange(-self.half, self.half + 1, dtype=np.float32) / np.float32(self.scale)
        squared = along**2
        return np.asarray(np.sqrt(squared[:, None, None] + squared[:, None] + squared[self.half :]))

    def extract(self, cube: Waves, axes: Reals) -> Waves:
        """Take slices out of a cube.

        Parameters
        ----------
        cube : complex64[2 c + 1, 2 c + 1, c + 1]
        axes : float32[..., 2, 3]
            `ParticleImages.axes`.

        Returns
        -------
        complex64[..., n, n // 2 + 1]
        """
        n = self.box_px
        taken = np.empty((*axes.shape[:-2], n, n // 2 + 1), np.complex64)
        flat = np.ascontiguousarray(axes.reshape(-1, 2, 3), np.float32)
        slices.extract_slices(taken.reshape(-1, n, n // 2 + 1), cube, flat, self.scale, self.reach)
        return taken


def _wrapped(n: int, m: int) -> NDArray[np.int64]:
    """Return where the voxels of a map lie in a padded one whose centre is voxel 0."""
    return (np.arange(n) - n // 2) % m
