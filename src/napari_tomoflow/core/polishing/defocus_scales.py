"""How strong series and tilts show their particles, and how fast that falls with frequency, over what all series show.

Over shells k, with the agreement A and the power P of a series (`defocus_sums`) and c = Σ A / Σ P over all of them, the
amplitudes of a series are those of all times ``s · exp(−B k² / 4)``, and the log likelihood of s and B is, up to a
constant::

    Σ 2 A f c − P f² c²                    f = s · exp(−B k² / 4)

whose maximum is where the FSC of the series with the average, |FSC_i − f · FSC_all| weighed by its noise, is least. A
series keeps s = 1 and B = 0 unless particles left out of the fit say that the other is better. Tilts stray from their
series under a prior, whose width, or none at all, particles left out choose, too.

Legend: F folds, T tilts in use, K shells.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.polishing.calibration import B_ANG2, likeliest
from napari_tomoflow.core.polishing.defocus import LEAST_GAIN, SURE, RefinedCtf

Floats = NDArray[np.float64]

_SHELLS = 24


class Spread(NamedTuple):
    """Standard deviations of tilts about their series."""

    share: float
    b_ang2: float


SPREADS = (Spread(0.0, 0.0), Spread(0.1, 40.0), Spread(0.3, 150.0))
"""How far tilts may stray, from not at all to widely."""


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


@dataclass(frozen=True, eq=False)
class TiltScales:
    """Strength of each tilt of a series.

    Attributes
    ----------
    scale, b_ang2 : float64[T]
        Over those of all series together.
    record : dict
        What the series and its tilts came to, in plain numbers.
    """

    scale: Floats
    b_ang2: Floats
    record: dict[str, Any]


def series_scales(refined: Mapping[str, RefinedCtf]) -> dict[str, SeriesScale]:
    """Fit the strength of every series whose CTF was compared."""
    if len(refined) < 2:
        return {name: SeriesScale() for name in refined}
    shells = _Shells(refined)
    return {name: shells.of_series(name) for name in refined}


def tilt_scales(refined: Mapping[str, RefinedCtf]) -> dict[str, TiltScales]:
    """Fit the strength of every series whose CTF was compared, and of its tilts."""
    if not refined:
        return {}
    shells = _Shells(refined)
    return {name: shells.of_tilts(name, scale) for name, scale in series_scales(refined).items()}


class _Shells:
    """Agreement and power of all series by shell, and the amplitude they have in common."""

    def __init__(self, refined: Mapping[str, RefinedCtf]) -> None:
        highest = max(float(one.sums[0].k_inv_ang[-1]) for one in refined.values())
        edges = np.linspace(0.0, highest * (1 + 1e-9), _SHELLS + 1)
        self._folds = {name: _by_shell(one, edges) for name, one in refined.items()}
        agreement, power = np.sum([folds.sum(axis=(0, 2)) for folds in self._folds.values()], axis=0)
        self._common = np.divide(agreement, power, out=np.zeros(_SHELLS), where=power > 0)
        self._k_inv_ang = 0.5 * (edges[1:] + edges[:-1])

    def of_series(self, name: str) -> SeriesScale:
        """Fit a series, and ask each fold about what the others say."""
        folds, common = self._folds[name].sum(axis=2), self._common
        gain = 0.0
        for left_out in range(len(folds)):
            found = self._likeliest(np.delete(folds, left_out, axis=0).sum(axis=0))
            one = folds[left_out]
            amplitude = found.amplitude(self._k_inv_ang)
            gain += float(_likelihood(one, amplitude * common) - _likelihood(one, common))
        if len(folds) < 2 or gain <= LEAST_GAIN:
            return SeriesScale(gain=gain)
        return replace(self._likeliest(folds.sum(axis=0)), gain=gain)

    def of_tilts(self, name: str, of_series: SeriesScale) -> TiltScales:
        """Fit the tilts of a series about what it has in common."""
        folds = self._folds[name]
        gains = {spread: self._gains_left_out(folds, of_series, spread) for spread in SPREADS}
        total = {spread: float(one.sum()) for spread, one in gains.items()}
        # Of spreads that do about as well the narrowest.
        best = min(spread for spread, gain in total.items() if gain >= max(total.values()) - LEAST_GAIN)
        error = float(gains[best].std() * np.sqrt(gains[best].size))
        taken = total[best] > max(LEAST_GAIN, SURE * error)
        scale, b_ang2 = self._drawn(folds.sum(axis=0), of_series, best if taken else SPREADS[0])
        record = of_series.record() | {
            "tilt_scale_taken": taken,
            "tilt_scale_gain_left_out": {f"{one.share:g}": round(gain, 2) for one, gain in total.items()},
            "tilt_scale_gain_error": round(error, 2),
            "tilt_scale": np.round(scale, 4).tolist(),
            "tilt_b_ang2": b_ang2.tolist(),
        }
        return TiltScales(scale, b_ang2, record)

    def _likeliest(self, sums: Floats) -> SeriesScale:
        return SeriesScale(*likeliest(sums, self._common, self._k_inv_ang))

    def _gains_left_out(self, folds: Floats, about: SeriesScale, spread: Spread) -> Floats:
        """Return how much likelier each tilt of each fold is by what the others say than as its series: [F, T]."""
        gains = np.zeros((len(folds), folds.shape[2]))
        known = about.amplitude(self._k_inv_ang) * self._common
        for number, one in enumerate(folds if len(folds) > 1 else []):
            scale, b_ang2 = self._drawn(np.delete(folds, number, axis=0).sum(axis=0), about, spread)
            amplitude = scale[:, None] * np.exp(-0.25 * b_ang2[:, None] * self._k_inv_ang**2) * self._common
            gains[number] = _likelihood(one, amplitude) - _likelihood(one, known)
        return gains

    def _drawn(self, sums: Floats, about: SeriesScale, spread: Spread) -> tuple[Floats, Floats]:
        """Return the likeliest scale and B factor of each tilt, [T] each, for sums float64[2, T, K]."""
        count = sums.shape[1]
        if spread == SPREADS[0]:
            return np.full(count, about.scale), np.full(count, about.b_ang2)
        shapes = np.exp(-0.25 * B_ANG2[:, None] * self._k_inv_ang**2) * self._common
        along, power = sums[0] @ shapes.T, sums[1] @ (shapes**2).T
        tight = 1.0 / max(spread.share * about.scale, 1e-6) ** 2
        scale = np.maximum((2.0 * along + tight * about.scale) / (2.0 * power + tight), 0.0)
        strayed = tight * (scale - about.scale) ** 2 + ((B_ANG2 - about.b_ang2) / spread.b_ang2) ** 2
        best = np.argmax(2.0 * scale * along - scale**2 * power - 0.5 * strayed, axis=1)
        return scale[np.arange(count), best], B_ANG2[best]


def _by_shell(refined: RefinedCtf, edges: Floats) -> Floats:
    """Sum agreement and power of each tilt of each fold over shells: float64[F, 2, T, K]."""
    shell = np.searchsorted(edges, refined.sums[0].k_inv_ang, side="right") - 1
    inside = (shell[:, None] == np.arange(len(edges) - 1)).astype(np.float64)
    return np.array([[one @ inside for one in sums.by_ring(refined.offset_ang)] for sums in refined.sums])


def _likelihood(sums: Floats, amplitude: Floats) -> Floats:
    """Return the log likelihood of amplitudes float64[..., K] for sums float64[2, ..., K]: float64[...]."""
    return np.asarray(np.sum(2.0 * sums[0] * amplitude - sums[1] * amplitude**2, axis=-1))
