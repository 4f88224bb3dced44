"""The grid images of particles are made on, and what the microscope did to each of its frequencies."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Optics
from napari_tomoflow.core.ops import ctf as ctf_ops
from napari_tomoflow.core.ops.aberrations import even_phase_rad, odd_phase_rad
from napari_tomoflow.core.ops.ctf import DoseModel
from napari_tomoflow.core.ops.fourier import half_frequencies

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Waves = NDArray[np.complex64]


@dataclass(frozen=True)
class Sampling:
    """The grid images of particles are made on, and how they are weighted.

    Attributes
    ----------
    box_px : int
        Edge of the box, even.
    pixel_ang : float
        What is asked for; each series comes as near as whole numbers of pixels allow.
    radius_ang : float
        Of the particle: outside is background; an image that does not hold all within is not used.
    dose_weighting : {"grant-grigorieff", "b-factor", "none"}
        How exposure fades the signal.
    tilt_weighting : bool
        Let the signal fall with the cosine of the tilt, as the ice gets longer.
    """

    box_px: int
    pixel_ang: float
    radius_ang: float
    dose_weighting: DoseModel = "grant-grigorieff"
    tilt_weighting: bool = True

    def __post_init__(self) -> None:
        """Check that the particle fits."""
        if self.box_px < 8 or self.box_px % 2:
            raise DataError(f"The box cannot be {self.box_px} px; give an even number of at least 8.")
        if not self.pixel_ang > 0:
            raise DataError(f"The pixel cannot be {self.pixel_ang:g} Å; give the size the average is to have.")
        if not 0 < self.radius_ang <= self.box_px * self.pixel_ang / 2:
            raise DataError(
                f"A particle of radius {self.radius_ang:g} Å does not fit into a box of {self.box_px} px of "
                f"{self.pixel_ang:g} Å; take a larger box or a smaller radius."
            )


class Response:
    """What becomes of the frequencies of square images.

    Parameters
    ----------
    size_px, pixel_ang
        Of the images.
    optics : Optics
    dose_weighting : {"grant-grigorieff", "b-factor", "none"}

    Attributes
    ----------
    odd_wave : complex64[m, m // 2 + 1] or None
        What aberrations that turn opposite frequencies oppositely multiply images by; None where there are none.
    """

    def __init__(self, size_px: int, pixel_ang: float, optics: Optics, dose_weighting: DoseModel) -> None:
        ky, kx = optics.true_frequencies(ctf_ops.rfft_frequencies((size_px, size_px), pixel_ang))
        k_inv_ang = np.hypot(ky, kx)
        twice = 2 * np.arctan2(ky, kx)
        aberration = even_phase_rad((ky, kx), optics)
        self._offset = (ctf_ops.gamma_rad(k_inv_ang, 0.0, optics) - aberration).astype(np.float32)
        self.odd_wave: Waves | None = None
        if optics.aberrations.is_odd:
            self.odd_wave = np.exp(1j * odd_phase_rad((ky, kx), optics)).astype(np.complex64)
        slope = ctf_ops.gamma_per_defocus(k_inv_ang, optics)
        self._slope = slope.astype(np.float32)
        self._along, self._across = (
            (slope * np.cos(twice)).astype(np.float32),
            (slope * np.sin(twice)).astype(np.float32),
        )
        with np.errstate(divide="ignore"):
            per_dose = np.log(ctf_ops.dose_envelope(k_inv_ang, 1.0, optics.voltage_kv, dose_weighting))
        self._quarter = (0.25 * k_inv_ang**2).astype(np.float32)
        self._per_dose = per_dose.astype(np.float32)

    def ctf(self, u_ang: ArrayLike, v_ang: ArrayLike, azimuth_deg: ArrayLike, phase_deg: ArrayLike) -> Reals:
        """Return sin γ for many defocus values at once: float32[..., m, m // 2 + 1] for numbers of shape [...].

        The defocus in the direction α is ``(u + v) / 2 + (u − v) / 2 · cos 2(α − azimuth)``, the cosine of the
        difference being taken apart, so that γ is a sum of four planes.
        """
        u, v, azimuth, phase = np.broadcast_arrays(
            *(np.asarray(one, np.float64) for one in (u_ang, v_ang, azimuth_deg, phase_deg))
        )
        half, twice = (u - v) / 2, 2 * np.deg2rad(azimuth)
        gamma = _planes((u + v) / 2) * self._slope
        if np.any(half):
            gamma += _planes(half * np.cos(twice)) * self._along + _planes(half * np.sin(twice)) * self._across
        gamma += self._offset + _planes(np.deg2rad(phase))
        return np.asarray(np.sin(gamma, out=gamma))

    def set_right(self, images_rft: Waves) -> None:
        """Take the odd aberrations out of transforms, in place."""
        if self.odd_wave is not None:
            images_rft *= self.odd_wave.conj()

    def fading(self, dose_e_ang2: ArrayLike, b_ang2: ArrayLike = 0.0) -> Reals:
        """Return the amplitude that exposures, and B factors beyond them, leave: float32[..., m, m // 2 + 1]."""
        faded = _planes(dose_e_ang2) * self._per_dose
        if np.any(b_ang2):
            faded = faded - _planes(b_ang2) * self._quarter
        return np.asarray(np.exp(faded))


def cropped_rft(boxes: Reals, size: int) -> Waves:
    """Transform boxes orthonormally, and keep the frequencies of a grid of `size` pixels over the same field.

    Of the highest frequency an even grid holds only the cosine: it is left out.
    """
    full = scipy.fft.rfft2(boxes, norm="ortho")
    rows = np.rint(scipy.fft.fftfreq(size) * size).astype(np.int64)
    cropped = np.asarray(full[..., rows, : size // 2 + 1], np.complex64)
    cropped[..., size // 2, :] = 0.0
    cropped[..., size // 2] = 0.0
    return cropped


def on_half_transform(radial: Floats, size: int) -> Reals:
    """Spread a radial curve, one value for each step of frequency, over a half transform: float32[n, n // 2 + 1]."""
    ky, kx = half_frequencies((size, size))
    return np.asarray(np.interp(np.hypot(ky, kx) * size, np.arange(len(radial)), radial), np.float32)


def even(size: float) -> int:
    """Round to an even number of pixels."""
    return 2 * round(size / 2)


def _planes(numbers: ArrayLike) -> Reals:
    """Give numbers two more axes, to be multiplied by planes."""
    return np.asarray(numbers, np.float32)[..., None, None]
