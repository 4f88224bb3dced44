"""Resampling with cubic splines and windowed sines."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.kernels import resample as kernels
from napari_tomoflow.core.ops.fourier import half_frequencies

Image = NDArray[np.float32]

SHIFT_TAPS = 6
"""Taps of a shift along y: a sine cut off by a Lanczos window three pixels wide."""

MOVE_SPACING_PX = 16
"""Moves are given at every so many pixels: a bend of 10 px over 500 px is off by a hundredth of a pixel in between."""


def spline_transfer(shape_yx: Sequence[int]) -> Image:
    """Turn pixels into weights of cubic B-splines: what a half transform is multiplied with.

    Interpolation through these weights passes through every pixel and is within 2 % of the ideal
    up to a frequency of 0.25 cycles per pixel.
    """
    y, x = (spline_transfer_1d(frequency) for frequency in half_frequencies(shape_yx))
    return np.asarray(y * x, np.float32)


def spline_transfer_1d(cycles_per_px: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the factor of `spline_transfer` along one axis at some frequencies."""
    return np.asarray(3.0 / (2.0 + np.cos(2 * np.pi * cycles_per_px)))


def sample_affine(
    coefficients_yx: Image, affine: NDArray[np.float64], shape_vu: tuple[int, int], moves_yx: Image | None = None
) -> Image:
    """Sample a cubic spline on a turned, sheared and shifted grid, and if wanted a bent one; 0 outside.

    Parameters
    ----------
    coefficients_yx : float32[ny, nx]
        Pixels that went through `spline_transfer`.
    affine : float64[2, 3]
        Gives the 0-based pixel (x, y) of grid point (u, v, 1).
    shape_vu : tuple of int
        Shape of the grid.
    moves_yx : float32[gy, gx, 2], optional
        The spline is read at p - moves(p); (y, x) in pixels, at every `MOVE_SPACING_PX`-th pixel.
    """
    sampled = np.empty(shape_vu, np.float32)
    coefficients_yx = np.ascontiguousarray(coefficients_yx, np.float32)
    if moves_yx is None:
        kernels.sample_spline(sampled, coefficients_yx, affine)
    else:
        kernels.sample_moved_spline(sampled, coefficients_yx, affine, moves_yx, MOVE_SPACING_PX)
    return sampled


def places_of_moves(shape_yx: tuple[int, int]) -> NDArray[np.float64]:
    """Return where `sample_affine` wants to know the moves of an image: float64[gy, gx, 2], 0-based pixels (y, x)."""
    axes = [np.arange(-(-n // MOVE_SPACING_PX) + 1) * float(MOVE_SPACING_PX) for n in shape_yx]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def shift_rows(planes_zyx: Image, shift_px: ArrayLike, n_rows: int) -> Image:
    """Cut `n_rows` rows out of each plane around a middle that moves by a fraction of a pixel.

    Parameters
    ----------
    planes_zyx : float32[nz, my, nx]
    shift_px : float[nz]
        Row ``n_rows // 2`` of plane z of the result is row ``my // 2 + shift_px[z]`` of `planes_zyx`.
    n_rows : int
        Rows beyond those of `planes_zyx` count as 0.
    """
    starts, weights = _lanczos(np.asarray(shift_px, np.float64) + planes_zyx.shape[1] // 2 - n_rows // 2)
    shifted = np.empty((len(planes_zyx), n_rows, planes_zyx.shape[2]), np.float32)
    kernels.shift_rows(shifted, planes_zyx, starts, weights)
    return shifted


def _lanczos(shift_px: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """First tap and weights that read at a fractional row; a whole shift copies exactly."""
    whole = np.floor(shift_px)
    distance = np.arange(SHIFT_TAPS) - (SHIFT_TAPS // 2 - 1) - (shift_px - whole)[:, None]
    weights = np.sinc(distance) * np.sinc(distance / (SHIFT_TAPS // 2))
    weights[np.abs(weights) < 1e-12] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    return whole.astype(np.int64) - (SHIFT_TAPS // 2 - 1), weights.astype(np.float32)
