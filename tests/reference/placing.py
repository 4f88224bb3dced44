"""Copies in a volume, the obvious way: every voxel of the volume looked up in every copy."""

import numpy as np
from scipy.ndimage import map_coordinates


def place_copies(painted_zyx, owners_zyx, references, kinds, centres_vox, turns, is_sum):
    painted_zyx[:], owners_zyx[:] = 0.0, -1
    deepest = np.zeros(painted_zyx.shape)
    n = references.shape[2]
    voxels = np.stack(np.meshgrid(*map(np.arange, painted_zyx.shape), indexing="ij"))
    for copy, (kind, centre, turn) in enumerate(zip(kinds, centres_vox, turns, strict=True)):
        offset = voxels - centre[:, None, None, None]
        within = np.sqrt((offset**2).sum(0)) <= (n // 2 - 1.5) / np.linalg.norm(turn[:, 0])
        places = np.einsum("ij,jzyx->izyx", turn, offset) + n // 2
        density, depth = (map_coordinates(volume.astype(np.float64), places, order=1) for volume in references[kind])
        inside = within & (depth > 0)
        if is_sum:
            painted_zyx[inside] += density[inside]
        else:
            painted_zyx[inside] = np.maximum(painted_zyx, density)[inside]
        deeper = inside & (depth > deepest)
        owners_zyx[deeper] = copy
        deepest[deeper] = depth[deeper]
