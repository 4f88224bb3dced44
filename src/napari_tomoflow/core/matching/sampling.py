"""What a tomogram has kept of a density: the missing wedge, the CTF and the damage of every tilt used.

Each tilt measures the transform on a slab through frequency 0, across its beam, as thick as one frequency of a box
around the particle. What comes out of the reconstruction is the mean of what the slabs that overlap have kept::

    S(k) = Σ_i w_i(k) s_i(k) / max(1, Σ_i w_i(k)),   w_i(k) = max(0, 1 − n |k · b_i|)

with b_i the beam of tilt i in the specimen, k in cycles per voxel and n the box. s_i is the damage of the exposure,
times the CTF in its absolute value where the phases were flipped, squared where the images were multiplied with it,
and with its sign where nothing was corrected; times the damage once more where the images were filtered with it.

Legend: T tilts in use.
"""

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, CtfSeries, TiltSeries
from napari_tomoflow.core.ops.ctf import DoseModel, ctf_2d, dose_envelope
from napari_tomoflow.core.ops.fourier import half_frequencies
from napari_tomoflow.core.ops.geometry import rotation_y

Floats = NDArray[np.float64]
Image = NDArray[np.float32]

CtfCorrected = Literal["none", "flip", "multiply"]
"""How the images of a tomogram were corrected for the CTF."""


@dataclass(frozen=True, eq=False)
class Sampling:
    """What is known of the tilts behind a tomogram.

    Attributes
    ----------
    rotations : float64[T, 3, 3]
        R_i of `Alignment`.
    exposure_e_ang2 : float64[T]
        Half-way through each image.
    voltage_kv : float
    ctf : CtfSeries or None
        Of the tilts in use; without it the CTF is left out.
    corrected : {"none", "flip", "multiply"}
    dose_filtered : {"none", "grant-grigorieff", "b-factor"}
        The filter the images went through.
    """

    rotations: Floats
    exposure_e_ang2: Floats
    voltage_kv: float = 300.0
    ctf: CtfSeries | None = None
    corrected: CtfCorrected = "none"
    dose_filtered: DoseModel = "none"

    def transfer(self, size: int, voxel_ang: float) -> Image:
        """Return S over the half transform of a cube: float32[size, size, size // 2 + 1]."""
        kz, ky, kx = half_frequencies((size,) * 3)
        kept = np.zeros((size, size, size // 2 + 1), np.float32)
        weights = np.zeros_like(kept)
        for tilt, (along_u, along_v, beam) in enumerate(self.rotations.astype(np.float32)):
            depth = beam[0] * kx + beam[1] * ky + beam[2] * kz
            weight = np.maximum(0.0, 1.0 - size * np.abs(depth))
            near = np.nonzero(weight)
            u, v = (
                (axis[0] * kx[0, 0, near[2]] + axis[1] * ky[0, near[1], 0] + axis[2] * kz[near[0], 0, 0]) / voxel_ang
                for axis in (along_u, along_v)
            )
            kept[near] += weight[near] * self._of_tilt(tilt, v.astype(np.float64), u.astype(np.float64))
            weights += weight
        return np.asarray(kept / np.maximum(weights, 1.0))

    def _of_tilt(self, tilt: int, v_inv_ang: Floats, u_inv_ang: Floats) -> Image:
        """Return what one tilt has kept of some frequencies, 1/Å."""
        k = np.hypot(v_inv_ang, u_inv_ang)
        exposure = float(self.exposure_e_ang2[tilt])
        kept = dose_envelope(k, exposure, self.voltage_kv, "grant-grigorieff")
        if self.dose_filtered != "none":
            kept = kept * dose_envelope(k, exposure, self.voltage_kv, self.dose_filtered)
        if self.ctf is not None:
            values = ctf_2d(
                (v_inv_ang, u_inv_ang),
                float(self.ctf.defocus_u_ang[tilt]),
                float(self.ctf.defocus_v_ang[tilt]),
                float(self.ctf.azimuth_deg[tilt]),
                self.ctf.optics,
                float(self.ctf.phase_deg[tilt]),
            )
            kept = kept * {"none": values, "flip": np.abs(values), "multiply": np.square(values)}[self.corrected]
        return np.asarray(kept, np.float32)


@dataclass(frozen=True)
class Wedge:
    """Tilts all alike from one angle to another about y: what is assumed when nobody says.

    Attributes
    ----------
    first_deg, last_deg : float
    """

    first_deg: float
    last_deg: float

    def transfer(self, size: int, voxel_ang: float) -> Image:
        """Return S over the half transform of a cube: float32[size, size, size // 2 + 1]."""
        # At the rim of the transform, neighbouring slabs must touch.
        count = max(2, int(np.ceil(size * np.pi * (self.last_deg - self.first_deg) / 360.0)))
        rotations = rotation_y(np.linspace(self.first_deg, self.last_deg, count))
        return Sampling(rotations, np.zeros(count)).transfer(size, voxel_ang)


def sampling_of(
    series: TiltSeries,
    alignment: Alignment,
    ctf: CtfSeries | None,
    corrected: CtfCorrected = "none",
    dose_filtered: DoseModel = "none",
) -> Sampling:
    """Gather what is known of the tilts that made a tomogram.

    Raises
    ------
    DataError
        The three are not of the same tilts.
    """
    counts = {"alignment": alignment.n_tilts} | ({} if ctf is None else {"CTF": ctf.n_tilts})
    for what, count in counts.items():
        if count != series.n_tilts:
            raise DataError(
                f"{series.name}: the {what} is for {count} tilts, the series has {series.n_tilts}; make it again."
            )
    used = np.flatnonzero(series.kept & alignment.kept)
    return Sampling(
        rotations=alignment.rotations[used],
        exposure_e_ang2=(series.dose_before_e_ang2 + series.dose_of_tilt_e_ang2 / 2)[used],
        voltage_kv=series.optics.voltage_kv,
        ctf=ctf and ctf_of_tilts(ctf, used),
        corrected=corrected,
        dose_filtered=dose_filtered,
    )


def ctf_of_tilts(ctf: CtfSeries, tilts: NDArray[np.int64]) -> CtfSeries:
    """Take the CTF of some tilts."""
    values = {field.name: getattr(ctf, field.name) for field in fields(ctf)}
    return ctf.replace(**{name: value[tilts] for name, value in values.items() if isinstance(value, np.ndarray)})
