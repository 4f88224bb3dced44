"""Where tiles lie on an image, and which ring and sector every pixel of their spectra belongs to."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.ctf.params import CtfParams
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Optics, TiltSeries
from napari_tomoflow.core.ops.ctf import rfft_frequencies
from napari_tomoflow.core.ops.fourier import next_fast_size

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Indices = NDArray[np.int64]

_SECTORS = 12
_WIDEST_TILE = 2 / 3
"""Of the image: a single tile would see little but its middle."""

_SMALLEST_TILE_PX = 32
_FEWEST_RINGS = 12
_INDEPENDENT = 0.264
"""Independent samples per pixel of a spectrum behind a Hann window: ((3/8)² / (35/128))²."""

_USUAL_FINEST_ANG = 5.0
_OVER_NYQUIST = 1.15


@dataclass(frozen=True, eq=False)
class TilePlan:
    """Tiles and the cells of their spectra, the same for all tilts. Legend: T tiles, A sectors, K rings.

    Attributes
    ----------
    size_px : int
    size_ang : float
        Width of a tile.
    starts_yx : int64[T, 2]
        First pixel of each tile.
    centres_ang_yx : float64[T, 2]
        Å from the image centre.
    k_inv_ang : float64[K]
        Mean frequency of each ring.
    counts : float64[K]
        Independent samples that one cell of one tile's spectrum is the mean of.
    cos2, sin2 : float64[A]
        Means of cos 2α and sin 2α over each sector, α counter-clockwise from +x.
    pixels : int64[P]
        Pixels in use of a flattened half transform.
    cells : int64[P]
        Cell of each of them: sector · K + ring.
    """

    size_px: int
    size_ang: float
    starts_yx: Indices
    centres_ang_yx: Floats
    k_inv_ang: Floats
    counts: Floats
    cos2: Floats
    sin2: Floats
    pixels: Indices
    cells: Indices

    def ring_contrast(self, defocus_ang: ArrayLike, optics: Optics) -> Floats:
        """Return which part of the rings' height a tile's window leaves, at each ring: float64[K, ...].

        Rings at k are made by what interferes 2 λ defocus k apart; the window's correlation with itself at
        that distance is what is left of them.
        """
        apart = 2 * optics.wavelength_ang / self.size_ang * np.multiply.outer(self.k_inv_ang, np.abs(defocus_ang))
        apart = np.minimum(apart, 1.0)
        turn = 2 * np.pi * apart
        return np.asarray((1.0 - apart) * (2.0 + np.cos(turn)) / 3.0 + np.sin(turn) / (2.0 * np.pi), np.float64)

    @property
    def n_tiles(self) -> int:
        """Number of tiles of an image."""
        return len(self.starts_yx)

    @property
    def shape_ak(self) -> tuple[int, int]:
        """Number of sectors and rings."""
        return len(self.cos2), len(self.k_inv_ang)


def plan_tiles(series: TiltSeries, params: CtfParams) -> TilePlan:
    """Lay tiles over the images that overlap by half, and rings and sectors over their spectra.

    Raises
    ------
    DataError
        The images hold too little between the coarsest and the finest detail.
    """
    wanted_px = next_fast_size(round(params.tile_ang / series.pixel_ang))
    size_px = min(wanted_px, round(_WIDEST_TILE * min(series.shape_yx)) // 2 * 2)
    finest_ang = params.high_resolution_ang or max(_USUAL_FINEST_ANG, _OVER_NYQUIST * 2 * series.pixel_ang)
    first, last = 1.0 / params.low_resolution_ang, min(1.0 / finest_ang, 0.5 / series.pixel_ang)
    n_rings = int((last - first) * size_px * series.pixel_ang)
    if size_px < _SMALLEST_TILE_PX or n_rings < _FEWEST_RINGS:
        raise DataError(
            f"{series.name}: images of {series.shape_yx[1]} × {series.shape_yx[0]} px at {series.pixel_ang:g} Å hold "
            f"too little between {params.low_resolution_ang:g} and {1 / last:.3g} Å to fit a CTF; give images that "
            "are larger or less binned, or another range of resolution."
        )
    starts_yx = _starts_yx(series.shape_yx, size_px)
    middle_yx = np.array([n // 2 for n in series.shape_yx])
    edges = np.linspace(first, last, n_rings + 1)
    return TilePlan(
        size_px=size_px,
        size_ang=size_px * series.pixel_ang,
        starts_yx=starts_yx,
        centres_ang_yx=(starts_yx + size_px // 2 - middle_yx) * series.pixel_ang,
        **_cells(size_px, series.pixel_ang, edges),
    )


def _starts_yx(shape_yx: tuple[int, int], size_px: int) -> Indices:
    along_yx = []
    for n in shape_yx:
        count = -(-(n - size_px) // (size_px // 2)) + 1
        along_yx.append(np.rint(np.linspace(0, n - size_px, count)).astype(np.int64))
    return np.stack(np.meshgrid(*along_yx, indexing="ij"), axis=-1).reshape(-1, 2)


def _cells(size_px: int, pixel_ang: float, edges: Floats) -> dict[str, Any]:
    """Sort the pixels of a half transform into sectors and rings."""
    ky, kx = rfft_frequencies((size_px, size_px), pixel_ang)
    k = np.hypot(ky, kx).ravel()
    alpha = np.arctan2(ky, kx).ravel() % np.pi
    n_rings = len(edges) - 1
    ring = np.searchsorted(edges, k, side="right") - 1
    # The column kx = 0 holds every sample twice.
    twice = ((kx == 0) & (ky < 0)).ravel()
    pixels = np.flatnonzero((ring >= 0) & (ring < n_rings) & ~twice)
    sector = np.minimum((alpha[pixels] * (_SECTORS / np.pi)).astype(np.int64), _SECTORS - 1)
    ring = ring[pixels]
    in_ring = np.bincount(ring, minlength=n_rings)
    in_sector = np.bincount(sector, minlength=_SECTORS)
    return {
        "k_inv_ang": np.bincount(ring, k[pixels], n_rings) / np.maximum(in_ring, 1),
        "counts": _INDEPENDENT * in_ring / _SECTORS,
        "cos2": np.bincount(sector, np.cos(2 * alpha[pixels]), _SECTORS) / in_sector,
        "sin2": np.bincount(sector, np.sin(2 * alpha[pixels]), _SECTORS) / in_sector,
        "pixels": pixels,
        "cells": sector * n_rings + ring,
    }
