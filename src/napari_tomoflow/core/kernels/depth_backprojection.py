"""Back-projection of lines that come in several versions, each right for one depth along the beam."""

import numpy as np
from numba import prange

from napari_tomoflow.core.kernels._jit import kernel
from napari_tomoflow.core.kernels.backprojection import _COLUMNS, ROWS, _write, sum_rows


@kernel
def backproject_versions(volume_zyx, blocks, lines, depths, first_version, last_version):
    """Spread lines over a slab, each voxel taking from every tilt the version made for its depth.

    Parameters
    ----------
    volume_zyx : float32[nz, ny, nx]
        Overwritten.
    blocks : float32[n_blocks, n_versions, n_u, ROWS]
        The versions of all tilts, one tilt after the other; fastest when aligned to 64 bytes.
    lines : float64[n_tilts, 3]
        Position on the line of voxel (0, ·, 0), and how it moves per voxel along x and z.
    depths : float64[n_tilts, 4]
        Version, counted as a fraction from the tilt's first, of voxel (0, 0, 0), and how it moves per voxel
        along x, y and z. Voxels take the whole part.
    first_version, last_version : int64[n_tilts]
        Which of the versions belong to each tilt; those asked for beyond are replaced by the nearest.

    Notes
    -----
    A block of rows takes the version of its middle row. Not checked: every position lies in [0, n_u - 1);
    ``n_blocks * ROWS >= ny``; C order. Threads own whole (block, z) pairs, and each voxel is summed in the order of
    the tilts, so the result does not depend on the number of threads. NaN and infinity spread along their rays.
    """
    nz, ny, nx = volume_zyx.shape
    n_blocks, _, n_u, _ = blocks.shape
    n_tilts = len(first_version)
    for task in prange(n_blocks * nz):
        block, z = task // nz, task % nz
        flat = blocks[block].reshape(-1)
        middle = block * ROWS + 0.5 * (min(ROWS, ny - block * ROWS) - 1)
        start_u = lines[:, 0] + z * lines[:, 2]
        start_version = depths[:, 0] + middle * depths[:, 2] + z * depths[:, 3]
        offsets = np.empty((_COLUMNS, n_tilts), np.int64)
        weights = np.empty((_COLUMNS, n_tilts), np.float32)
        tile = np.empty((_COLUMNS, ROWS), np.float32)
        for x0 in range(0, nx, _COLUMNS):
            for column in range(_COLUMNS):
                x = x0 + column
                for t in range(n_tilts):
                    u = start_u[t] + x * lines[t, 1]
                    left = np.int32(u)
                    version = first_version[t] + np.int64(max(start_version[t] + x * depths[t, 1], 0.0))
                    weights[column, t] = np.float32(u - left)
                    offsets[column, t] = (min(version, last_version[t]) * n_u + left) * ROWS
            n_columns = min(_COLUMNS, nx - x0)
            for column in range(n_columns):
                sum_rows(tile[column], flat, offsets[column], weights[column])
            _write(volume_zyx[z, block * ROWS : (block + 1) * ROWS, x0 : x0 + n_columns], tile)
