"""Noun: a tilt series as it was acquired."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.noun import Array, Noun, finite, flags, floats, per_item
from napari_tomoflow.core.model.optics import Optics


@dataclass(frozen=True, eq=False, kw_only=True)
class TiltSeries(Noun):
    """Images of one specimen at several tilts, in the order of the stack. Legend: N tilts.

    Attributes
    ----------
    name : str
        Names the series in tables and folders.
    images : array[N, ny, nx]
        Any sliceable array, any number type; may lie on disk. Row order as in MRC, y up.
    tilt_deg : float64[N]
        Nominal tilt of the stage.
    pixel_ang : float
    axis_deg : float or None
        Nominal tilt axis, counter-clockwise from +y; None when nobody said.
    dose_before_e_ang2 : float64[N]
        Exposure the specimen had taken before each image, e/Å².
    dose_of_tilt_e_ang2 : float64[N]
        Exposure of each image itself, e/Å².
    order : int64[N]
        Place of each image in the order of acquisition, from 0; the order of the stack when nobody said.
    kept : bool[N]
        False marks a tilt left out; nothing is ever deleted.
    excluded_because : tuple of str
        Why each left-out tilt is left out; empty text for the kept ones.
    optics : Optics
    defocus_hand : {-1, 0, +1}
        Sign of defocus = defocus_i + hand · depth as declared for the microscope; 0 when nobody said.
    contrast : {"dark", "bright"}
        Whether dense matter is dark (cryo bright-field) or bright (HAADF-STEM) in the images.
    halves : pair of arrays [N, ny, nx], or None
        The same images from the odd and from the even frames alone, alike in everything else.
    """

    name: str
    images: Array
    tilt_deg: NDArray[np.float64]
    pixel_ang: float
    axis_deg: float | None = None
    dose_before_e_ang2: NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))
    dose_of_tilt_e_ang2: NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))
    order: NDArray[np.int64] = field(default_factory=lambda: np.arange(0))
    kept: NDArray[np.bool_] = field(default_factory=lambda: np.array(True))
    excluded_because: tuple[str, ...] = ()
    optics: Optics = field(default_factory=Optics)
    defocus_hand: Literal[-1, 0, 1] = 0
    contrast: Literal["dark", "bright"] = "dark"
    halves: tuple[Array, Array] | None = None

    def __post_init__(self) -> None:
        """Check shapes and counts, and spread single values over all tilts."""
        if len(self.images.shape) != 3:
            raise DataError(
                f"A tilt series has shape (tilts, ny, nx); got {tuple(self.images.shape)}; check the stack."
            )
        n = self.n_tilts
        tilt_deg = floats(self.tilt_deg)
        if len(tilt_deg) != n:
            raise DataError(
                f"{n} images but {len(tilt_deg)} tilt angles; check the .tlt or .mdoc file against the stack."
            )
        if not self.pixel_ang > 0 or not np.isfinite(self.pixel_ang):
            raise DataError(f"The pixel size cannot be {self.pixel_ang:g} Å; give it with --pixel-ang.")
        for half in self.halves or ():
            if tuple(half.shape) != tuple(self.images.shape):
                raise DataError(
                    f"{self.name}: half sums have shape {tuple(half.shape)}, the images {tuple(self.images.shape)}; "
                    "give halves of these images."
                )
        _set(self, tilt_deg=tilt_deg)
        _set(self, dose_before_e_ang2=floats(self.dose_before_e_ang2, (n,)))
        _set(self, dose_of_tilt_e_ang2=floats(self.dose_of_tilt_e_ang2, (n,)))
        _set(self, order=np.asarray(self.order, np.int64) if len(self.order) else np.arange(n))
        _set(self, kept=flags(self.kept, n))
        _set(self, excluded_because=self.excluded_because or ("",) * n)
        finite("TiltSeries", tilt_deg=self.tilt_deg, dose_before_e_ang2=self.dose_before_e_ang2)
        per_item(
            "TiltSeries", n, order=self.order, kept=self.kept, dose_before_e_ang2=self.dose_before_e_ang2,
            dose_of_tilt_e_ang2=self.dose_of_tilt_e_ang2, excluded_because=self.excluded_because,
        )  # fmt: skip

    @property
    def n_tilts(self) -> int:
        """Number of images, the left-out ones counted too."""
        return int(self.images.shape[0])

    @property
    def shape_yx(self) -> tuple[int, int]:
        """Size of one image, (ny, nx), px."""
        return int(self.images.shape[1]), int(self.images.shape[2])

    @property
    def kept_indices(self) -> NDArray[np.int64]:
        """Indices of the tilts in use, in stack order."""
        return np.flatnonzero(self.kept)

    @property
    def exposure_share(self) -> NDArray[np.float64]:
        """How much of the exposure each tilt has had, float64[N] from 0 to 1; by order where no dose is known."""
        had = self.dose_before_e_ang2 + 0.5 * self.dose_of_tilt_e_ang2
        if not np.ptp(self.dose_before_e_ang2):
            had = np.argsort(np.argsort(self.order, kind="stable")).astype(np.float64)
        return np.asarray((had - had.min()) / max(float(np.ptp(had)), 1e-12))

    def image(self, tilt: int) -> NDArray[np.float32]:
        """Read one image as float32[ny, nx]."""
        return np.ascontiguousarray(self.images[tilt], np.float32)

    def without(self, tilts: dict[int, str]) -> "TiltSeries":
        """Leave tilts out, each with its reason."""
        kept = np.array(self.kept)
        reasons = list(self.excluded_because)
        for tilt, reason in tilts.items():
            kept[tilt], reasons[tilt] = False, reason
        return self.replace(kept=kept, excluded_because=tuple(reasons))


def _set(series: TiltSeries, **values: object) -> None:
    """Set a field of a frozen dataclass while it is being made."""
    for name, value in values.items():
        object.__setattr__(series, name, value)
