"""How the beam bends the specimen: a smooth field that grows with exposure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_N_WAVES = 6
_DOSE_SCALE_E_ANG2 = 25.0
"""Most of the motion comes early: the field has reached 63 % of its end after this exposure."""


@dataclass(frozen=True)
class Deformation:
    """D3(p, dose) = growth(dose) · [Σ a cos(2π k·p + φ) − (t + B p)]. Legend: W waves.

    The affine part t + B p is what a rigid alignment with free magnification would absorb, fitted over
    the field and taken out: what is left is truly local.

    Attributes
    ----------
    waves_inv_ang_zyx : float64[W, 3]
    phases_rad : float64[W]
    amplitudes_ang_zyx : float64[W, 3]
    affine_zyx : float64[4, 3]
        Rows t, then B for z, y, x.
    dose_end_e_ang2 : float
        Where growth reaches 1.
    """

    waves_inv_ang_zyx: Floats
    phases_rad: Floats
    amplitudes_ang_zyx: Floats
    affine_zyx: Floats
    dose_end_e_ang2: float

    def growth(self, dose_e_ang2: ArrayLike) -> Floats:
        """Return how much of the final field is reached after an exposure: 0 at 0, 1 at the end."""
        dose = np.asarray(dose_e_ang2, np.float64)
        share: Floats = np.expm1(-dose / _DOSE_SCALE_E_ANG2) / np.expm1(-self.dose_end_e_ang2 / _DOSE_SCALE_E_ANG2)
        return share

    def displacement(self, points_ang_zyx: Floats, dose_e_ang2: float) -> Floats:
        """Return D3 at points of the undeformed specimen, float64[P, 3], Å."""
        return self.growth(dose_e_ang2) * (_waves(self, points_ang_zyx) - _with_one(points_ang_zyx) @ self.affine_zyx)

    def record(self) -> dict[str, object]:
        """Return the field as plain numbers, to be stored with the truth."""
        return {name: np.asarray(value).tolist() for name, value in vars(self).items()} | {
            "dose_scale_e_ang2": _DOSE_SCALE_E_ANG2
        }


def bend(
    rms_ang: float, field_ang: float, thickness_ang: float, dose_end_e_ang2: float, rng: np.random.Generator
) -> Deformation | None:
    """Draw a random deformation, or None for an amplitude of zero.

    Parameters
    ----------
    rms_ang
        RMS length of the displacement over the field at the end of the exposure.
    field_ang, thickness_ang
        Size of the field.
    dose_end_e_ang2
        Total exposure.
    rng
    """
    # Waves no shorter than two thirds of the field: ice bends smoothly. Doming makes z the largest.
    waves = np.zeros((_N_WAVES, 3))
    turn = rng.uniform(0, 2 * np.pi, _N_WAVES)
    waves[:, 1:] = (rng.uniform(0.6, 1.5, _N_WAVES) / field_ang)[:, None] * np.stack([np.sin(turn), np.cos(turn)], 1)
    amplitudes = rng.normal(size=(_N_WAVES, 3)) * [1.5, 1.0, 1.0]
    phases = rng.uniform(0, 2 * np.pi, _N_WAVES)
    if rms_ang == 0:
        return None
    shape = Deformation(waves, phases, amplitudes, np.zeros((4, 3)), dose_end_e_ang2)
    half = np.array([thickness_ang, field_ang, field_ang]) / 2
    axes = [half_length * (2 * np.arange(n) + 1 - n) / n for half_length, n in zip(half, (4, 16, 16), strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    bent = _waves(shape, grid)
    affine = np.linalg.lstsq(_with_one(grid), bent, rcond=None)[0]
    scale = rms_ang / np.sqrt(np.mean(np.sum((bent - _with_one(grid) @ affine) ** 2, axis=1)))
    return Deformation(waves, phases, scale * amplitudes, scale * affine, dose_end_e_ang2)


def _waves(shape: Deformation, points_ang_zyx: Floats) -> Floats:
    phases = 2 * np.pi * points_ang_zyx @ shape.waves_inv_ang_zyx.T + shape.phases_rad
    bent: Floats = np.cos(phases) @ shape.amplitudes_ang_zyx
    return bent


def _with_one(points_ang_zyx: Floats) -> Floats:
    return np.concatenate([np.ones((len(points_ang_zyx), 1)), points_ang_zyx], axis=1)
