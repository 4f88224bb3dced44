"""The contrast transfer function, and how exposure fades each frequency.

With k in 1/Å, underfocus positive, and α the direction of the frequency counter-clockwise from +x::

    defocus(α) = (u + v) / 2 + (u − v) / 2 · cos 2(α − azimuth)
    γ(k)       = π λ defocus k² − (π / 2) Cs λ³ k⁴ + phase + asin(Q) − even aberrations
    CTF(k)     = sin γ(k)

at the frequencies of what is imaged, which lie elsewhere in images that the microscope stretches (`Optics`). So
the CTF is positive next to k = 0 and an image is ``mean · (1 − 2 · CTF * phase)``: matter is
dark. Q is the fraction of amplitude contrast; asin(Q) equals atan(Q / √(1 − Q²)).
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.model.optics import Optics
from napari_tomoflow.core.ops.aberrations import even_phase_rad

Floats = NDArray[np.float64]

DoseModel = Literal["grant-grigorieff", "b-factor", "none"]
"""How exposure fades a frequency; see `dose_envelope`."""

_ANG_PER_MM = 1e7
_ELECTRON_REST_KV = 510.998950


def rfft_frequencies(shape_yx: tuple[int, int], pixel_ang: float) -> tuple[Floats, Floats]:
    """Return (ky[ny, 1], kx[1, nx // 2 + 1]) of a half transform, in 1/Å."""
    ny, nx = shape_yx
    ky: Floats = np.asarray(np.fft.fftfreq(ny, pixel_ang), np.float64)
    kx: Floats = np.asarray(np.fft.rfftfreq(nx, pixel_ang), np.float64)
    return ky[:, None], kx[None, :]


def interaction_rad_per_volt_ang(optics: Optics) -> float:
    """Return the phase an electron gains per volt of potential and Å of path, rad/(V·Å)."""
    kv = optics.voltage_kv
    relativity = (_ELECTRON_REST_KV + kv) / (2 * _ELECTRON_REST_KV + kv)
    return float(2 * np.pi / (optics.wavelength_ang * 1e3 * kv) * relativity)


def gamma_rad(k_inv_ang: ArrayLike, defocus_ang: ArrayLike, optics: Optics, phase_deg: ArrayLike = 0.0) -> Floats:
    """Return γ(k) of a CTF without astigmatism, or of one whose defocus is given for each frequency; nothing aberrant.

    Parameters
    ----------
    k_inv_ang, defocus_ang, phase_deg
        Broadcast against each other.

    Returns
    -------
    float64, radians
    """
    k2 = np.square(np.asarray(k_inv_ang, np.float64))
    wavelength = optics.wavelength_ang
    spherical = 0.5 * np.pi * optics.cs_mm * _ANG_PER_MM * wavelength**3 * k2**2
    offset = np.deg2rad(phase_deg) + np.arcsin(optics.amplitude_contrast)
    gamma: Floats = np.pi * wavelength * np.asarray(defocus_ang, np.float64) * k2 - spherical + offset
    return gamma


def ctf_1d(k_inv_ang: ArrayLike, defocus_ang: ArrayLike, optics: Optics, phase_deg: ArrayLike = 0.0) -> Floats:
    """Return sin γ(k); see `gamma_rad` for the parameters."""
    return np.sin(gamma_rad(k_inv_ang, defocus_ang, optics, phase_deg))


def gamma_2d_rad(
    k_inv_ang_yx: tuple[Floats, Floats],
    defocus_u_ang: float,
    defocus_v_ang: float,
    azimuth_deg: float,
    optics: Optics,
    phase_deg: float = 0.0,
) -> Floats:
    """Return γ over a plane of frequencies.

    Parameters
    ----------
    k_inv_ang_yx : (ky, kx)
        Frequencies of the image in 1/Å that broadcast against each other, e.g. from `rfft_frequencies`.
    defocus_u_ang, defocus_v_ang
        Defocus along the azimuth and across it.
    azimuth_deg
        Direction of u, counter-clockwise from +x.
    optics
    phase_deg
        Phase shift of a phase plate.

    Returns
    -------
    float64[ny, nx], radians
    """
    ky, kx = optics.true_frequencies(k_inv_ang_yx)
    mean, half = (defocus_u_ang + defocus_v_ang) / 2, (defocus_u_ang - defocus_v_ang) / 2
    defocus_ang = mean + half * np.cos(2 * (np.arctan2(ky, kx) - np.deg2rad(azimuth_deg)))
    gamma = gamma_rad(np.hypot(ky, kx), defocus_ang, optics, phase_deg)
    return gamma - even_phase_rad((ky, kx), optics) if optics.aberrations.even_zernike else gamma


def ctf_2d(
    k_inv_ang_yx: tuple[Floats, Floats],
    defocus_u_ang: float,
    defocus_v_ang: float,
    azimuth_deg: float,
    optics: Optics,
    phase_deg: float = 0.0,
) -> Floats:
    """Return sin γ over a plane of frequencies; see `gamma_2d_rad` for the parameters."""
    return np.sin(gamma_2d_rad(k_inv_ang_yx, defocus_u_ang, defocus_v_ang, azimuth_deg, optics, phase_deg))


def gamma_per_defocus(k_inv_ang: ArrayLike, optics: Optics) -> Floats:
    """Return dγ/d(defocus) = π λ k², rad/Å: what a height above the centre plane adds, per Å."""
    slope: Floats = np.pi * optics.wavelength_ang * np.square(np.asarray(k_inv_ang, np.float64))
    return slope


def critical_exposure_e_ang2(k_inv_ang: ArrayLike, voltage_kv: float) -> Floats:
    """Return Ne(k), the exposure after which the signal at k has fallen by √e in amplitude, e/Å².

    Infinite at k = 0.

    References
    ----------
    Grant and Grigorieff 2015, doi:10.7554/eLife.06980, equation 3; the factor for other voltages as in
    its text (0.8 at 200 kV), 0.45 at 120 kV, in between by interpolation.
    """
    k = np.asarray(k_inv_ang, np.float64)
    scale = np.interp(voltage_kv, [120.0, 200.0, 300.0], [0.45, 0.8, 1.0])
    with np.errstate(divide="ignore"):
        exposure: Floats = scale * (0.245 * k**-1.665 + 2.81)
    return exposure


def dose_envelope(k_inv_ang: ArrayLike, dose_e_ang2: float, voltage_kv: float, model: DoseModel) -> Floats:
    """Return the amplitude left at k after an exposure.

    Parameters
    ----------
    k_inv_ang
        Frequencies, 1/Å.
    dose_e_ang2
        Exposure taken, e/Å².
    voltage_kv
    model
        ``grant-grigorieff``: exp(−N / 2 Ne(k)); ``b-factor``: exp(−B k² / 4) with B = 4 N Å², as Warp
        and M do by default; ``none``: 1.
    """
    k = np.asarray(k_inv_ang, np.float64)
    if model == "grant-grigorieff":
        return np.exp(-0.5 * dose_e_ang2 / critical_exposure_e_ang2(k, voltage_kv))
    if model == "b-factor":
        return np.exp(-dose_e_ang2 * k**2)
    return np.ones_like(k)
