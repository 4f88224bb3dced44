"""What some tilt images show of the surroundings of a point, seen from where another image looks at it."""

import math

import numpy as np
from numba import prange

from napari_tomoflow.core.kernels._jit import inner, kernel


@kernel
def cut_patches(patches, images, centres_px_yx):
    """Cut squares around points out of images, interpolated linearly.

    Parameters
    ----------
    patches : float32[P, N, m, m]
        Pixel ``m // 2`` of each shows its centre; written in place.
    images : float32[N, ny, nx]
    centres_px_yx : float64[P, N, 2]
        0-based, anywhere.

    Notes
    -----
    Not checked: shapes, C order. Threads own whole points. Zero outside the image; NaN spreads to neighbours.
    """
    n_points, n, m, _ = patches.shape
    _, ny, nx = images.shape
    for p in prange(n_points):
        for i in range(n):
            top, left = math.floor(centres_px_yx[p, i, 0]), math.floor(centres_px_yx[p, i, 1])
            wy = np.float32(centres_px_yx[p, i, 0] - top)
            wx = np.float32(centres_px_yx[p, i, 1] - left)
            for row in range(m):
                y = int(top) + row - m // 2
                for column in range(m):
                    x = int(left) + column - m // 2
                    if 0 <= y < ny - 1 and 0 <= x < nx - 1:
                        near, far = images[i, y], images[i, y + 1]
                        upper = near[x] + wx * (near[x + 1] - near[x])
                        lower = far[x] + wx * (far[x + 1] - far[x])
                        patches[p, i, row, column] = upper + wy * (lower - upper)
                    else:
                        patches[p, i, row, column] = 0.0


@inner
def _half_width(z, y, radius):
    """Return how far a ball reaches along x in one of its rows; below 0 for rows outside."""
    rest = radius * radius - z * z - y * y
    return int(math.sqrt(rest)) if rest >= 0 else -1


@inner
def _tap(matrix, z, y, x, middle):
    """Return where a voxel is seen in a patch: the pixel before it and the weights of the ones after."""
    v = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + middle
    u = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + middle
    row, column = int(v), int(u)
    return row, column, np.float32(v - row), np.float32(u - column)


@inner
def _read(patch_yx, row, column, wy, wx):
    upper = patch_yx[row, column] + wx * (patch_yx[row, column + 1] - patch_yx[row, column])
    lower = patch_yx[row + 1, column] + wx * (patch_yx[row + 1, column + 1] - patch_yx[row + 1, column])
    return upper + wy * (lower - upper)


@inner
def _add_patch(ball_zyx, patch_yx, matrix, radius):
    """Back-project one patch into a ball."""
    middle = patch_yx.shape[0] // 2
    for z in range(-radius, radius + 1):
        for y in range(-radius, radius + 1):
            half = _half_width(z, y, radius)
            for x in range(-half, half + 1):
                row, column, wy, wx = _tap(matrix, z, y, x, middle)
                ball_zyx[z + radius, y + radius, x + radius] += _read(patch_yx, row, column, wy, wx)


@inner
def _show_ball(predicted_yx, ball_zyx, patch_yx, matrix, radius):
    """Project a ball into one view, less what this view has given to it and fading towards its surface."""
    middle = patch_yx.shape[0] // 2
    outside = np.float32((radius + 1) ** 2)
    one = np.float32(1.0)
    for z in range(-radius, radius + 1):
        for y in range(-radius, radius + 1):
            half = _half_width(z, y, radius)
            for x in range(-half, half + 1):
                row, column, wy, wx = _tap(matrix, z, y, x, middle)
                others = ball_zyx[z + radius, y + radius, x + radius] - _read(patch_yx, row, column, wy, wx)
                value = others * (one - np.float32(x * x + y * y + z * z) / outside)
                predicted_yx[row, column] += (one - wy) * (one - wx) * value
                predicted_yx[row, column + 1] += (one - wy) * wx * value
                predicted_yx[row + 1, column] += wy * (one - wx) * value
                predicted_yx[row + 1, column + 1] += wy * wx * value


@kernel
def predict_patches(predicted, patches, shown, matrices, radius):
    """Predict what each tilt shows around a point from a ball back-projected from all the others.

    Parameters
    ----------
    predicted : float32[P, N, m, m]
        Zero; the predictions are added.
    patches : float32[P, N, m, m]
        What the tilts show, the point at pixel ``m // 2``.
    shown : bool[P, N]
        Patches that count; the others neither predict nor are predicted.
    matrices : float64[N, 2, 3]
        Rows (y, x) of each tilt's rotation, acting on (x, y, z).
    radius : int
        Of the ball, px.

    Notes
    -----
    The views are added up as they are, without a ramp: for a weak signal in white noise that is what matches best.

    Not checked: ``m >= 2 * radius + 4``, matrices with rows of length 1 at most, C order. Threads own
    whole points; each keeps one ball. NaN spreads over the predictions of its point.
    """
    n_points, n, _, _ = patches.shape
    side = 2 * radius + 1
    for p in prange(n_points):
        ball_zyx = np.zeros((side, side, side), np.float32)
        for i in range(n):
            if shown[p, i]:
                _add_patch(ball_zyx, patches[p, i], matrices[i], radius)
        for i in range(n):
            if shown[p, i]:
                _show_ball(predicted[p, i], ball_zyx, patches[p, i], matrices[i], radius)
