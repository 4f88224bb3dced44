"""Where to start behind a phase plate: defocus and phase shift together, where rings are too few to be counted.

Close to focus only two or three rings lie within what an image resolves. No background can be told from them
by its smoothness; but the noise is nearly white, and structure, whatever its form, is positive and vanishes
where the CTF does. Every pair of defocus and phase is therefore tried against::

    power = noise + structure · (1 − cos 2γ),   noise a line over k², structure a spline, neither negative

Legend: K rings, D trial defocus values, P trial phases.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.optimize import nnls

from napari_tomoflow.core.ctf.params import CtfParams
from napari_tomoflow.core.ctf.search import Start, low_tilts
from napari_tomoflow.core.ctf.series_spectra import SeriesSpectra
from napari_tomoflow.core.ops.ctf import gamma_per_defocus, gamma_rad
from napari_tomoflow.core.report import Report, watched

Floats = NDArray[np.float64]

_DEFOCUS_STEP_RAD = 0.4
"""Between trial defocus values at the finest ring."""

_PHASE_STEP_DEG = 5.0
_FORM_INV_ANG, _FINE_KNOTS, _WIDEN, _WIDEST_KNOTS = 1 / 25, 1 / 250, 1.35, 0.02
"""Knots of the structure: dense where molecules and membranes have their form, ever wider beyond."""

_MISFIT = 0.01
"""Relative error a spectrum is allowed beyond its noise: views of one specimen share their speckle."""

_ANOTHER_DEG = 30.0
"""Phases farther apart than this are two answers, not one."""


@dataclass(frozen=True)
class Rival:
    """The best answer with quite another phase.

    Attributes
    ----------
    phase_deg : float
    behind : float
        By how much less likely it is, as log-likelihood.
    """

    phase_deg: float
    behind: float


def search_plate(measured: SeriesSpectra, params: CtfParams, report: Report) -> tuple[Start, Rival]:
    """Try every pair of defocus and phase on the mean spectrum of the low tilts."""
    low = low_tilts(measured)
    plan, k = measured.plan, measured.plan.k_inv_ang
    power = np.mean([measured.spectra[i].power / measured.spectra[i].power[-1] for i in low], axis=0)
    samples = plan.counts * len(plan.cos2) * sum(int(measured.spectra[i].used.sum()) for i in low)
    weights = 1.0 / (power * np.sqrt(1.0 / samples + _MISFIT**2))
    noise, structure = _noise(k), _structure(k)
    slope = gamma_per_defocus(k, measured.optics)
    # Tiles of a tilt differ in depth, to either side alike: their mean has weaker rings in the same places.
    depths_ang = measured.geometry.depths_ang(np.zeros(2))[low].ravel()
    blur = np.abs(np.exp(2j * np.multiply.outer(slope, depths_ang)).mean(axis=1))
    step_ang = _DEFOCUS_STEP_RAD / float(2 * slope[-1])
    defocus_ang = np.arange(1e4 * params.defocus_min_um, 1e4 * params.defocus_max_um, step_ang)
    phases = np.deg2rad(np.arange(0.0, 180.0, _PHASE_STEP_DEG))
    misfit = np.zeros((len(defocus_ang), len(phases)))
    for row, one in enumerate(watched(list(defocus_ang), report, "Looking for defocus and phase")):
        contrast = blur * plan.ring_contrast(one, measured.optics)
        gamma = gamma_rad(k, one, measured.optics)
        for column, phase in enumerate(phases):
            rings = 1.0 - contrast * np.cos(2 * (gamma + phase))
            terms = np.column_stack([noise, structure * rings[:, None]])
            misfit[row, column] = 0.5 * nnls(terms * weights[:, None], power * weights)[1] ** 2
    return _best(misfit, defocus_ang, phases)


def _best(misfit: Floats, defocus_ang: Floats, phases: Floats) -> tuple[Start, Rival]:
    row, column = np.unravel_index(int(np.argmin(misfit)), misfit.shape)
    by_phase = misfit.min(axis=0)
    apart = np.abs((phases - phases[column] + np.pi / 2) % np.pi - np.pi / 2)
    others = np.where(apart > np.deg2rad(_ANOTHER_DEG), by_phase, np.inf)
    rival = int(np.argmin(others))
    start = Start(float(defocus_ang[row]), float(phases[column]))
    return start, Rival(float(np.rad2deg(phases[rival])), float(others[rival] - misfit[row, column]))


def _noise(k_inv_ang: Floats) -> Floats:
    """Return two functions whose positive sums are all lines over k² that are positive: float64[K, 2]."""
    rising = (k_inv_ang / k_inv_ang[-1]) ** 2
    return np.column_stack([1.0 - rising, rising])


def _structure(k_inv_ang: Floats) -> Floats:
    """Return cubic splines on knots that grow apart: float64[K, J]."""
    knots, apart = [float(k_inv_ang[0])], _FINE_KNOTS
    while knots[-1] < k_inv_ang[-1]:
        if knots[-1] > _FORM_INV_ANG:
            apart = min(apart * _WIDEN, _WIDEST_KNOTS)
        knots.append(knots[-1] + apart)
    padded = np.concatenate([[knots[0]] * 3, knots, [knots[-1]] * 3])
    return np.asarray(BSpline.design_matrix(k_inv_ang, padded, 3).toarray())
