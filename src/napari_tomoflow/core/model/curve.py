"""Noun: a curve over frequency."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.noun import Noun, finite, floats, per_item


@dataclass(frozen=True, eq=False, kw_only=True)
class Curve(Noun):
    """How something depends on frequency: the MTF of a detector, the structure factor of a molecule.

    Attributes
    ----------
    name : str
    frequency : float64[K]
        Rising; cycles per pixel of the detector for an MTF, 1/Å for a structure factor.
    value : float64[K]
        Amplitude of an MTF, intensity of a structure factor; positive.
    """

    name: str
    frequency: NDArray[np.float64]
    value: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Check that it is a curve of positive values."""
        for column in ("frequency", "value"):
            object.__setattr__(self, column, floats(getattr(self, column)))
        per_item(self.name, len(self.frequency), value=self.value)
        finite(self.name, frequency=self.frequency, value=self.value)
        if len(self.frequency) < 2 or np.any(np.diff(self.frequency) <= 0) or np.any(self.value <= 0):
            raise DataError(f"{self.name} is no curve; give at least two rising frequencies with positive values.")

    def at(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values at other frequencies, by straight lines; beyond its ends it goes on as it ends."""
        return np.asarray(np.interp(frequency, self.frequency, self.value), np.float64)
