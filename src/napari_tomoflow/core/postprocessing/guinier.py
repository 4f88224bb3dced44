"""How the amplitudes of a map fall with frequency, which tells what blurs it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.fsc_curve import FscCurve
from napari_tomoflow.core.ops.fsc import shell_sums

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

_FEWEST_SHELLS = 4
"""That a slope is fitted to."""


@dataclass(frozen=True, eq=False)
class Guinier:
    """Amplitudes over frequency. Legend: S shells, the first one being frequency 0.

    Attributes
    ----------
    frequency_inv_ang : float64[S]
    amplitude : float64[S]
        Root mean square of the masked map's transform.
    mtf : float64[S]
        Of the detector; 1 where it is not known.
    weighted : float64[S]
        Amplitude with the MTF undone and the share of the noise taken off, as far as the halves tell.
    b_factor_ang2 : float or None
        By which the map is more blurred than if its amplitudes did not fall; None where there is too little to fit.
    intercept : float
        Logarithm of the fitted amplitude at frequency 0.
    fitted_ang : tuple of float
        Resolutions the line is fitted between.
    """

    frequency_inv_ang: Floats
    amplitude: Floats
    mtf: Floats
    weighted: Floats
    b_factor_ang2: float | None
    intercept: float
    fitted_ang: tuple[float, float]

    def record(self) -> dict[str, Any]:
        """Say it in plain numbers."""
        shown = {"amplitude": self.amplitude, "mtf_corrected": self.amplitude / self.mtf, "weighted": self.weighted}
        return {
            "inv_ang2": np.round(self.frequency_inv_ang**2, 8).tolist(),
            "ln": {name: _logarithm(values) for name, values in shown.items()},
            "b_factor_ang2": self.b_factor_ang2,
            "intercept": round(self.intercept, 4),
            "fitted_ang": list(self.fitted_ang),
        }


def guinier(
    masked: Reals, curve: FscCurve, resolution_ang: float | None, from_ang: float, mtf: Floats | None = None
) -> Guinier:
    """Fit the fall of amplitudes with a B factor: ``ln F = c − B k² / 4``.

    Parameters
    ----------
    masked : float32[n, n, n]
        Mean of the halves under their mask.
    curve : FscCurve
        Of the halves under that mask.
    resolution_ang : float or None
        Where the fit ends.
    from_ang : float
        Where it begins: coarser amplitudes tell the shape of the particle.
    mtf : float64[S], optional
        Of the detector, at each shell.

    References
    ----------
    Rosenthal and Henderson 2003, doi:10.1016/j.jmb.2003.07.013.
    """
    sums = shell_sums(masked, masked)
    amplitude = np.sqrt(sums.aa / np.maximum(sums.count, 1.0))
    transfer = np.ones_like(amplitude) if mtf is None else mtf
    weighted = amplitude / transfer * signal_share(curve.corrected)
    k, end_ang = curve.frequency_inv_ang, resolution_ang or from_ang
    within = (k >= 1.0 / from_ang) & (k <= 1.0 / end_ang) & (weighted > 0)
    b_factor_ang2, intercept = None, 0.0
    if within.sum() >= _FEWEST_SHELLS:
        slope, intercept = (float(one) for one in np.polyfit(k[within] ** 2, np.log(weighted[within]), 1))
        b_factor_ang2 = -4.0 * slope
    return Guinier(k, amplitude, transfer, weighted, b_factor_ang2, intercept, (from_ang, end_ang))


def signal_share(fsc: Floats) -> Floats:
    """Return the amplitude of the signal over that of the mean of both halves, which is the best weight of each shell.

    The correlation of the mean with the truth, from that of the halves.
    """
    agreed = np.clip(fsc, 0.0, 1.0)
    return np.asarray(np.sqrt(2.0 * agreed / (1.0 + agreed)))


def _logarithm(values: Floats) -> list[float]:
    """Take logarithms; where there is nothing to take it of, that of a millionth of the largest."""
    least = 1e-6 * max(float(values.max()), 1e-30)
    return [round(float(one), 5) for one in np.log(np.maximum(values, least))]
