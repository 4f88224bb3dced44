"""Where to start: the defocus most low tilts agree on, with nothing known beforehand."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from napari_tomoflow.core.ctf.fringes import GoldFringes
from napari_tomoflow.core.ctf.likelihood import Profile, RingTable
from napari_tomoflow.core.ctf.params import CtfParams
from napari_tomoflow.core.ctf.series_spectra import SeriesSpectra
from napari_tomoflow.core.report import Report

Floats = NDArray[np.float64]

_LOW_TILT_DEG = 20.0
_FEWEST_TILTS, _MOST_TILTS = 5, 15
_BANDS_ANG = ((8.0, 0.0), (14.0, 0.0), (22.0, 0.0), (8.0, 25.0))
"""Heights to try, exp(−(k · fine)²) · (1 − exp(−(k · coarse)⁶)): where defocus is low, only what is finer than the
specimen's own form can tell rings from it."""

_AGREE_ANG = 2000.0
"""How far apart low tilts may be and still speak for the same defocus."""

_RIVAL, _APART_ANG, _MOST_STARTS = 0.6, 2000.0, 3
"""In each band as many starts are tried, if their gain is this near the best and they are this far apart."""

_TOGETHER_GAIN = 8.0
"""Log-likelihood by which one defocus of all tilts must beat no rings to be believed."""


@dataclass(frozen=True, eq=False)
class Start:
    """A first guess: defocus and phase of the low tilts."""

    defocus_ang: float
    phase_rad: float


def low_tilts(measured: SeriesSpectra) -> NDArray[np.int64]:
    """Choose the tilts whose tiles all have nearly one defocus, the lowest first, neither too few nor too many."""
    by_tilt = np.argsort(np.abs(measured.tilt_deg), kind="stable")
    n_low = int(np.sum(np.abs(measured.tilt_deg) <= _LOW_TILT_DEG))
    return by_tilt[: int(np.clip(n_low, _FEWEST_TILTS, _MOST_TILTS))]


def search(measured: SeriesSpectra, params: CtfParams, report: Report) -> list[Start]:
    """Try every defocus with the phase shift that is given; a few likely starts."""
    low, phase_rad = low_tilts(measured), float(np.deg2rad(params.phase_deg))
    kept: list[Start] = []
    for done, heights in enumerate(_bands(measured.plan.k_inv_ang)):
        report(done, len(_BANDS_ANG), "Looking for the defocus")
        profiles = [_whole_image(measured, int(tilt), heights, params) for tilt in low]
        defocus_ang = profiles[0].defocus_ang
        gain = _agreement(profiles, phase_rad)
        peaks = np.flatnonzero(gain >= maximum_filter1d(gain, 2 * _width(defocus_ang, _APART_ANG) + 1))
        kept = _distinct(kept, [(float(gain[i]), Start(float(defocus_ang[i]), phase_rad)) for i in peaks])
    report(1, 1, "Looking for the defocus")
    return kept


def search_together(measured: SeriesSpectra, params: CtfParams, gold: GoldFringes | None) -> Start | None:
    """Look for one defocus of all tilts, whose rings show only in the sum; gold, where there is some, has a say.

    None where even the sum shows nothing, and there is no gold.
    """
    phase_rad = float(np.deg2rad(params.phase_deg))
    turn = np.exp(2j * phase_rad)
    best, start = -np.inf if gold else _TOGETHER_GAIN, None
    for heights in _bands(measured.plan.k_inv_ang):
        profiles = [_whole_image(measured, tilt, heights, params) for tilt in range(len(measured.tilts))]
        defocus_ang = profiles[0].defocus_ang
        rings = np.sum([(turn * one.rings).real for one in profiles], axis=0)
        power = np.sum([one.power + (turn**2 * one.beat).real for one in profiles], axis=0)
        gain = np.maximum(rings, 0.0) ** 2 / np.maximum(power, 1e-3 * power.max() + 1e-12)
        gain = gain + gold.log_prior(defocus_ang) if gold else gain
        if gain.max() > best:
            best, start = float(gain.max()), Start(float(defocus_ang[gain.argmax()]), phase_rad)
    return start


def _bands(k_inv_ang: Floats) -> list[Floats]:
    """Return the heights to try, each float64[K]."""
    return [
        np.exp(-((k_inv_ang * fine_ang) ** 2)) * (1.0 - np.exp(-((k_inv_ang * coarse_ang) ** 6)) if coarse_ang else 1.0)
        for fine_ang, coarse_ang in _BANDS_ANG
    ]


def _distinct(kept: list[Start], found: list[tuple[float, Start]]) -> list[Start]:
    """Add the best start found, and one that comes near it, where they are new."""
    kept = list(kept)
    found = sorted(found, key=lambda pair: -pair[0])
    added = 0
    for gain, start in found:
        is_new = all(abs(start.defocus_ang - other.defocus_ang) > _APART_ANG for other in kept)
        if added < _MOST_STARTS and gain >= _RIVAL * found[0][0] and (is_new or added == 0):
            kept += [start] if is_new else []
            added += 1
    return kept


def _width(defocus_ang: Floats, reach_ang: float) -> int:
    return round(reach_ang / float(defocus_ang[1] - defocus_ang[0]))


def _whole_image(measured: SeriesSpectra, tilt: int, heights: Floats, params: CtfParams) -> Profile:
    """Profile a tilt as if all its cells had one defocus."""
    spectra = measured.spectra[tilt]
    n_cells = int(spectra.used.sum()) * len(measured.plan.cos2)
    # `RingTable` takes the heights off each cell; added here, they cancel.
    excess = spectra.excess.sum(axis=(0, 1), keepdims=True) + measured.smooth.without(heights)
    total = replace(spectra, excess=excess.astype(np.float32), used=np.array([True]))
    range_ang = (1e4 * params.defocus_min_um, 1e4 * params.defocus_max_um)
    table = RingTable.of(total, measured.plan, measured.smooth, heights, measured.optics, range_ang)
    defocus_ang = table.lowest_ang + table.step_ang * np.arange(len(table.power))
    return Profile(
        np.asarray(defocus_ang, np.float64), table.rings[0].astype(np.complex128), n_cells * table.power.astype(float),
        n_cells * table.beat.astype(np.complex128),
    )  # fmt: skip


def _agreement(profiles: list[Profile], phase_rad: float) -> Floats:
    """Return the log-likelihood gained by rings of the best height, all tilts near the same defocus."""
    turn = np.exp(2j * phase_rad)
    width = 2 * _width(profiles[0].defocus_ang, _AGREE_ANG) + 1
    total = np.zeros(len(profiles[0].defocus_ang))
    for one in profiles:
        power = np.maximum(one.power + (turn**2 * one.beat).real, 1e-3 * one.power.max() + 1e-12)
        gain = np.maximum((turn * one.rings).real, 0.0) ** 2 / power
        total += gain + maximum_filter1d(gain, width)
    return total
