"""What the amplitudes of a map are multiplied by, shell by shell."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.resizing import low_pass
from napari_tomoflow.core.model import Curve
from napari_tomoflow.core.postprocessing.guinier import Guinier

Floats = NDArray[np.float64]

_BEYOND = 1.25
"""Frequencies this far beyond the resolution are sharpened no more than it: there is nothing in them."""

_LEAST_MTF = 0.05
"""Of what a detector transfers no less is divided by."""


@dataclass(frozen=True, eq=False)
class Sharpening:
    """How a map is sharpened. Legend: S shells, the first one being frequency 0.

    Attributes
    ----------
    method : {"fitted B factor", "given B factor", "structure factor", "none"}
    b_factor_ang2 : float
        That is undone; 0 where none is.
    gain : float64[S]
        Neither the share of the signal nor the end of the map is in it.
    warning : str
        Why a map is not sharpened that should have been; empty where there is nothing to say.
    """

    method: str
    b_factor_ang2: float
    gain: Floats
    warning: str = ""


def sharpening_for(
    measured: Guinier, b_factor_ang2: float | None, target: Curve | None, resolution_ang: float | None
) -> Sharpening:
    """Choose how to sharpen a map.

    Parameters
    ----------
    measured : Guinier
    b_factor_ang2 : float or None
        As given by a person; None takes what was fitted.
    target : Curve or None
        Structure factor; goes before a B factor.
    resolution_ang : float or None
    """
    last = _BEYOND / resolution_ang if resolution_ang else np.inf
    frequency = np.minimum(measured.frequency_inv_ang, last)
    plain = 1.0 / np.maximum(measured.mtf, _LEAST_MTF)
    if target is not None:
        return Sharpening("structure factor", 0.0, plain * _structure_factor_gain(measured, target))
    fitted = measured.b_factor_ang2
    if b_factor_ang2 is None and (fitted is None or fitted <= 0):
        why = "too few shells agree" if fitted is None else "its amplitudes rise with frequency"
        return Sharpening("none", 0.0, plain, f"The map is not sharpened, as {why}; give --b-factor-ang2.")
    method = "fitted B factor" if b_factor_ang2 is None else "given B factor" if b_factor_ang2 else "none"
    undone = float(fitted if b_factor_ang2 is None else b_factor_ang2)  # type: ignore[arg-type]
    return Sharpening(method, undone, plain * np.exp(undone * frequency**2 / 4.0))


def up_to(resolution_ang: float, voxel_ang: float, shells: int) -> Floats:
    """Return the gains of shells that let detail finer than a resolution fade; the last one is that of Nyquist."""
    gain = np.zeros(shells)
    passed = low_pass(2 * (shells - 1) * voxel_ang / resolution_ang)[:shells]
    gain[: len(passed)] = passed
    return gain


def _structure_factor_gain(measured: Guinier, target: Curve) -> Floats:
    """Return what gives each shell the intensity of a structure factor, 1 where the fit begins.

    Shells that nothing is known of get what the last known one gets.
    """
    known = np.flatnonzero(measured.weighted > 0)
    wanted = np.sqrt(target.at(measured.frequency_inv_ang[known]))
    gain = np.interp(np.arange(len(measured.weighted)), known, wanted / measured.weighted[known])
    at = int(np.argmin(np.abs(measured.frequency_inv_ang - 1.0 / measured.fitted_ang[0])))
    return np.asarray(gain / gain[at])
