"""An average brought into the frame of the truth, by the poses of its particles: no search that could fail."""

import numpy as np
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.averaging.symmetry_axis import Frame
from napari_tomoflow.core.ops.fsc import shell_sums
from napari_tomoflow.core.ops.so3 import angular_distance_deg


def frame_of(found, truth, voxel_ang, symmetry="C1"):
    """Return the frame the found poses have in common, ``x_found = Q · x_true + s``, and how far each is off it.

    Every particle tells Q = A_foundᵀ · A_true; the one in the middle of them is refined by those near it. With
    symmetry, poses that look alike count as one.
    """
    turns = np.swapaxes(found.matrices, 1, 2) @ truth.matrices
    between = angular_distance_deg(turns[:, None], turns, symmetry)
    middle = int(np.argmin(np.median(between, axis=1)))
    turn = turns[middle]
    if symmetry == "C1":
        turn = Rotation.from_matrix(turns[between[middle] < 20.0]).mean().as_matrix()
    off_deg = angular_distance_deg(found.matrices @ turn, truth.matrices, symmetry)
    # Where the true centre lies in the frame of the map, as each particle sees it.
    apart = (truth.centers_ang_zyx - found.centers_ang_zyx)[:, ::-1]
    shifts = np.einsum("pji,pj->pi", found.matrices, apart)[off_deg < 20.0] / voxel_ang
    shift = np.median(shifts, axis=0)
    left = np.linalg.norm(apart / voxel_ang - found.matrices @ shift, axis=1)
    return Frame(turn, shift), off_deg, left


def fsc_with(truth_volume, volume, frame, mask):
    """Compare a map with the truth in the truth's frame."""
    return shell_sums(frame.seen(volume) * mask, truth_volume * mask).fsc
