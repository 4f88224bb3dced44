"""What the microscope is set to."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.aberrations import Aberrations

Floats = NDArray[np.float64]
Magnification = tuple[tuple[float, float], tuple[float, float]]

UNSTRETCHED: Magnification = ((1.0, 0.0), (0.0, 1.0))

MOST_STRETCH = 1.03
"""How much longer or shorter than they should be images may show things: slices have room for no more."""


@dataclass(frozen=True)
class Optics:
    """Constants of the microscope.

    Attributes
    ----------
    voltage_kv : float
        Acceleration voltage.
    cs_mm : float
        Spherical aberration.
    amplitude_contrast : float
        Fraction of amplitude contrast, 0 to 1.
    aberrations : Aberrations
        All that these and the defocus do not say.
    magnification : two rows of two numbers
        M, RELION's: a frequency (x, y) of an image is one at M · (x, y) of what is imaged. Images are that times Mᵀ.
    """

    voltage_kv: float = 300.0
    cs_mm: float = 2.7
    amplitude_contrast: float = 0.07
    aberrations: Aberrations = field(default_factory=Aberrations)
    magnification: Magnification = UNSTRETCHED

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 1.0 <= self.voltage_kv <= 3000.0:
            raise DataError(f"The voltage cannot be {self.voltage_kv:g} kV; give 1 to 3000 kV, e.g. 300.")
        if not 0.0 <= self.amplitude_contrast <= 1.0:
            raise DataError(
                f"The amplitude contrast cannot be {self.amplitude_contrast:g}; give a fraction, e.g. 0.07."
            )
        lengths = np.linalg.svd(self.magnification, compute_uv=False) if np.isfinite(self.magnification).all() else 0.0
        if not np.all(np.abs(np.log(np.maximum(lengths, 1e-9))) <= np.log(MOST_STRETCH) + 1e-9):
            raise DataError(
                f"The magnification cannot be {self.magnification}; give a matrix that changes lengths by "
                f"{MOST_STRETCH - 1:.0%} at most, and a pixel nearer to the true one."
            )

    @property
    def wavelength_ang(self) -> float:
        """Relativistic electron wavelength, Å."""
        volts = 1e3 * self.voltage_kv
        return float(12.2643247 / (volts * (1.0 + 0.978466e-6 * volts)) ** 0.5)

    @property
    def is_stretched(self) -> bool:
        """Whether images are not the same size along all directions, or not that of their pixel."""
        return self.magnification != UNSTRETCHED

    def unstretched(self) -> "Optics":
        """Return the same as images alone show it: with all their frequencies taken as they stand."""
        return replace(self, magnification=UNSTRETCHED)

    @property
    def stretch(self) -> Floats:
        """Return what is done to (x, y, z) before it is seen along z: float64[3, 3], Mᵀ with height left alone."""
        stretch = np.eye(3)
        stretch[:2, :2] = np.transpose(self.magnification)
        return stretch

    def true_frequencies(self, frequency_yx: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
        """Return which frequencies (y, x) of what is imaged lie at some frequencies of an image."""
        if not self.is_stretched:
            return frequency_yx
        y, x = frequency_yx
        (xx, xy), (yx, yy) = self.magnification
        return yx * x + yy * y, xx * x + xy * y
