"""One radial curve per tilt, measured and fitted, and how far in resolution the two agree."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from napari_tomoflow.core.ctf.model import CtfModel
from napari_tomoflow.core.ctf.series_spectra import SeriesSpectra
from napari_tomoflow.core.ops.ctf import gamma_per_defocus, gamma_rad

Floats = NDArray[np.float64]

_RINGS_COMPARED = 2.0
_FEWEST_COMPARED = 11
BEYOND_FORM_INV_ANG = 1 / 25
"""Rings finer than this are hardly disturbed by the form of molecules and membranes."""


@dataclass(frozen=True, eq=False)
class Curve:
    """The spectrum of one tilt against its fit. Legend: K rings.

    Attributes
    ----------
    measured, fitted : float64[K]
        Power over background, less 1, without what is smooth; all tiles brought to the tilt's mean defocus.
    score : float
        Their correlation, 0 to 1.
    reach : float
        Mean correlation around the rings that are finer than the specimen's form: how far the agreement carries.
    fit_ang, half_ang : float
        Where the correlation over two rings first falls below 0.143 and 0.5; NaN where it never was above.
    """

    measured: Floats
    fitted: Floats
    score: float
    reach: float
    fit_ang: float
    half_ang: float


def curve_of(measured: SeriesSpectra, tilt: int, model: CtfModel, heights: Floats) -> Curve:
    """Average a tilt's cells, each moved to where its rings would be at the tilt's mean defocus."""
    plan, one = measured.plan, measured.spectra[tilt]
    k = plan.k_inv_ang
    phase = float(measured.geometry.over_time(model.phase_rad)[tilt])
    reference = 2 * (gamma_rad(k, model.defocus_ang[tilt], measured.optics) + phase)
    offsets_ang = measured.geometry.offsets_of_tilt(model, tilt)[one.used]
    cells = reference + offsets_ang[..., None] * (2 * gamma_per_defocus(k, measured.optics))
    ring = np.rint(np.interp(cells.ravel(), np.maximum.accumulate(reference), np.arange(len(k)), -1, -1)).astype(int)
    inside = ring >= 0
    held = np.bincount(ring[inside], minlength=len(k))
    total = np.bincount(ring[inside], one.excess[one.used].ravel()[inside], len(k))
    mean = np.asarray(measured.smooth.without(total / np.maximum(held, 1)), np.float64)
    contrast = plan.ring_contrast(model.defocus_ang[tilt], measured.optics)
    fitted = np.asarray(measured.smooth.without(heights * (1.0 - contrast * np.cos(reference))), np.float64)
    weights = plan.counts
    root = np.sqrt(weights)
    norm = float(np.linalg.norm(root * mean) * np.linalg.norm(root * fitted))
    score = float(np.sum(weights * mean * fitted)) / max(norm, 1e-15)
    agreement = _by_ring(mean, -np.cos(reference), weights, reference)
    return Curve(
        measured=mean,
        fitted=fitted,
        score=max(score, 0.0),
        reach=float(agreement[k > min(BEYOND_FORM_INV_ANG, 0.5 * k[-1])].mean()),
        fit_ang=_falls_below(agreement, 0.143, k),
        half_ang=_falls_below(agreement, 0.5, k),
    )


def _by_ring(measured: Floats, template: Floats, weights: Floats, phase: Floats) -> Floats:
    """Correlate two curves around each ring, over a width of some oscillations: float64[K]."""
    per_ring = 2 * np.pi * (len(phase) - 1) / max(float(phase[-1] - phase[0]), 1e-3)
    width = max(_FEWEST_COMPARED, round(_RINGS_COMPARED * per_ring))

    def mean(values: Floats) -> Floats:
        return np.asarray(uniform_filter1d(values * weights, width, mode="nearest"))

    norm = np.maximum(mean(np.ones(len(weights))), 1e-12)
    x, t = measured - mean(measured) / norm, template - mean(template) / norm
    return np.asarray(mean(x * t) / np.sqrt(np.maximum(mean(x**2) * mean(t**2), 1e-30)))


def _falls_below(agreement: Floats, threshold: float, k_inv_ang: Floats) -> float:
    """Return the resolution in Å where the agreement, once above a threshold, first falls below it.

    A dip where the specimen's form still disturbs the rings does not count if finer ones agree.
    """
    above = agreement >= threshold
    fine = above & (k_inv_ang > BEYOND_FORM_INV_ANG)
    if not above.any():
        return float("nan")
    first = int(np.argmax(fine if fine[: len(fine) // 2].any() else above))
    after = np.flatnonzero(~above[first:])
    last = first + int(after[0]) - 1 if len(after) else len(k_inv_ang) - 1
    return float(1.0 / k_inv_ang[last])
