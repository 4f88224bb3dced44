"""Slow twins of the kernels `slab`, `plane` and `rows`: right by inspection."""

import math

import numpy as np


def box_sum(row, low, high):
    """Sum a row of unit pixels, pixel k covering [k, k + 1), from low to high."""
    return sum(max(0.0, min(high, k + 1) - max(low, k)) * float(value) for k, value in enumerate(row))


def add_slab_views(view_yx, cover_yx, images, masks, others, stretches, widths_px, weights):
    for other, stretch, width, weight in zip(others, stretches, widths_px, weights, strict=True):
        add_slab_view(view_yx, cover_yx, images[other], masks[other], stretch, width, weight)


def add_slab_view(view_yx, cover_yx, image_yx, mask_yx, stretch, width_px, weight):
    ny, nx = view_yx.shape
    width = max(width_px, 1.0)
    for y, x in np.ndindex(ny, nx):
        centre = (x - nx // 2) * stretch + nx // 2 + 0.5
        low, high = centre - width / 2, centre + width / 2
        view_yx[y, x] += weight * box_sum(image_yx[y] * mask_yx[y], low, high) / width
        cover_yx[y, x] += weight * box_sum(mask_yx[y], low, high) / width


def sample(image_yx, v, u):
    """Interpolate linearly; zero outside."""
    value = 0.0
    for y in (math.floor(v), math.floor(v) + 1):
        for x in (math.floor(u), math.floor(u) + 1):
            if 0 <= y < image_yx.shape[0] and 0 <= x < image_yx.shape[1]:
                value += (1 - abs(v - y)) * (1 - abs(u - x)) * float(image_yx[y, x])
    return value


def turn_image(out_yx, image_yx, angle_rad, shift_y_px, shift_x_px):
    centre = np.array(image_yx.shape) // 2
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    for row, column in np.ndindex(*out_yx.shape):
        y, x = row - out_yx.shape[0] // 2, column - out_yx.shape[1] // 2
        out_yx[row, column] = sample(
            image_yx, s * x + c * y + shift_y_px + centre[0], c * x - s * y + shift_x_px + centre[1]
        )


def sum_onto_lines(lines, images, angles_rad, shifts_px_yx, half_widths_px):
    for a, i, along in np.ndindex(*lines.shape):
        half = half_widths_px[i]
        lines[a, i, along] = 0.0
        for across in range(-math.ceil(half), math.ceil(half) + 1):
            fade = min(2 * (1 - abs(across) / half), 1.0) if abs(across) < half else 0.0
            turned = np.zeros((1, 1))
            y, x = along - lines.shape[2] // 2, across
            c, s = math.cos(angles_rad[a]), math.sin(angles_rad[a])
            shift = shifts_px_yx[i] + np.array([s * x + c * y, c * x - s * y])
            turn_image(turned, images[i], angles_rad[a], *shift)
            lines[a, i, along] += fade * turned[0, 0]


def taps(nz, nx, c, s):
    """Yield (z, x, tap, its weight) for taps that lie in the row."""
    for z, x in np.ndindex(nz, nx):
        u = (x - nx // 2) * c + (z - nz // 2) * s + nx // 2
        for tap in (math.floor(u), math.floor(u) + 1):
            if 0 <= tap < nx:
                yield z, x, tap, 1 - abs(u - tap)


def backproject_row(rows, y, cosines, sines, chosen, n_depths):
    slice_zx = np.zeros((n_depths, rows.shape[2]))
    for i in np.flatnonzero(chosen):
        for z, x, tap, w in taps(n_depths, rows.shape[2], cosines[i], sines[i]):
            slice_zx[z, x] += w * rows[i, y, tap]
    return slice_zx


def reproject_rows(views, rows, cosines, sines, chosen, n_depths, threshold):
    for y in range(rows.shape[1]):
        slice_zx = backproject_row(rows, y, cosines, sines, chosen, n_depths)
        strong = np.sign(slice_zx) * np.maximum(np.abs(slice_zx) - threshold, 0)
        for i in np.flatnonzero(~np.asarray(chosen)):
            for z, x, tap, w in taps(n_depths, rows.shape[2], cosines[i], sines[i]):
                views[i, y, tap] += w * strong[z, x]


def multiply_halves(products, rows, cosines, sines, first_half):
    n_depths = products.shape[1]
    for y in range(rows.shape[1]):
        first = backproject_row(rows, y, cosines, sines, first_half, n_depths)
        products[y] = first * backproject_row(rows, y, cosines, sines, ~np.asarray(first_half), n_depths)


def slab_by_volume(image_x, stretch_from, stretch_to, apart_rad, thickness_px, samples):
    """Back-project one row into a uniform slab and reproject it, by sampling every ray finely.

    On the ray at u of the view the image is seen at ``u cos(t_j) / cos(t_i) + z sin(t_j - t_i) / cos(t_i)``.
    """
    nx = len(image_x)
    depths = (np.arange(samples) + 0.5) / samples * thickness_px - thickness_px / 2
    view = np.zeros(nx)
    for x in range(nx):
        seen = (x - nx // 2) * stretch_from / stretch_to + depths * math.sin(apart_rad) / stretch_to + nx // 2
        pixel = np.floor(seen + 0.5).astype(int)
        inside = (pixel >= 0) & (pixel < nx)
        view[x] = np.where(inside, image_x[np.clip(pixel, 0, nx - 1)], 0.0).mean()
    return view
