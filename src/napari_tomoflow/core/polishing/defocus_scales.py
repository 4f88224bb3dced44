"""How strong each series shows its particles, and how fast that falls with frequency, over what all series show.

Over shells k, with the agreement A and the power P of a series (`defocus_sums`) and c = Σ A / Σ P over all of them, the
amplitudes of a series are those of all times ``s · exp(−B k² / 4)``, and the log likelihood of s and B is, up to a
constant::

    Σ 2 A f c − P f² c²                    f = s · exp(−B k² / 4)

whose maximum is where the FSC of the series with the average, |FSC_i − f · FSC_all| weighed by its noise, is least. A
series keeps s = 1 and B = 0 unless particles left out of the fit say that the other is better.

Legend: K shells.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.polishing.defocus import LEAST_GAIN, RefinedCtf

Floats = NDArray[np.float64]

_SHELLS = 24
_B_ANG2 = np.arange(-400.0, 801.0, 10.0)
"""B factors that are tried."""


@dataclass(frozen=True)
class SeriesScale:
    """Strength of a series.

    Attributes
    ----------
    scale : float
        1 is as strong as all series together.
    b_ang2 : float
        B factor over that of all; positive where detail is weaker.
    gain : float
        Log likelihood that particles left out gained.
    """

    scale: float = 1.0
    b_ang2: float = 0.0
    gain: float = 0.0

    def amplitude(self, k_inv_ang: ArrayLike) -> Floats:
        """Return s · exp(−B k² / 4)."""
        return np.asarray(self.scale * np.exp(-0.25 * self.b_ang2 * np.square(k_inv_ang)), np.float64)

    def record(self) -> dict[str, float]:
        """Say it in plain numbers."""
        return {"scale": round(self.scale, 4), "b_ang2": self.b_ang2, "scale_gain_left_out": round(self.gain, 2)}


def series_scales(refined: Mapping[str, RefinedCtf]) -> dict[str, SeriesScale]:
    """Fit the strength of every series whose CTF was compared."""
    if len(refined) < 2:
        return {name: SeriesScale() for name in refined}
    highest = max(float(one.sums[0].k_inv_ang[-1]) for one in refined.values())
    edges = np.linspace(0.0, highest * (1 + 1e-9), _SHELLS + 1)
    shells = {name: _by_shell(one, edges) for name, one in refined.items()}
    total = np.sum([folds.sum(axis=0) for folds in shells.values()], axis=0)
    common = np.divide(total[0], total[1], out=np.zeros(_SHELLS), where=total[1] > 0)
    k_inv_ang = 0.5 * (edges[1:] + edges[:-1])
    return {name: _fitted(folds, common, k_inv_ang) for name, folds in shells.items()}


def _by_shell(refined: RefinedCtf, edges: Floats) -> Floats:
    """Sum agreement and power of each fold over shells: float64[F, 2, K]."""
    shell = np.searchsorted(edges, refined.sums[0].k_inv_ang, side="right") - 1
    return np.array(
        [
            [np.bincount(shell, one.sum(axis=0), len(edges) - 1) for one in sums.by_ring(refined.offset_ang)]
            for sums in refined.sums
        ]
    )


def _fitted(folds: Floats, common: Floats, k_inv_ang: Floats) -> SeriesScale:
    """Fit a series, and ask each fold about what the others say."""
    gain = 0.0
    for left_out in range(len(folds)):
        found = _likeliest(np.delete(folds, left_out, axis=0).sum(axis=0), common, k_inv_ang)
        one = folds[left_out]
        gain += _likelihood(one, found.amplitude(k_inv_ang) * common) - _likelihood(one, common)
    if len(folds) < 2 or gain <= LEAST_GAIN:
        return SeriesScale(gain=gain)
    return replace(_likeliest(folds.sum(axis=0), common, k_inv_ang), gain=gain)


def _likelihood(sums: Floats, amplitude: Floats) -> float:
    return float(np.sum(2.0 * sums[0] * amplitude - sums[1] * amplitude**2))


def _likeliest(sums: Floats, common: Floats, k_inv_ang: Floats) -> SeriesScale:
    """Try all B factors, each with the scale that suits it best."""
    shapes = np.exp(-0.25 * _B_ANG2[:, None] * k_inv_ang**2) * common
    along, power = shapes @ sums[0], shapes**2 @ sums[1]
    scale = np.maximum(np.divide(along, power, out=np.zeros_like(along), where=power > 0), 0.0)
    best = int(np.argmax(2.0 * scale * along - scale**2 * power))
    return SeriesScale(float(scale[best]), float(_B_ANG2[best]))
