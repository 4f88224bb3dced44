"""Direct Fourier inversion in overlapping cubic tiles.

A tile is as deep as the volume (at most `_LARGEST_TILE` voxels). Of every tilt it takes the patch around the projection
of its own centre, to a fraction of a pixel, inserts the patch's transform into a padded Fourier cube as the
slice it is, divides by the weights, and transforms back. A tile thus has a geometry and a defocus of its
own. Patches fade out beyond the shadow of the tile, which grows with tilt, so that neighbours seen at the edge do
not fold into it. Tiles overlap by half and are blended with Gaussian weights that add up to one.

Samples count for the distance to the neighbouring view where that exceeds a cell: densities are those of weighted
back-projection, fine details included.

References
----------
Chen et al. 2019, doi:10.1038/s41592-019-0591-8, section "tomogram reconstruction".
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft
from numba import get_num_threads
from numpy.typing import NDArray

from napari_tomoflow.core.kernels.insertion import divide_by_weights, insert_slices
from napari_tomoflow.core.ops.fourier import next_fast_size
from napari_tomoflow.core.reconstruction.ctf_correction import Transfer, correction_for
from napari_tomoflow.core.reconstruction.density_store import DensityStore
from napari_tomoflow.core.reconstruction.images import VoxelImageMaker
from napari_tomoflow.core.reconstruction.params import ReconstructParams
from napari_tomoflow.core.reconstruction.setting import Setting
from napari_tomoflow.core.reconstruction.weights import tilt_weights
from napari_tomoflow.core.report import Report, part, watched

Floats = NDArray[np.float64]
Image = NDArray[np.float32]
Volume = NDArray[np.float32]

_LARGEST_TILE = 256
_SMALLEST_TILE = 32
_PADDING = 2.0
_FALL_OFF = 0.15
"""Standard deviation of the blending weights, in tiles."""

_SMALLEST_FADE = 1 / 16
"""Width over which a patch fades out at least, in patches."""

_WEIGHT_FLOOR = 1.0


class FourierTiles:
    """A `Solution`: images that wait to be inverted tile by tile.

    Memory is one binned image per tilt, the cube of one padded tile, and a row of tiles.
    """

    def __init__(self, setting: Setting, params: ReconstructParams, report: Report) -> None:
        self._setting = setting
        nz, ny, nx = setting.shape_zyx
        self._size = int(np.clip(nz + nz % 2, _SMALLEST_TILE, _LARGEST_TILE))
        self._inverter = TileInverter(setting, params, self._size)
        self._grid = [tile_positions(n, self._size) for n in (nz, ny, nx)]
        image_of = VoxelImageMaker(setting, params)
        self._images = [image_of(index) for index in watched(range(len(setting.tilts)), report, "Filtering images")]
        self.quality: dict[str, Any] = {
            "tilt_weights_deg": np.rad2deg(self._inverter.weights).tolist(),
            "tile_px": self._size,
            "tiles": int(np.prod([len(starts) for starts, _ in self._grid])),
        }

    def typical_sd(self) -> float:
        """Measure the spread of the tile in the middle."""
        return float(np.std(self._tile([n // 2 for n in self._setting.shape_zyx]), dtype=np.float64))

    def write(self, store: DensityStore, report: Report) -> None:
        """Compute row after row of tiles, along y; rows no later tile reaches are stored."""
        nz, ny, nx = self._setting.shape_zyx
        starts_y = self._grid[1][0]
        rows = np.zeros((nz, min(self._size, ny), nx), np.float32)
        base = 0
        for number in range(len(starts_y)):
            self._add_row(rows, base, number, part(report, number, len(starts_y)))
            end = max(0, int(starts_y[number + 1])) if number + 1 < len(starts_y) else ny
            done = end - base
            with store.part(slice(None), slice(base, end)) as finished_zyx:
                finished_zyx[:] = rows[:, :done]
            rows[:, : rows.shape[1] - done] = rows[:, done:].copy()
            rows[:, rows.shape[1] - done :] = 0.0
            base = end

    def _add_row(self, rows_zyx: Volume, base: int, number: int, report: Report) -> None:
        """Add all tiles that share a y, the first row of `rows_zyx` being row `base` of the volume."""
        (starts_z, blend_z), (starts_y, blend_y), (starts_x, blend_x) = self._grid
        half = self._size // 2
        tiles = [(i, j) for i in range(len(starts_z)) for j in range(len(starts_x))]
        for i, j in watched(tiles, report, "Inverting tiles"):
            start = np.array([starts_z[i], starts_y[number], starts_x[j]])
            tile = self._tile(start + half)
            tile *= blend_z[i][:, None, None] * blend_y[number][:, None] * blend_x[j]
            _add_inside(rows_zyx, tile, start - (0, base, 0))

    def _tile(self, centre_zyx: Any) -> Volume:
        """Invert the tile around a voxel."""
        offset_zyx = np.asarray(centre_zyx) - [n // 2 for n in self._setting.shape_zyx]
        return self._inverter(self._images, offset_zyx * self._setting.voxel_ang)


class TileInverter:
    """Inverts patches of tilt images into cubes; what all tiles share is prepared once.

    Parameters
    ----------
    setting : Setting
    params : ReconstructParams
    size : int
        Edge of a tile, even.
    """

    def __init__(self, setting: Setting, params: ReconstructParams, size: int) -> None:
        self._size, self._padded, self._voxel_ang = (
            size,
            next_fast_size(int(np.ceil(_PADDING * size))),
            setting.voxel_ang,
        )
        n = self._padded
        self._matrices = setting.alignment.image_from_sample()[setting.tilts]
        self.weights = tilt_weights(setting, params)
        self._masks = [_patch_mask(matrix, size, n) for matrix in self._matrices]
        self._transfers = _ctf_transfers(setting, params, self._matrices, n)
        self._cube = np.zeros((n, n, n // 2 + 1), np.complex64)
        self._cube_weights = np.zeros((n, n, n // 2 + 1), np.float32)
        # Undoes what spreading each sample linearly over cells does to the volume.
        self._sharpening = (1 / np.sinc((np.arange(size) - size // 2) / n) ** 2).astype(np.float32)

    def __call__(self, images: list[Image], centre_ang_zyx: Floats) -> Volume:
        """Invert the tile around a point, Å from the centre of the volume: float32[size, size, size]."""
        n = self._padded
        slices = np.empty((len(images), n, n // 2 + 1), np.complex64)
        for index, image_yx in enumerate(images):
            slices[index] = self._slice(image_yx, index, centre_ang_zyx)
        self._cube[:], self._cube_weights[:] = 0, 0
        directions = np.ascontiguousarray(self._matrices[:, :2, :3])
        insert_slices(self._cube, self._cube_weights, slices, directions, self.weights, n // 2 - 1)
        for cells in (self._cube, self._cube_weights):
            # In the plane kx = 0 every cell has only half of its samples, its opposite the others.
            cells[..., 0] += np.roll(cells[::-1, ::-1, 0], 1, (0, 1)).conj()
        divide_by_weights(self._cube, self._cube_weights, _WEIGHT_FLOOR)
        return self._back() * (self._sharpening[:, None, None] * self._sharpening[:, None] * self._sharpening)

    def _slice(self, image_yx: Image, index: int, centre_ang_zyx: Floats) -> NDArray[np.complex64]:
        """Transform the patch around the projection of a point, the point being its origin."""
        n = self._padded
        u, v, depth_ang = self._matrices[index] @ [*centre_ang_zyx[::-1], 1.0]
        centre = np.array([v, u]) / self._voxel_ang + [m // 2 for m in image_yx.shape]
        whole = np.rint(centre).astype(int)
        patch = np.zeros((n, n), np.float32)
        _add_inside(patch, image_yx, n // 2 - whole)
        patch *= self._masks[index]
        patch_rft = scipy.fft.rfft2(patch, workers=get_num_threads())
        rest = n // 2 + centre - whole
        along_y = np.exp(2j * np.pi * scipy.fft.fftfreq(n) * rest[0]).astype(np.complex64)
        along_x = np.exp(2j * np.pi * scipy.fft.rfftfreq(n) * rest[1]).astype(np.complex64)
        patch_rft *= along_y[:, None] * along_x
        if self._transfers is not None:
            patch_rft *= self._transfers[index](float(depth_ang))
        return np.asarray(patch_rft, np.complex64)

    def _back(self) -> Volume:
        """Transform the cube back, axis by axis, keeping only what lies in the tile."""
        n, workers = self._padded, get_num_threads()
        inside = slice(n // 2 - self._size // 2, n // 2 + self._size // 2)
        along_z = scipy.fft.ifft(self._cube, axis=0, workers=workers, overwrite_x=True)[inside]
        along_y = scipy.fft.ifft(along_z, axis=1, workers=workers)[:, inside]
        return np.asarray(scipy.fft.irfft(along_y, n, axis=2, workers=workers)[..., inside], np.float32)


def tile_positions(n: int, size: int) -> tuple[NDArray[np.int64], Image]:
    """Spread tiles along an axis, half overlapping, and share out every voxel among them.

    Parameters
    ----------
    n : int
        Voxels along the axis.
    size : int
        Edge of a tile.

    Returns
    -------
    starts : int64[k]
        First voxel of each tile, which may lie before the first of the volume.
    blend : float32[k, size]
        Weight of each voxel of each tile: a Gaussian about the tile's centre, divided by the sum over
        tiles. Voxels outside the volume have weight 0.
    """
    count = 1 if n <= size else -(-n // (size // 2))
    starts = np.floor((np.arange(count) + 0.5) * n / count).astype(np.int64) - size // 2
    distance = (np.arange(size) - size // 2) / size
    voxels = starts[:, None] + np.arange(size)
    blend = np.where((voxels >= 0) & (voxels < n), np.exp(-0.5 * (distance / _FALL_OFF) ** 2), 0.0)
    total = np.zeros(n)
    inside = blend > 0
    np.add.at(total, voxels[inside], blend[inside])
    blend[inside] /= total[voxels[inside]]
    return starts, blend.astype(np.float32)


def _patch_mask(matrix: Floats, size: int, padded: int) -> Image:
    """Keep what the tile casts its shadow on, and fade to 0 towards the border of the patch."""
    across = matrix[:2, 0] / max(float(np.linalg.norm(matrix[:2, 0])), 1e-6)
    position = np.arange(padded) - padded // 2
    mask = np.ones((padded, padded))
    for axis in (across, np.array([-across[1], across[0]])):
        shadow = size / 2 * float(np.abs(axis @ matrix[:2, :3]).sum())
        start = min(shadow, padded / 2 - _SMALLEST_FADE * padded)
        distance = np.abs(axis[1] * position[:, None] + axis[0] * position)
        beyond = np.clip((distance - start) / (padded / 2 - start), 0.0, 1.0)
        mask *= np.cos(np.pi / 2 * beyond) ** 2
    return mask.astype(np.float32)


def _ctf_transfers(
    setting: Setting, params: ReconstructParams, matrices: Floats, padded: int
) -> list[Callable[[float], Transfer]] | None:
    """Prepare the correction of each tilt's patches, if that is wanted."""
    if params.ctf == "none":
        return None
    correction = correction_for(setting, params, matrices, setting.shape_zyx, setting.voxel_ang)
    return [correction.transfer(index, (padded, padded)) for index in range(len(matrices))]


def _add_inside(target: NDArray[Any], source: NDArray[Any], start: NDArray[Any]) -> None:
    """Add `source` into `target` from index `start` on, which may be negative; what sticks out is left out."""
    low = np.maximum(start, 0)
    high = np.minimum(start + source.shape, target.shape)
    if np.all(low < high):
        to = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        of = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
        target[to] += source[of]
