"""Put copies of small volumes, turned and shifted, into a large one."""

import math

import numpy as np
from numba import prange

from napari_tomoflow.core.kernels._jit import inner, kernel


@kernel
def place_copies(painted_zyx, owners_zyx, references, kinds, centres_vox, turns, is_sum):
    """Paint copies of references into a slab, and note to which copy each of its voxels belongs.

    Parameters
    ----------
    painted_zyx : float32[nz, ny, nx]
        Overwritten: the highest density of all copies, or their sum; 0 where there is none.
    owners_zyx : int32[nz, ny, nx]
        Overwritten: the copy that lies deepest in its own body there; -1 where there is none.
    references : float32[S, 2, n, n, n]
        Density, and depth in the body, of each reference; voxel ``n // 2`` is its centre. What is further than
        ``n // 2 - 1.5`` from there, and where the depth is not positive, is not painted.
    kinds : int64[P]
        Reference of each copy.
    centres_vox : float64[P, 3]
        (z, y, x) in voxels of the slab, anywhere.
    turns : float64[P, 3, 3]
        Takes an offset in voxels of the slab, (z, y, x), to one in voxels of the reference: a rotation times a scale.
    is_sum : bool

    Notes
    -----
    Not checked: equal lengths, C order. Linear interpolation. Threads own whole planes and take the copies in
    their order, so any number of threads gives the same bits.
    """
    nz, ny, nx = painted_zyx.shape
    n = references.shape[2]
    for z in prange(nz):
        deepest = np.zeros((ny, nx), np.float32)
        sampled = np.zeros(2, np.float32)
        painted_zyx[z] = np.float32(0.0)
        owners_zyx[z] = -1
        for p in range(len(kinds)):
            scale = math.sqrt(turns[p, 0, 0] ** 2 + turns[p, 1, 0] ** 2 + turns[p, 2, 0] ** 2)
            reach = (n // 2 - 1.5) / scale
            dz = z - centres_vox[p, 0]
            top, bottom = _chord(centres_vox[p, 1], reach * reach - dz * dz, ny)
            for y in range(top, bottom + 1):
                dy = y - centres_vox[p, 1]
                left, right = _chord(centres_vox[p, 2], reach * reach - dz * dz - dy * dy, nx)
                for x in range(left, right + 1):
                    dx = x - centres_vox[p, 2]
                    _sample(
                        sampled,
                        references,
                        kinds[p],
                        n // 2 + turns[p, 0, 0] * dz + turns[p, 0, 1] * dy + turns[p, 0, 2] * dx,
                        n // 2 + turns[p, 1, 0] * dz + turns[p, 1, 1] * dy + turns[p, 1, 2] * dx,
                        n // 2 + turns[p, 2, 0] * dz + turns[p, 2, 1] * dy + turns[p, 2, 2] * dx,
                    )
                    if sampled[1] <= 0:
                        continue
                    if is_sum:
                        painted_zyx[z, y, x] += sampled[0]
                    else:
                        painted_zyx[z, y, x] = max(painted_zyx[z, y, x], sampled[0])
                    if sampled[1] > deepest[y, x]:
                        deepest[y, x] = sampled[1]
                        owners_zyx[z, y, x] = p


@inner
def _chord(centre, squared, count):
    """Return the first and the last of `count` voxels on a line through a ball; last < first where it misses."""
    if squared < 0:
        return 0, -1
    half = math.sqrt(squared)
    return max(0, math.ceil(centre - half)), min(count - 1, math.floor(centre + half))


@inner
def _sample(sampled, references, kind, z, y, x):
    """Interpolate both volumes of a reference at one point within its ball."""
    low_z, low_y, low_x = int(z), int(y), int(x)
    c, b, a = np.float32(z - low_z), np.float32(y - low_y), np.float32(x - low_x)
    one = np.float32(1.0)
    for which in range(2):
        total = np.float32(0.0)
        for plane, w in ((low_z, one - c), (low_z + 1, c)):
            for row, v in ((low_y, one - b), (low_y + 1, b)):
                left = references[kind, which, plane, row, low_x]
                right = references[kind, which, plane, row, low_x + 1]
                total += w * v * ((one - a) * left + a * right)
        sampled[which] = total
