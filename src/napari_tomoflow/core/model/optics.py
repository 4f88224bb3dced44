"""What the microscope is set to."""

from dataclasses import dataclass, field

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.aberrations import Aberrations


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
    """

    voltage_kv: float = 300.0
    cs_mm: float = 2.7
    amplitude_contrast: float = 0.07
    aberrations: Aberrations = field(default_factory=Aberrations)

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 1.0 <= self.voltage_kv <= 3000.0:
            raise DataError(f"The voltage cannot be {self.voltage_kv:g} kV; give 1 to 3000 kV, e.g. 300.")
        if not 0.0 <= self.amplitude_contrast <= 1.0:
            raise DataError(
                f"The amplitude contrast cannot be {self.amplitude_contrast:g}; give a fraction, e.g. 0.07."
            )

    @property
    def wavelength_ang(self) -> float:
        """Relativistic electron wavelength, Å."""
        volts = 1e3 * self.voltage_kv
        return float(12.2643247 / (volts * (1.0 + 0.978466e-6 * volts)) ** 0.5)
