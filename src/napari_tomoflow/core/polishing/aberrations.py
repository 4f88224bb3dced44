"""Aberrations of a microscope, told by the particles of all series taken with it.

Odd and even Zernike terms are fitted to sums over all images (`phase_sums`), together with the amplitude that each
ring of the map has in the images of each series. Each block, and how many terms it has, is judged by particles left
out of the fit: first the beam tilt, or all odd terms; then what is round (spherical aberration, with the defocus and
the phase that make up for it), or all even terms.

References
----------
Zivanov et al., IUCrJ 7 (2020) 253, doi:10.1107/S2052252520000081. The sums and the terms.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from napari_tomoflow.core.averaging.series_images import DatasetImages
from napari_tomoflow.core.model import Aberrations, Optics
from napari_tomoflow.core.ops.aberrations import ORDERS, Parity, terms_of, tilt_phase_rad, zernike
from napari_tomoflow.core.polishing.defocus import LEAST_GAIN, SURE
from napari_tomoflow.core.polishing.defocus_sums import Band, Comparison
from napari_tomoflow.core.polishing.microscopes import by_microscope
from napari_tomoflow.core.polishing.phase_sums import PhaseSums, SumPhases
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import MapBatches, in_order

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Marks = NDArray[np.bool_]

_RINGS = 32
_TURNS = 3
"""Times phases and amplitudes are fitted in turn."""

_COARSE = 0.6
"""Share of the frequencies that is fitted first: there no phase is more than a turn off."""

_EXPECTED_RAD = 2.0
"""How large a term may well be at the edge of what is compared: fits that see little shall not run away."""

_ODD, _EVEN = (terms_of(parity, ORDERS[parity]) for parity in ("odd", "even"))

CHOICES: dict[Parity, dict[str, Callable[[int, int], bool]]] = {
    "odd": {"beam tilt": lambda m, n: abs(m) == 1, "all": lambda m, n: True},
    "even": {"round": lambda m, n: m == 0, "all": lambda m, n: True},
}
"""Which terms (m, n) each block may have, from few to many."""

_ORDER: tuple[Parity, ...] = ("odd", "even", "odd")
"""Small phases of one kind may not show before large ones of the other are known."""


@dataclass(frozen=True, eq=False)
class FoundPhases:
    """Phases that all images have in common, and the amplitude of the map in them.

    Attributes
    ----------
    values : float64[odd + even terms]
        Coefficients of the terms at the edge of what was compared, rad.
    amplitude : float64[rings]
    """

    values: Floats
    amplitude: Floats


def fit_aberrations(folds: Sequence[PhaseSums], optics: Optics) -> tuple[Optics, dict[str, Any]]:
    """Find the aberrations of a microscope, as far as particles left out agree.

    Parameters
    ----------
    folds : sequence of PhaseSums
        Of different particles, at the same frequencies.
    optics : Optics
        As it is known; what the images were compared with.

    Returns
    -------
    optics : Optics
        With aberrations where they were believed.
    record : dict
        Of each block, in plain numbers.
    """
    if len(folds) < 2:
        return optics, {parity: {"accepted": False} for parity in CHOICES}
    plane = _Plane(folds[0])
    jury = _Jury(plane, folds, [_pooled([other for other in folds if other is not one]) for one in folds])
    used = np.zeros(plane.count, np.bool_)
    record: dict[str, Any] = {}
    for parity in _ORDER:
        if not record.get(parity, {}).get("accepted"):
            used, record[parity] = jury.verdict(parity, used)
    values = plane.fitted(_pooled(folds), used).values if used.any() else np.zeros(plane.count)
    found = replace(optics, aberrations=_added(optics, *plane.unscaled(values)))
    return found, record | _told(found.aberrations, plane, values)


def _told(known: Aberrations, plane: "_Plane", values: Floats) -> dict[str, Any]:
    """Say in plain numbers what is known now, and how large what was found is."""
    odd, even = plane.phases(values)
    return {
        "beam_tilt_mrad": [round(one, 4) for one in known.beam_tilt_mrad],
        "odd_zernike": list(known.odd_zernike),
        "even_zernike": list(known.even_zernike),
        "odd_rms_rad": round(float(np.sqrt(np.mean(odd**2))), 4),
        "even_rms_rad": round(float(np.sqrt(np.mean(even**2))), 4),
    }


@dataclass(frozen=True, eq=False)
class _Jury:
    """Folds of particles, each with all the others."""

    plane: "_Plane"
    folds: Sequence[PhaseSums]
    rest: Sequence[PhaseSums]

    def verdict(self, parity: Parity, used: Marks) -> tuple[Marks, dict[str, Any]]:
        """Try the terms of a block besides those that are used; return which are used now, and why."""
        known = self._likelihoods(used)
        masks = {name: used | self.plane.mask(parity, wanted) for name, wanted in CHOICES[parity].items()}
        tried = {name: self._likelihoods(mask) for name, mask in masks.items()}
        best = max(float(one.sum()) for one in tried.values())
        # Of choices that do about as well the one with fewest terms.
        name = next(one for one, scores in tried.items() if scores.sum() >= best - LEAST_GAIN)
        gain = tried[name] - known
        error = float(gain.std() * np.sqrt(len(gain)))
        accepted = float(gain.sum()) > max(LEAST_GAIN, SURE * error)
        return masks[name] if accepted else used, {
            "accepted": accepted,
            "terms": name,
            "gain_left_out": round(float(gain.sum()), 2),
            "gain_error": round(error, 2),
        }

    def _likelihoods(self, used: Marks) -> Floats:
        """Return the log likelihood of each fold by what the others say."""
        scores = []
        for one, others in zip(self.folds, self.rest, strict=True):
            found = self.plane.fitted(others, used)
            agreement, power = one.measured(*self.plane.phases(found.values))
            amplitude = found.amplitude[self.plane.ring]
            scores.append(float(np.sum(2 * amplitude * agreement - amplitude**2 * power)))
        return np.array(scores)


def _pooled(folds: Sequence[PhaseSums]) -> PhaseSums:
    return replace(folds[0], sums=np.sum([one.sums for one in folds], axis=0))


def _added(optics: Optics, odd: Floats, even: Floats) -> Aberrations:
    """Add terms to what is known; of the odd ones, what a beam tilt does becomes one."""
    known = optics.aberrations
    beam_tilt_mrad = list(known.beam_tilt_mrad)
    odd = _sum(known.odd_zernike, odd)
    for axis, m in enumerate((1, -1)):
        coma, shift = _ODD.index((m, 3)), _ODD.index((m, 1))
        # The polynomial is 3 k³ − 2 k: all of k³ is the tilt's, the rest a shift.
        beam_tilt_mrad[axis] += float(3 * odd[coma] / tilt_phase_rad(optics))
        odd[shift] -= 2 * odd[coma]
        odd[coma] = 0.0
    # What is known is taken off γ, what was found is added to it.
    total = _sum(known.even_zernike, -even)
    return Aberrations(
        (beam_tilt_mrad[0], beam_tilt_mrad[1]),
        tuple(odd.tolist()) if odd.any() else (),
        tuple(total.tolist()) if total.any() else (),
    )


def _sum(known: tuple[float, ...], added: Floats) -> Floats:
    """Add coefficients of which either may have fewer."""
    total = np.zeros(max(len(known), len(added)))
    total[: len(known)] += known
    total[: len(added)] += added
    return total


def refine_optics(
    source: DatasetImages,
    halves: tuple[Reals, Reals],
    band: Band,
    n_folds: int = 4,
    report: Report = silent,
    map_batches: MapBatches = in_order,
) -> tuple[dict[str, Optics], list[dict[str, Any]]]:
    """Refine the aberrations of every microscope.

    Parameters
    ----------
    source : DatasetImages
        Particles of both halves, on the grid of the maps.
    halves : pair of float32[n, n, n]
        Average of either half, filtered by how far the halves agree and masked.
    band : Band
    n_folds : int
        Parts of the particles, each of which is left out once.
    report, map_batches
        See `core.report` and `core.stage`.

    Returns
    -------
    optics : dict
        Series → its microscope, of those that have a CTF.
    record : list of dict
        What was found of each microscope, in plain numbers.
    """
    optics: dict[str, Optics] = {}
    record = []

    def work(name: str) -> SumPhases:
        return SumPhases(Comparison.of(source, name, halves, band))

    for series, folds in by_microscope(source, PhaseSums, work, n_folds, report, map_batches):
        found, told = fit_aberrations(folds, source.dataset.ctfs[series[0]].optics)
        optics |= dict.fromkeys(series, found)
        record.append({"series": series, **told})
    return optics, record


class _Plane:
    """The terms at the frequencies of some sums, scaled to the highest of them."""

    def __init__(self, sums: PhaseSums) -> None:
        k_inv_ang = sums.k_inv_ang
        self._reach_inv_ang = float(k_inv_ang.max())
        ky, kx = sums.frequency_inv_ang_yx / self._reach_inv_ang
        self._odd = np.stack([zernike(m, n, kx, ky) for m, n in _ODD])
        self._even = np.stack([zernike(m, n, kx, ky) for m, n in _EVEN])
        self.count = len(_ODD) + len(_EVEN)
        share = k_inv_ang / self._reach_inv_ang
        self.ring = sums.series * _RINGS + np.minimum((share * _RINGS).astype(np.int64), _RINGS - 1)
        self._rings = int(self.ring.max()) + 1
        self._coarse = (share < _COARSE).astype(np.float64)

    def mask(self, parity: Parity, wanted: Callable[[int, int], bool]) -> Marks:
        """Mark the terms of a parity that are wanted: bool[odd + even terms]."""
        odd = [parity == "odd" and wanted(m, n) for m, n in _ODD]
        return np.array(odd + [parity == "even" and wanted(m, n) for m, n in _EVEN])

    def phases(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the odd and the even phase at every frequency: float64[K] each."""
        return values[: len(_ODD)] @ self._odd, values[len(_ODD) :] @ self._even

    def unscaled(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the coefficients, odd and even, of the same phases as functions of k in 1/Å."""
        return (
            _rescaled(_ODD, values[: len(_ODD)], self._reach_inv_ang),
            _rescaled(_EVEN, values[len(_ODD) :], self._reach_inv_ang),
        )

    def fitted(self, sums: PhaseSums, used: Marks) -> FoundPhases:
        """Fit the terms that are used, and the amplitude of each ring."""
        values = np.zeros(self.count)
        amplitude = self._amplitude(sums, values)
        if not used.any():
            return FoundPhases(values, amplitude)
        for turn in range(_TURNS):
            counted = self._coarse if turn == 0 else np.ones(len(self.ring))
            values = self._climbed(sums, values, used, amplitude[self.ring], counted)
            amplitude = self._amplitude(sums, values)
        return FoundPhases(values, amplitude)

    def _amplitude(self, sums: PhaseSums, values: Floats) -> Floats:
        """Return the likeliest amplitude of each ring of each series: float64[rings]."""
        agreement, power = (np.bincount(self.ring, one, self._rings) for one in sums.measured(*self.phases(values)))
        return np.divide(np.maximum(agreement, 0.0), power, out=np.zeros(self._rings), where=power > 0)

    def _climbed(self, sums: PhaseSums, start: Floats, used: Marks, amplitude: Floats, counted: Floats) -> Floats:
        """Climb to the likeliest values of the terms that are used."""
        basis = np.concatenate([self._odd, self._even])
        weight = counted * amplitude**2 * sums.sums[4]
        scale = 1.0 / np.sqrt(1.0 / _EXPECTED_RAD**2 + basis**2 @ weight)[used]
        values = start.copy()

        def loss(packed: Floats) -> tuple[float, Floats]:
            values[used] = packed * scale
            odd, even = self.phases(values)
            agreement, power = sums.measured(odd, even)
            by_odd, by_even = sums.slopes(odd, even, amplitude)
            slopes = np.concatenate([self._odd @ (counted * by_odd), self._even @ (counted * by_even)])
            gain = np.sum(counted * (2 * amplitude * agreement - amplitude**2 * power))
            prior = 0.5 * np.sum((values / _EXPECTED_RAD) ** 2)
            return float(prior - gain), (values / _EXPECTED_RAD**2 - slopes)[used] * scale

        found = minimize(loss, start[used] / scale, jac=True, method="L-BFGS-B")
        values[used] = found.x * scale
        return values


def _rescaled(terms: Sequence[tuple[int, int]], values: Floats, reach: float) -> Floats:
    """Return coefficients c' with Σ c'_i Z_i(k) = Σ c_i Z_i(k / reach): polynomials of the same degrees."""
    across = np.linspace(-1.0, 1.0, 15)
    y, x = (axis.ravel() for axis in np.meshgrid(across, across, indexing="ij"))
    basis = np.stack([zernike(m, n, x, y) for m, n in terms], axis=1)
    wanted = np.stack([zernike(m, n, x / reach, y / reach) for m, n in terms], axis=1) @ values
    return np.asarray(np.linalg.lstsq(basis, wanted, rcond=None)[0])
