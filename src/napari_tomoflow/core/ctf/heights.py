"""How high the rings of every tilt stand above its background, measured under the model so far.

The power of an image is noise plus structure times sin²γ. Where the structure changes from ring to ring (the
form of a molecule, the two leaves of a membrane) neither the background nor the rings are smooth, and a fit
that takes them for smooth goes astray where the rings are wide. But the structure is the same in all tilts,
less what exposure has faded, so the tilts whose defocus is well known show what to expect of the others::

    excess     = smooth + height · (1 − cos 2γ)
    height_i(k) = size_i · structure(k) · exp(−exposure_i / Ne(k)) / background_i(k)

Legend: N tilts, K rings, C cells of a tilt.
"""

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ctf.model import CtfModel
from napari_tomoflow.core.ctf.series_spectra import SeriesSpectra
from napari_tomoflow.core.ops.ctf import critical_exposure_e_ang2, gamma_per_defocus, gamma_rad

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

_FINEST_STRUCTURE_ANG = 250.0
"""Size of the objects whose form shows in the rings: structure does not change within 1 / this."""

_FORM_INV_ANG, _SMOOTHER_INV_ANG, _SMOOTHEST = 1 / 25, 0.015, 5.0
"""Beyond a molecule's and a membrane's form structure changes ever more slowly, up to so many times."""

_EXPOSURES_E_ANG2 = np.array([-30, -20, -12, -6, 0, 6, 12, 20, 30, 45, 60, 80, 100, 130, 170, 220, 300], np.float64)
_FAINTEST = 1e-3
"""Size given to a tilt that shows no rings, so that it may show some in the next round."""

_NEIGHBOURS = 2
"""Tilts to either side, in order of exposure, that share size and fading."""


class RingHeights:
    """Measures structure and fading.

    Parameters
    ----------
    measured : SeriesSpectra
    """

    def __init__(self, measured: SeriesSpectra) -> None:
        self._measured = measured
        k = measured.plan.k_inv_ang
        fading = _EXPOSURES_E_ANG2[:, None] / critical_exposure_e_ang2(k, measured.optics.voltage_kv)
        self._fadings = np.exp(-fading)  # (exposures, K)
        self._by_time = np.argsort(measured.geometry.time, kind="stable")
        self._place = np.argsort(self._by_time)
        background = np.stack([one.background for one in measured.spectra])
        # What a structure of 1 gives in each tilt, unfaded: the background is noise at the fine end only.
        self._unfaded: Floats = background[:, -1:] / background
        self._relative = self._unfaded
        self._bends = _bends(k)

    def measure(self, model: CtfModel, anchors: NDArray[np.bool_]) -> Floats:
        """Estimate the ring heights of all tilts, float64[N, K], the structure from the anchors alone.

        Parameters
        ----------
        model
        anchors : bool[N]
            Tilts whose defocus is well known.
        """
        offsets_ang = self._measured.geometry.offsets_ang(model)
        sums = [self._sums(tilt, model, one) for tilt, one in enumerate(offsets_ang)]
        structure = self._structure(sums, self._relative, anchors)
        self._relative = np.stack([self._fading(tilt, sums, structure) for tilt in range(len(sums))])
        return structure * self._relative

    def _sums(self, tilt: int, model: CtfModel, offsets_ang: Floats) -> tuple[Floats, Floats]:
        """Sum over the cells c = 1 − contrast · cos 2γ: Σ e c, float64[K], and Σ c cᵀ, float64[K, K]."""
        measured = self._measured
        plan, one = measured.plan, measured.spectra[tilt]
        phase = float(measured.geometry.over_time(model.phase_rad)[tilt])
        centre = 2 * gamma_rad(plan.k_inv_ang, model.defocus_ang[tilt], measured.optics) + 2 * phase
        angles = centre + offsets_ang[one.used][..., None] * (2 * gamma_per_defocus(plan.k_inv_ang, measured.optics))
        contrast = plan.ring_contrast(model.defocus_ang[tilt], measured.optics).astype(np.float32)
        cells = (1.0 - contrast * np.cos(angles.astype(np.float32))).reshape(-1, len(plan.k_inv_ang))
        excess = one.excess[one.used].reshape(cells.shape)
        return (excess * cells).sum(axis=0, dtype=np.float64), (cells.T @ cells).astype(np.float64)

    def _structure(self, sums: list[tuple[Floats, Floats]], fading: Floats, anchors: NDArray[np.bool_]) -> Floats:
        """Solve for the structure that explains the anchors best, not negative and not too jagged: float64[K]."""
        counts = self._measured.plan.counts
        seen = sum(fading[i] * sums[i][0] for i in np.flatnonzero(anchors)) * counts
        outer = sum(np.outer(fading[i], fading[i]) * sums[i][1] for i in np.flatnonzero(anchors))
        normal = outer * self._measured.smooth.weighted_projection
        stiffness = float(np.median(np.diag(normal))) * self._bends.T @ self._bends
        solved = np.linalg.lstsq(normal + stiffness, seen, rcond=1e-9)[0]
        return np.asarray(np.maximum(solved, 0.0))

    def _fading(self, tilt: int, sums: list[tuple[Floats, Floats]], structure: Floats) -> Floats:
        """Find size and exposure that scale the structure to a tilt and its neighbours in time: float64[K]."""
        plan = self._measured.plan
        place = int(self._place[tilt])
        near = self._by_time[max(0, place - _NEIGHBOURS) : place + _NEIGHBOURS + 1]
        seen, power = np.zeros((2, len(self._fadings)))
        for one in near:
            templates = self._fadings * (structure * self._unfaded[one])
            seen += templates @ (plan.counts * sums[one][0])
            normal = sums[one][1] * self._measured.smooth.weighted_projection
            power += np.einsum("xk,xk->x", templates @ normal, templates)
        sizes = np.maximum(seen, 0.0) / np.maximum(power, 1e-12)
        best = int(np.argmax(sizes * seen))
        size = max(float(sizes[best]), _FAINTEST)
        return np.asarray(size * self._fadings[best] * self._unfaded[tilt])


def _bends(k_inv_ang: Floats) -> Floats:
    """Return what takes a structure to how much it bends, in units of what is allowed: float64[K - 2, K]."""
    rings_per_inv_ang = len(k_inv_ang) / (k_inv_ang[-1] - k_inv_ang[0])
    rings_wide = rings_per_inv_ang / _FINEST_STRUCTURE_ANG / (2 * np.pi)
    wider = np.clip(np.exp((k_inv_ang[1:-1] - _FORM_INV_ANG) / _SMOOTHER_INV_ANG), 1.0, _SMOOTHEST)
    bends = np.diff(np.eye(len(k_inv_ang)), 2, axis=0)
    return np.asarray(bends * (max(rings_wide, 0.5) * wider[:, None]) ** 2)
