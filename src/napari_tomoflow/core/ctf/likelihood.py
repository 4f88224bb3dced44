"""How well a CTF explains the spectra of one tilt, as a function of the defocus of each tile.

With e the excess of a spectrum over its background, less what the heights of the rings alone explain, the
model is e = −a cos 2γ + noise, whose variance is 1 over the number of samples w. Up to a constant the
log-likelihood of a cell is then, for m = −a cos 2γ less its smooth part::

    Σ_k w (e m − m² / 2)

2γ is linear in the defocus and in the phase shift, so both terms are sums of exp(2iγ), tabulated once for a
row of defocus values; every later evaluation is a look-up.

Legend: T tiles, A sectors, K rings, D entries of the table.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ctf.spectra import SmoothPart, Spectra
from napari_tomoflow.core.ctf.tiles import TilePlan
from napari_tomoflow.core.kernels.shifted import sum_shifted
from napari_tomoflow.core.model import Optics
from napari_tomoflow.core.ops.ctf import gamma_per_defocus, gamma_rad

Floats = NDArray[np.float64]
Waves = NDArray[np.complex64]

_PHASE_STEP_RAD = 0.3
"""Between entries of the table at the finest ring: linear interpolation then errs by 1 % there."""


@dataclass(frozen=True, eq=False)
class Profile:
    """Log-likelihood of one tilt as a function of its defocus, for any phase shift.

    Attributes
    ----------
    defocus_ang : float64[D]
    rings : complex128[D]
        Σ w e m of the tilt's cells as the factor of exp(2i phase).
    power : float64[D]
    beat : complex128[D]
        Σ w m², as (power + Re(exp(4i phase) beat)) / 2.
    """

    defocus_ang: Floats
    rings: NDArray[np.complex128]
    power: Floats
    beat: NDArray[np.complex128]

    def log_likelihood(self, phase_rad: float) -> Floats:
        """Evaluate it for a phase shift: float64[D]."""
        turn = np.exp(2j * phase_rad)
        value: Floats = (turn * self.rings).real - 0.25 * (self.power + (turn**2 * self.beat).real)
        return value


@dataclass(frozen=True, eq=False)
class RingTable:
    """The tabulated sums of one tilt.

    Attributes
    ----------
    lowest_ang, step_ang : float
        Defocus of the first entry, and from one to the next.
    rings : complex64[T · A, D]
    power : float32[D]
    beat : complex64[D]
    used : bool[T]
    information : float
        Fisher information about the defocus of one cell, 1/Å².
    n_sectors : int
    """

    lowest_ang: float
    step_ang: float
    rings: Waves
    power: NDArray[np.float32]
    beat: Waves
    used: NDArray[np.bool_]
    information: float
    n_sectors: int

    @classmethod
    def of(
        cls,
        spectra: Spectra,
        plan: TilePlan,
        smooth: SmoothPart,
        heights: Floats,
        optics: Optics,
        range_ang: tuple[float, float],
        caution: float = 0.0,
    ) -> Self:
        """Tabulate a range of defocus.

        Parameters
        ----------
        spectra, plan, smooth, optics
        heights : float64[K]
            Of the rings, relative to the background.
        range_ang
            First and last defocus.
        caution : float
            Trusts a sample less by ``1 + caution · height²``: where rings stand high the noise is the
            specimen's own speckle, and views of one specimen share it.
        """
        step_ang = table_step_ang(plan, optics)
        defocus_ang = np.arange(range_ang[0], range_ang[1] + 2 * step_ang, step_ang)
        wave = np.exp(2j * gamma_rad(plan.k_inv_ang[:, None], defocus_ang, optics))
        wave = (wave * plan.ring_contrast(defocus_ang, optics)).astype(np.complex64)
        counts = plan.counts / (1.0 + caution * heights**2)
        excess = np.where(spectra.used[:, None, None], spectra.excess - smooth.without(heights), 0.0)
        weighted = (excess * (counts * heights)).astype(np.float32).reshape(-1, len(heights))
        template = np.asarray(smooth.without(wave.T * heights.astype(np.float32)))
        slope = 2 * gamma_per_defocus(plan.k_inv_ang, optics)
        return cls(
            lowest_ang=float(defocus_ang[0]),
            step_ang=step_ang,
            rings=-(weighted @ wave.real + 1j * (weighted @ wave.imag)).astype(np.complex64),
            power=(np.abs(template) ** 2 @ counts).astype(np.float32),
            beat=(template**2 @ counts).astype(np.complex64),
            used=spectra.used,
            information=float(0.5 * np.sum(counts * heights**2 * slope**2)),
            n_sectors=len(plan.cos2),
        )

    @property
    def information_of_tilt(self) -> float:
        """Fisher information about the tilt's defocus, 1/Å²."""
        return self.information * self.n_sectors * int(self.used.sum())

    def profile(self, offsets_ang: Floats, range_ang: tuple[float, float]) -> Profile:
        """Sum over all cells, each at its own offset [T, A] from the tilt's defocus."""
        defocus_ang = np.arange(range_ang[0], range_ang[1] + self.step_ang, self.step_ang)
        start = (defocus_ang[0] + offsets_ang[self.used] - self.lowest_ang) / self.step_ang  # (T', A)
        rings = np.zeros(len(defocus_ang), np.complex64)
        rows = self.rings.reshape(len(self.used), self.n_sectors, -1)[self.used]
        sum_shifted(rings, rows.reshape(start.size, -1), start.ravel())
        place = np.arange(len(defocus_ang)) + start.mean(axis=1)[:, None]
        entries = np.arange(len(self.power))
        power = np.interp(place, entries, self.power).sum(axis=0)
        beat = np.interp(place, entries, self.beat).sum(axis=0)
        return Profile(defocus_ang, rings.astype(np.complex128), self.n_sectors * power, self.n_sectors * beat)

    def slopes(self, defocus_ang: Floats, phase_rad: float) -> Floats:
        """Return the derivative of the log-likelihood by the defocus of each cell, float64[T, A], at defocus [T, A]."""
        place = np.clip((defocus_ang - self.lowest_ang) / self.step_ang, 0, len(self.power) - 2)
        low = np.clip(np.rint(place).astype(np.int64), 1, len(self.power) - 2)
        rings = self.rings.reshape(*defocus_ang.shape, -1)
        turn = np.exp(2j * phase_rad)

        def value(entry: NDArray[np.int64]) -> Floats:
            found = np.take_along_axis(rings, entry[..., None], axis=-1)[..., 0]
            return np.asarray(
                (turn * found).real - 0.25 * (self.power[entry] + (turn**2 * self.beat[entry]).real), np.float64
            )

        before, here, after = value(low - 1), value(low), value(low + 1)
        slope = (after - before) / 2 + (place - low) * (after - 2 * here + before)
        return np.where(self.used[:, None], slope / self.step_ang, 0.0)


def table_step_ang(plan: TilePlan, optics: Optics) -> float:
    """Return the distance of entries that is close enough for the finest ring."""
    return _PHASE_STEP_RAD / float(2 * gamma_per_defocus(plan.k_inv_ang[-1], optics))
