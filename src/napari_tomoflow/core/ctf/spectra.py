"""Power spectra of the tiles of an image, with the smooth background taken off.

Legend: T tiles, A sectors, K rings, J functions of the background.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.ctf.tiles import TilePlan

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

_BACKGROUND_DEGREE = 6
_LEFTOVER_DEGREE = 4
_TURNS = 8
_SPIKE_SD = 8.0
_ODD_TILE = 4.0
"""A tile whose spread is that many times smaller or larger than the usual one's is left out."""


@dataclass(frozen=True, eq=False)
class Spectra:
    """What the spectra of one image's tiles have beyond a smooth background.

    Attributes
    ----------
    excess : float32[T, A, K]
        Power over background, less 1; orthogonal to `smooth`; 0 for tiles that are not used.
    used : bool[T]
    background : float64[K]
        Power the excess is relative to, the mean of all tiles.
    power : float64[K]
        Power itself, the mean of the tiles in use.
    """

    excess: Reals
    used: NDArray[np.bool_]
    background: Floats
    power: Floats

    @classmethod
    def of(cls, tiles: "TilePower", background: Floats, plan: TilePlan, smooth: "SmoothPart") -> Self:
        """Take background and smooth part off the power of an image's tiles, each brought to the same level."""
        relative = (tiles.power / background).astype(np.float32)
        level = (relative * plan.counts).sum(axis=-1, keepdims=True) / plan.counts.sum()
        excess = smooth.without(relative / np.where(level > 0, level, 1.0))
        excess[~tiles.used] = 0.0
        return cls(np.asarray(excess, np.float32), tiles.used, background, tiles.mean)


@dataclass(frozen=True, eq=False)
class TilePower:
    """The power spectra of an image's tiles.

    Attributes
    ----------
    power : float32[T, A, K]
    used : bool[T]
        Tiles whose spread is that of most.
    """

    power: Reals
    used: NDArray[np.bool_]

    @property
    def mean(self) -> Floats:
        """Mean of the tiles in use, float64[K]."""
        return np.asarray(self.power[self.used].mean(axis=(0, 1), dtype=np.float64))


class SmoothPart:
    """The smooth functions of frequency that count as background, and how to take them off.

    Parameters
    ----------
    plan : TilePlan
    background : float64[K], optional
        Where rings are so few that a smooth background could be taken for them, or they for it: what the
        spectra are relative to. Noise alone then counts as smooth, a line over k².

    Attributes
    ----------
    weighted_projection : float64[K, K]
        Σ w x y of two spectra without their smooth parts is x · this · y.
    """

    def __init__(self, plan: TilePlan, background: Floats | None = None) -> None:
        k = plan.k_inv_ang
        scaled = 2 * (k - k[0]) / (k[-1] - k[0]) - 1
        # In log k the steep fall at the low end is nearly straight.
        log_scaled = 2 * np.log(k / k[0]) / np.log(k[-1] / k[0]) - 1
        self._weights = np.maximum(plan.counts, 1e-9)
        self._basis = np.polynomial.chebyshev.chebvander(log_scaled, _BACKGROUND_DEGREE)
        if background is None:
            leftover = np.polynomial.chebyshev.chebvander(scaled, _LEFTOVER_DEGREE)
        else:
            leftover = np.stack([np.ones_like(k), (k / k[-1]) ** 2], axis=1) / background[:, None]
        whitened = np.linalg.qr(leftover * np.sqrt(self._weights)[:, None])[0]
        self._from = whitened * np.sqrt(self._weights)[:, None]
        self.weighted_projection: Floats = np.diag(self._weights) - self._from @ self._from.T
        self._to = whitened / np.sqrt(self._weights)[:, None]

    def fit(self, power: Floats) -> Floats:
        """Fit exp(smooth) to a positive spectrum [K], each ring weighted by its relative precision."""
        basis, weights = self._basis, self._weights
        beta = np.linalg.lstsq(basis * np.sqrt(weights)[:, None], np.log(power) * np.sqrt(weights), rcond=None)[0]
        normal = basis.T @ (weights[:, None] * basis)
        for _ in range(_TURNS):
            excess = np.clip(power / np.exp(basis @ beta) - 1.0, -1.0, 3.0)
            beta += np.linalg.solve(normal, basis.T @ (weights * excess))
        smooth: Floats = np.exp(basis @ beta)
        return smooth

    def without(self, values: NDArray[np.inexact]) -> NDArray[Any]:
        """Take the smooth part off spectra [..., K] or templates, real or complex."""
        from_k, to_k = self._from.astype(values.real.dtype), self._to.astype(values.real.dtype)
        rest: NDArray[Any] = values - (values @ from_k) @ to_k.T
        return rest


def tile_power(image_yx: Reals, plan: TilePlan) -> TilePower | None:
    """Measure the power spectra of an image's tiles; None for an image that holds nothing."""
    mean, sd = float(image_yx.mean()), float(image_yx.std())
    if not np.isfinite(sd) or sd <= 1e-6 * max(abs(mean), 1e-30):
        return None
    image_yx = np.clip(image_yx, mean - _SPIKE_SD * sd, mean + _SPIKE_SD * sd)
    n_sectors, n_rings = plan.shape_ak
    power = np.zeros((plan.n_tiles, n_sectors, n_rings), np.float32)
    spread = np.zeros(plan.n_tiles)
    per_cell = np.maximum(np.bincount(plan.cells, minlength=n_sectors * n_rings), 1)
    window = np.hanning(plan.size_px + 1)[:-1].astype(np.float32)
    for tile, (y, x) in enumerate(plan.starts_yx):
        cut = image_yx[y : y + plan.size_px, x : x + plan.size_px]
        cut = cut - cut.mean()
        spread[tile] = cut.std()
        tile_rft = scipy.fft.rfft2(cut * window[:, None] * window, overwrite_x=True).ravel()[plan.pixels]
        summed = np.bincount(plan.cells, tile_rft.real**2 + tile_rft.imag**2, n_sectors * n_rings)
        power[tile] = (summed / per_cell).reshape(n_sectors, n_rings)
    usual = float(np.median(spread))
    used = (spread > usual / _ODD_TILE) & (spread < usual * _ODD_TILE)
    return TilePower(power, used) if used.any() else None
