"""The amplitudes that images show of a map, ring by ring, and how strong each series is beside the others.

A map that is too weak in some rings is fitted best by a CTF that is: its defocus would be off. Over a few shells and
all tilts of all series the CTF passes through all its phases: no defocus can pretend to be an amplitude there. A
series by itself has a scale and a B factor only, ``s · exp(−B k² / 4)``, which no fringes are mistaken for.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.polishing.defocus_sums import FringeSums, pooled

Floats = NDArray[np.float64]

B_ANG2 = np.arange(-400.0, 801.0, 10.0)
"""B factors that are tried."""

_SMOOTH_RINGS = 13
"""Rings over which amplitudes are taken to be alike: three steps of frequency."""

_TURNS = 3
"""Times the common amplitudes and the strengths of series are found in turn."""


def calibrated(sums: Mapping[str, Sequence[FringeSums]]) -> dict[str, tuple[FringeSums, ...]]:
    """Give the map the amplitudes that all images show, ring by ring, as strong as each series shows them.

    Parameters
    ----------
    sums : mapping of str to sequence of FringeSums
        Of each series, in folds.
    """
    if not sums:
        return {}
    k_inv_ang = next(iter(sums.values()))[0].k_inv_ang
    shown = {name: _by_ring(pooled(folds), k_inv_ang) for name, folds in sums.items()}
    strengths = {name: np.ones(len(k_inv_ang)) for name in sums}
    for _ in range(_TURNS):
        common = _common(shown, strengths)
        for name, one in shown.items():
            scale, b_ang2 = likeliest(one, common, k_inv_ang)
            strengths[name] = scale * np.exp(-0.25 * b_ang2 * k_inv_ang**2)
    common = _common(shown, strengths)
    return {
        name: tuple(one.scaled(np.interp(one.k_inv_ang, k_inv_ang, strengths[name] * common)) for one in folds)
        for name, folds in sums.items()
    }


def likeliest(sums: Floats, common: Floats, k_inv_ang: Floats) -> tuple[float, float]:
    """Return the likeliest scale and B factor of what all images show.

    Parameters
    ----------
    sums : float64[2, K]
        Agreement and power.
    common, k_inv_ang : float64[K]
        Amplitude that all show, and frequency.
    """
    shapes = np.exp(-0.25 * B_ANG2[:, None] * k_inv_ang**2) * common
    along, power = shapes @ sums[0], shapes**2 @ sums[1]
    scale = np.maximum(np.divide(along, power, out=np.zeros_like(along), where=power > 0), 0.0)
    best = int(np.argmax(2.0 * scale * along - scale**2 * power))
    return float(scale[best]), float(B_ANG2[best])


def _by_ring(sums: FringeSums, k_inv_ang: Floats) -> Floats:
    """Return agreement and power at the known defocus, smoothed and at some frequencies: float64[2, K]."""
    by_ring = sums.by_ring(np.zeros(len(sums.sums)))
    return np.array([np.interp(k_inv_ang, sums.k_inv_ang, _smooth(one.sum(axis=0))) for one in by_ring])


def _common(shown: Mapping[str, Floats], strengths: Mapping[str, Floats]) -> Floats:
    """Return the amplitude that all series show if they are of some strengths: float64[K]."""
    agreement = np.sum([one[0] * strengths[name] for name, one in shown.items()], axis=0)
    power = np.sum([one[1] * strengths[name] ** 2 for name, one in shown.items()], axis=0)
    return np.asarray(np.divide(np.maximum(agreement, 0.0), power, out=np.ones(len(power)), where=power > 0))


def _smooth(values: Floats) -> Floats:
    """Average over neighbouring rings."""
    width = min(_SMOOTH_RINGS, len(values) - (len(values) + 1) % 2)
    return np.convolve(np.pad(values, width // 2, "edge"), np.full(width, 1.0 / width), "valid")
