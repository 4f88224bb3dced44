"""How the lens of a microscope falls short of defocus, astigmatism and the nominal spherical aberration."""

import math
from dataclasses import dataclass, replace

from napari_tomoflow.core.errors import DataError


@dataclass(frozen=True)
class Aberrations:
    """What is left of the wave aberration, alike for all images of a microscope; see `core.ops.aberrations`.

    Attributes
    ----------
    beam_tilt_mrad : tuple of float
        Tilt of the beam along x and y.
    odd_zernike, even_zernike : tuple of float
        Phases of Zernike terms at a frequency of 1/Å, rad, in RELION's order; what is not there is 0.
    """

    beam_tilt_mrad: tuple[float, float] = (0.0, 0.0)
    odd_zernike: tuple[float, ...] = ()
    even_zernike: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check that all are numbers."""
        if not all(map(math.isfinite, (*self.beam_tilt_mrad, *self.odd_zernike, *self.even_zernike))):
            raise DataError(f"Aberrations cannot be {self}; give numbers.")

    @property
    def is_odd(self) -> bool:
        """Whether any of it turns opposite frequencies oppositely: images are then not where their phases say."""
        return any(self.beam_tilt_mrad) or any(self.odd_zernike)

    def without_odd(self) -> "Aberrations":
        """Return what is left once images are rid of the odd part."""
        return replace(self, beam_tilt_mrad=(0.0, 0.0), odd_zernike=())
