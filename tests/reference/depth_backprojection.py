"""Back-projection of lines that come in versions, right by inspection."""

import math

import numpy as np

from napari_tomoflow.core.kernels.backprojection import ROWS


def backproject_versions(volume_zyx, lines_vyu, lines, depths, first_version, last_version):
    ny = volume_zyx.shape[1]
    for z, y, x in np.ndindex(volume_zyx.shape):
        block = y // ROWS
        middle = (block * ROWS + min((block + 1) * ROWS, ny) - 1) / 2
        total = 0.0
        for t in range(len(lines)):
            u = lines[t] @ (1, x, z)
            left = math.floor(u)
            wanted = first_version[t] + math.floor(depths[t] @ (1, x, middle, z))
            line = lines_vyu[min(max(wanted, first_version[t]), last_version[t]), y]
            total += (left + 1 - u) * line[left] + (u - left) * line[left + 1]
        volume_zyx[z, y, x] = total
