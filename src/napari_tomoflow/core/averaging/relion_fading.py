"""What RELION 5 takes exposure to leave of a tilt: stacks it is to read must be weighed as it will weigh its maps."""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.ops.ctf import critical_exposure_e_ang2, rfft_frequencies

Reals = NDArray[np.float32]

_VOLTAGE_KV = 300.0
"""RELION counts an exposure alike at all voltages."""


def relion_fading(size_px: int, pixel_ang: float, dose_e_ang2: ArrayLike) -> Reals:
    """Return the amplitude left of square images: float32[..., m, m // 2 + 1] for exposures [...].

    Parameters
    ----------
    size_px, pixel_ang
        Of the images.
    dose_e_ang2
        Exposure before each image (RELION's ``rlnMicrographPreExposure``), e/Å².

    References
    ----------
    Grant and Grigorieff 2015, doi:10.7554/eLife.06980, equation 3.
    """
    dose = np.asarray(dose_e_ang2, np.float32)[..., None, None]
    return np.asarray(np.exp(dose * _per_dose(size_px, round(pixel_ang, 6))))


@lru_cache(maxsize=4)
def _per_dose(size_px: int, pixel_ang: float) -> Reals:
    k_inv_ang = np.hypot(*rfft_frequencies((size_px, size_px), pixel_ang))
    return np.asarray(-0.5 / critical_exposure_e_ang2(k_inv_ang, _VOLTAGE_KV), np.float32)
