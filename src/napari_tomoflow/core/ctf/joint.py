"""The joint fit: the defocus of every tilt, and what all tilts share."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ctf.heights import RingHeights
from napari_tomoflow.core.ctf.likelihood import Profile, RingTable
from napari_tomoflow.core.ctf.model import CtfModel
from napari_tomoflow.core.ctf.params import CtfParams
from napari_tomoflow.core.ctf.prior import expected_defocus
from napari_tomoflow.core.ctf.search import Start
from napari_tomoflow.core.ctf.series_spectra import SeriesSpectra

Floats = NDArray[np.float64]

SURE_GAIN = 8.0
"""A tilt whose rings raise the log-likelihood by this much knows its own defocus."""

_STRAY = 0.05
"""Share of tilts that may lie anywhere within the largest change, whatever their neighbours say."""

_ASTIGMATISM_SD_ANG = np.array([1000.0, 100.0])
"""Expected size of the mean astigmatism, half the difference, and of its change."""

_SLOPE_SD = 0.1
_CAUTION_PER_TILT = 1.0
"""What tilts share is judged as if all of them saw the same speckle."""


@dataclass(frozen=True, eq=False)
class Settled:
    """The best defocus of every tilt under a model. Legend: N tilts.

    Attributes
    ----------
    model : CtfModel
    gain : float64[N]
        Log-likelihood of each tilt, over that of no rings.
    expected_ang, expected_sd_ang : float64[N]
        Defocus the other tilts let expect.
    total : float
        Log-likelihood of all tilts with the expectation, by which models are compared.
    """

    model: CtfModel
    gain: Floats
    expected_ang: Floats
    expected_sd_ang: Floats
    total: float


class JointFit:
    """Tables of all tilts for one set of envelopes, and the searches that use them.

    Parameters
    ----------
    measured : SeriesSpectra
    start : Start
    params : CtfParams
    together : bool
        Give all tilts one defocus, and let them share nothing else: their rings show only in the sum.
    """

    def __init__(self, measured: SeriesSpectra, start: Start, params: CtfParams, together: bool = False) -> None:
        self._measured = measured
        self.together = together
        self._params = params
        centre_ang, change_ang = start.defocus_ang, 2e4 * params.max_change_um
        lowest_ang = max(0.0, centre_ang - change_ang)
        self._range_ang = (lowest_ang, centre_ang + change_ang)
        self._tables: list[RingTable] = []
        self._cautious_tables: list[RingTable] = []
        self._ring_heights = RingHeights(measured)
        self.heights: Floats = np.zeros((len(measured.tilts), len(measured.plan.k_inv_ang)))
        self.start = CtfModel(
            defocus_ang=np.full(len(measured.tilts), centre_ang), phase_rad=np.array([start.phase_rad, 0.0])
        )

    @property
    def defocus_sd_ang(self) -> Floats:
        """Standard error of each tilt's defocus by its own spectra: float64[N]."""
        return np.array([max(table.information_of_tilt, 1e-12) ** -0.5 for table in self._tables])

    def refresh(self, model: CtfModel, anchors: NDArray[np.bool_]) -> None:
        """Measure the heights of the rings under a model, and tabulate the likelihood anew."""
        self.heights = self._ring_heights.measure(model, anchors)
        self._tabulate()

    def settle(self, model: CtfModel, within_deg: float = 90.0) -> Settled:
        """Find the best defocus of every tilt, the tilts beyond `within_deg` from their neighbours alone."""
        profiles = self._profiles(model)
        phases = self._measured.geometry.over_time(model.phase_rad)
        likelihoods = [one.log_likelihood(float(phase)) for one, phase in zip(profiles, phases, strict=True)]
        if self.together:
            return self._one_defocus(model, profiles[0].defocus_ang, np.array(likelihoods))
        near = np.abs(self._measured.tilt_deg) <= max(within_deg, float(np.abs(self._measured.tilt_deg).min()))
        alone = [peak(one.defocus_ang, value) for one, value in zip(profiles, likelihoods, strict=True)]
        gain = np.array([height for _, height in alone])
        sure = near & (gain > SURE_GAIN)
        if not sure.any():
            sure = near & (gain >= gain[near].max())
        defocus_ang = np.array([place for place, _ in alone])
        for _ in range(2):
            mean, variance = expected_defocus(
                defocus_ang, self.defocus_sd_ang**2, sure, self._measured.geometry.time, self._measured.tilt_deg
            )
            peaks = []
            for i, (one, value) in enumerate(zip(profiles, likelihoods, strict=True)):
                prior = self._log_prior(one.defocus_ang, mean[i], variance[i])
                peaks.append(peak(one.defocus_ang, prior + (value if near[i] else 0.0)))
            defocus_ang = np.array([place for place, _ in peaks])
            heights = [height for _, height in peaks]
        own = [np.interp(d, one.defocus_ang, v) for d, one, v in zip(defocus_ang, profiles, likelihoods, strict=True)]
        return Settled(
            model.replace(defocus_ang=defocus_ang), np.array(own), mean, np.sqrt(variance), float(np.sum(heights))
        )

    def _one_defocus(self, model: CtfModel, defocus_ang: Floats, likelihoods: Floats) -> Settled:
        """Find the best defocus of all tilts; how far each is from it nothing tells."""
        best_ang, total = peak(defocus_ang, likelihoods.sum(axis=0))
        own = np.array([np.interp(best_ang, defocus_ang, one) for one in likelihoods])
        everywhere = np.full(len(own), best_ang)
        spread = np.full(len(own), self._stray_ang)
        return Settled(model.replace(defocus_ang=everywhere), own, everywhere, spread, total)

    @property
    def _stray_ang(self) -> float:
        """How far a tilt may be from what its neighbours let expect."""
        return 0.5e4 * self._params.max_change_um

    def evidence(self, settled: Settled) -> float:
        """Return the log-likelihood of all tilts, that of the heights under which they settled included.

        `Settled.total` compares models under the same heights; this compares each under heights of its own.
        """
        counts, smooth = self._measured.plan.counts, self._measured.smooth
        total = settled.total
        for spectra, heights in zip(self._measured.spectra, self.heights, strict=True):
            level = np.asarray(smooth.without(heights), np.float64)
            seen = spectra.excess[spectra.used]
            total += float(np.sum(counts * (seen.sum(axis=(0, 1)) * level - 0.5 * seen[..., 0].size * level**2)))
        return total

    def improve(self, settled: Settled) -> Settled:
        """Take a Gauss-Newton step in what all tilts share, and settle the tilts again."""
        return self.settle(_moved(settled.model, self._step(settled.model), self._params))

    def _tabulate(self) -> None:
        measured = self._measured
        offsets_ang = np.abs(measured.geometry.depths_ang(np.zeros(2))).max(axis=1) + 1000.0
        self._tables, self._cautious_tables = (
            [
                RingTable.of(
                    spectra, measured.plan, measured.smooth, heights, measured.optics,
                    (self._range_ang[0] - reach, self._range_ang[1] + reach), caution,
                )
                for spectra, heights, reach in zip(measured.spectra, self.heights, offsets_ang, strict=True)
            ]
            for caution in (0.0, _CAUTION_PER_TILT * len(measured.tilts))
        )  # fmt: skip

    def _profiles(self, model: CtfModel) -> list[Profile]:
        offsets_ang = self._measured.geometry.offsets_ang(model)
        return [table.profile(one, self._range_ang) for table, one in zip(self._tables, offsets_ang, strict=True)]

    def _log_prior(self, defocus_ang: Floats, mean_ang: float, variance_ang2: float) -> Floats:
        """Return the log of a normal distribution with wide tails, relative to its peak."""
        stray_ang2 = self._stray_ang**2
        squared = (defocus_ang - mean_ang) ** 2
        near = np.exp(-0.5 * squared / variance_ang2)
        far = np.sqrt(min(variance_ang2 / stray_ang2, 1.0)) * np.exp(-0.5 * squared / stray_ang2)
        density: Floats = np.log((1 - _STRAY) * near + _STRAY * far + 1e-300)
        return density

    def shared_sd(self, model: CtfModel) -> Floats:
        """Return the standard errors of (slope x, y; astigmatism mean cos, sin; its change cos, sin): float64[6]."""
        return np.sqrt(np.diag(np.linalg.inv(self._normal_equations(model)[0])))

    def _step(self, model: CtfModel) -> Floats:
        """Return the Gauss-Newton step of what `shared_sd` tells the errors of."""
        normal, right = self._normal_equations(model)
        params = self._params
        free = np.array([params.max_slope_deg > 0 and model.gradient != 0] * 2 + [params.astigmatism] * 4)
        free &= not self.together
        step = np.zeros(6)
        step[free] = np.linalg.solve(normal[np.ix_(free, free)], right[free]) if free.any() else 0.0
        return step

    def _normal_equations(self, model: CtfModel) -> tuple[Floats, Floats]:
        geometry = self._measured.geometry
        offsets_ang = geometry.offsets_ang(model)
        phases = geometry.over_time(model.phase_rad)
        depth = geometry.depths_ang(model.slope_xy)
        by_slope = [
            model.gradient * (geometry.depths_ang(model.slope_xy + move) - depth) / 0.01
            for move in (np.array([0.01, 0.0]), np.array([0.0, 0.01]))
        ]
        value = np.concatenate([model.slope_xy, model.astigmatism_ang.ravel()])
        precision = np.concatenate([np.full(2, _SLOPE_SD**-2.0), np.repeat(_ASTIGMATISM_SD_ANG**-2.0, 2)])
        normal, right = np.diag(precision), -precision * value
        for i, table in enumerate(self._cautious_tables):
            shape = offsets_ang[i].shape
            jacobian = np.stack(
                [np.broadcast_to(one[i][:, None], shape) for one in by_slope]
                + [np.broadcast_to(one, shape) for one in (geometry.cos2, geometry.sin2)]
                + [np.broadcast_to(geometry.time[i] * one, shape) for one in (geometry.cos2, geometry.sin2)],
                axis=-1,
            )[table.used].reshape(-1, 6)  # fmt: skip
            jacobian = jacobian - jacobian.mean(axis=0)  # the tilt's own defocus takes up the mean
            slopes = table.slopes(model.defocus_ang[i] + offsets_ang[i], float(phases[i]))[table.used].ravel()
            normal += table.information * jacobian.T @ jacobian
            right += slopes @ jacobian
        return normal, right


def _moved(model: CtfModel, step: Floats, params: CtfParams) -> CtfModel:
    steepest = np.tan(np.deg2rad(params.max_slope_deg))
    return model.replace(
        slope_xy=np.clip(model.slope_xy + step[:2], -steepest, steepest),
        astigmatism_ang=model.astigmatism_ang + step[2:].reshape(2, 2),
    )


def peak(x: Floats, y: Floats) -> tuple[float, float]:
    """Return place and height of the highest value, between samples by a parabola."""
    top = int(np.argmax(y))
    if not 0 < top < len(y) - 1:
        return float(x[top]), float(y[top])
    before, here, after = y[top - 1 : top + 2]
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float(x[top] + shift * (x[1] - x[0])), float(here - 0.25 * (before - after) * shift)
