"""Noun: the contrast transfer function of every tilt."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.noun import Noun, finite, floats, per_item
from napari_tomoflow.core.model.optics import UNSTRETCHED, Magnification, Optics

_KNOWN = ("defocus_u_ang", "defocus_v_ang", "azimuth_deg", "phase_deg", "scale", "b_ang2")


@dataclass(frozen=True, eq=False, kw_only=True)
class CtfSeries(Noun):
    """CTF of each tilt at the specimen's centre, along the directions of the specimen (`Optics.magnification`).

    Legend: N tilts. Underfocus is positive.

    Attributes
    ----------
    optics : Optics
    defocus_u_ang, defocus_v_ang : float64[N]
        Largest and smallest defocus.
    azimuth_deg : float64[N]
        Direction of `defocus_u_ang`, counter-clockwise from +x.
    phase_deg : float64[N]
        Phase shift of a phase plate.
    fit_ang : float64[N]
        Finest resolution to which the fit holds; NaN when unknown.
    score : float64[N]
        Agreement of spectrum and fit, 0 to 1; NaN when unknown.
    scale : float64[N]
        Amplitude of particles over what exposure and tilt leave of them.
    b_ang2 : float64[N]
        B factor beyond that of the exposure: amplitudes fall by exp(−B k² / 4); positive where detail is weaker.
    hand : {-1, 0, +1}
        Sign of defocus = defocus_i + hand · depth; 0 is undecided and leaves the depth term off.
    """

    optics: Optics
    defocus_u_ang: NDArray[np.float64]
    defocus_v_ang: NDArray[np.float64]
    azimuth_deg: NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))
    phase_deg: NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))
    fit_ang: NDArray[np.float64] = field(default_factory=lambda: np.array(np.nan))
    score: NDArray[np.float64] = field(default_factory=lambda: np.array(np.nan))
    scale: NDArray[np.float64] = field(default_factory=lambda: np.ones(()))
    b_ang2: NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))
    hand: int = 0

    def __post_init__(self) -> None:
        """Spread single values over all tilts and check counts."""
        n = len(np.atleast_1d(self.defocus_u_ang))
        names = (*_KNOWN, "fit_ang", "score")
        for name in names:
            object.__setattr__(self, name, floats(getattr(self, name), (n,)))
        per_item("CtfSeries", n, **{name: getattr(self, name) for name in names})
        finite("CtfSeries", **{name: getattr(self, name) for name in _KNOWN})
        if self.hand not in (-1, 0, 1):
            raise DataError(f"The defocus hand cannot be {self.hand}; give -1, +1, or 0 for undecided.")

    @property
    def n_tilts(self) -> int:
        """Number of tilts."""
        return len(self.defocus_u_ang)

    @property
    def defocus_ang(self) -> NDArray[np.float64]:
        """Mean of the two defocus values of each tilt, float64[N]."""
        return (self.defocus_u_ang + self.defocus_v_ang) / 2

    def magnified(self, magnification: Magnification = UNSTRETCHED) -> "CtfSeries":
        """Return what shows the same fringes where images are stretched otherwise than was believed.

        Round fringes in an image that is stretched are those of an astigmatic lens, and the other way round.
        """
        if magnification == self.optics.magnification:
            return self
        azimuth = np.deg2rad(self.azimuth_deg)
        along = np.stack([np.cos(azimuth), np.sin(azimuth)], axis=-1)
        astigmatism = (self.defocus_u_ang - self.defocus_v_ang)[:, None, None] * along[:, :, None] * along[:, None]
        defocus = astigmatism + self.defocus_v_ang[:, None, None] * np.eye(2)
        change = np.array(self.optics.magnification) @ np.linalg.inv(magnification)
        values, directions = np.linalg.eigh(change.T @ defocus @ change)
        return self.replace(
            optics=replace(self.optics, magnification=magnification),
            defocus_u_ang=values[:, 1],
            defocus_v_ang=values[:, 0],
            azimuth_deg=np.rad2deg(np.arctan2(directions[:, 1, 1], directions[:, 0, 1])) % 180.0,
        )
