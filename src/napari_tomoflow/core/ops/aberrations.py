"""Phases that aberrations add to the transfer of an image, in RELION's terms.

With k in 1/Å, and Z_i the Zernike polynomials of (kx, ky) as they stand, not scaled to any edge::

    odd(k)  = Σ odd_i Z_i(k) − 2π Cs λ² k² (k · beam tilt)      image = e^{i odd} · CTF · specimen
    even(k) = Σ even_i Z_i(k)                                   CTF = sin(γ − even)

Polynomials are told by (m, n): the radial one of degree n times cos mφ, or sin |m|φ where m < 0. Odd ones come in the
order of n = 1, 3, ..., even ones in that of n = 0, 2, ..., and of m from −n to n within.

References
----------
Zivanov et al., IUCrJ 7 (2020) 253, doi:10.1107/S2052252520000081.
"""

from math import factorial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.model.optics import Optics

Floats = NDArray[np.float64]
Parity = Literal["odd", "even"]

ORDERS: dict[Parity, int] = {"odd": 3, "even": 4}
"""Highest degree that is refined."""

_ANG_PER_MM = 1e7
_RAD_PER_MRAD = 1e-3


def terms_of(parity: Parity, order: int) -> tuple[tuple[int, int], ...]:
    """List (m, n) of all Zernike terms of a parity up to a degree."""
    degrees = range(parity == "odd", order + 1, 2)
    return tuple((m, n) for n in degrees for m in range(-n, n + 1, 2))


def zernike(m: int, n: int, x: ArrayLike, y: ArrayLike) -> Floats:
    """Return a Zernike polynomial at some places: float64[...]."""
    radius, azimuth = np.hypot(x, y), np.arctan2(y, x)
    around = np.cos(m * azimuth) if m >= 0 else np.sin(-m * azimuth)
    return np.asarray(_radial(abs(m), n, radius) * around, np.float64)


def _radial(m: int, n: int, radius: Floats) -> Floats:
    """Return the radial part: float64[...]."""
    total = np.zeros(np.shape(radius))
    for k in range((n - m) // 2 + 1):
        under = factorial(k) * factorial((n + m) // 2 - k) * factorial((n - m) // 2 - k)
        total += (-1) ** k * factorial(n - k) / under * radius ** (n - 2 * k)
    return total


def odd_phase_rad(k_inv_ang_yx: tuple[Floats, Floats], optics: Optics) -> Floats:
    """Return by how much the phases of an image are turned: float64[...] for frequencies (ky, kx) in 1/Å."""
    ky, kx = k_inv_ang_yx
    along_x, along_y = optics.aberrations.beam_tilt_mrad
    tilt = tilt_phase_rad(optics) * (kx**2 + ky**2) * (kx * along_x + ky * along_y)
    return np.asarray(_summed("odd", optics.aberrations.odd_zernike, k_inv_ang_yx) + tilt)


def even_phase_rad(k_inv_ang_yx: tuple[Floats, Floats], optics: Optics) -> Floats:
    """Return what is taken off γ: float64[...] for frequencies (ky, kx) in 1/Å."""
    return _summed("even", optics.aberrations.even_zernike, k_inv_ang_yx)


def tilt_phase_rad(optics: Optics) -> float:
    """Return the phase that a beam tilt of 1 mrad adds at 1/Å along itself."""
    return -2 * np.pi * optics.cs_mm * _ANG_PER_MM * optics.wavelength_ang**2 * _RAD_PER_MRAD


def _summed(parity: Parity, coefficients: tuple[float, ...], k_inv_ang_yx: tuple[Floats, Floats]) -> Floats:
    ky, kx = k_inv_ang_yx
    total = np.zeros(np.broadcast_shapes(np.shape(ky), np.shape(kx)))
    order = 0
    while len(terms_of(parity, order)) < len(coefficients):
        order += 1
    for value, (m, n) in zip(coefficients, terms_of(parity, order), strict=False):
        if value:
            total += value * zernike(m, n, kx, ky)
    return total
