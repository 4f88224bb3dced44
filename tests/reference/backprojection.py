"""Back-projection, projection and spline sampling, right by inspection."""

import math

import numpy as np


def backproject(volume_zyx, lines_tyu, start_u, step_x, step_z):
    for z, y, x in np.ndindex(volume_zyx.shape):
        total = 0.0
        for t in range(len(lines_tyu)):
            u = start_u[t] + x * step_x[t] + z * step_z[t]
            left = math.floor(u)
            total += (left + 1 - u) * lines_tyu[t, y, left] + (u - left) * lines_tyu[t, y, left + 1]
        volume_zyx[z, y, x] = total


def project(lines_tyu, volume_zyx, start_u, step_x, step_z):
    for z, y, x in np.ndindex(volume_zyx.shape):
        for t in range(len(lines_tyu)):
            u = start_u[t] + x * step_x[t] + z * step_z[t]
            left = math.floor(u)
            lines_tyu[t, y, left] += (left + 1 - u) * volume_zyx[z, y, x]
            lines_tyu[t, y, left + 1] += (u - left) * volume_zyx[z, y, x]


def cubic_spline(distance):
    distance = abs(distance)
    if distance < 1:
        return 2 / 3 - distance**2 + distance**3 / 2
    return (2 - distance) ** 3 / 6 if distance < 2 else 0.0


def sample_spline(out_vu, coefficients_yx, affine):
    ny, nx = coefficients_yx.shape
    for v, u in np.ndindex(out_vu.shape):
        x, y = affine @ (u, v, 1.0)
        along_x = np.array([cubic_spline(x - i) for i in range(nx)])
        along_y = np.array([cubic_spline(y - i) for i in range(ny)])
        out_vu[v, u] = along_y @ coefficients_yx @ along_x


def shift_rows(out_zyx, planes_zyx, starts, weights):
    out_zyx[:] = 0
    for z, y, tap in np.ndindex(*out_zyx.shape[:2], weights.shape[1]):
        row = y + starts[z] + tap
        if 0 <= row < planes_zyx.shape[1]:
            out_zyx[z, y] += weights[z, tap] * planes_zyx[z, row]


def lines_of_blocks(blocks, n_lines):
    """The lines [t, y, u] held in blocks [block, t, u, row]."""
    n_blocks, n_tilts, n_u, n_rows = blocks.shape
    return blocks.transpose(1, 0, 3, 2).reshape(n_tilts, n_blocks * n_rows, n_u)[:, :n_lines]


def blocks_of_lines(lines_tyu, n_rows):
    """The lines [t, y, u] cut into blocks [block, t, u, row]; missing rows are zero."""
    n_tilts, n_lines, n_u = lines_tyu.shape
    n_blocks = -(-n_lines // n_rows)
    padded = np.zeros((n_tilts, n_blocks * n_rows, n_u), np.float32)
    padded[:, :n_lines] = lines_tyu
    return np.ascontiguousarray(padded.reshape(n_tilts, n_blocks, n_rows, n_u).transpose(1, 0, 3, 2))
