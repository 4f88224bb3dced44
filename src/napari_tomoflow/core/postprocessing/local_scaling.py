"""Amplitudes of a map made those of a model around every voxel."""

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.resizing import fitted, shell_filtered
from napari_tomoflow.core.model import DensityMap
from napari_tomoflow.core.ops.local_fsc import Bands

Reals = NDArray[np.float32]

_ROUNDS = 3
"""Where amplitudes fall fast within a band, the first round gives its upper end too little."""

_MOST = 1e3
"""Gain beyond which there is nothing in the map to be scaled."""


def model_on_grid(model: DensityMap, box_px: int, voxel_ang: float) -> Reals:
    """Bring a model onto the grid of a map; atoms lie where their coordinates from its centre say, and are points.

    Atoms are drawn wide, as their grid is coarse. That is undone as far as the grid goes: to 6 Å.
    """
    volume = fitted(model, box_px, voxel_ang, model.quality.get("centre_ang_zyx", (0.0, 0.0, 0.0)))
    sigma_ang = model.quality.get("atom_sigma_ang")
    if sigma_ang is None:
        return volume
    frequency = np.arange(box_px // 2 + 1) / (box_px * voxel_ang)
    known = np.minimum(frequency, 0.5 / model.voxel_ang)
    return shell_filtered(volume, np.exp(2.0 * (np.pi * sigma_ang * known) ** 2))


def scaled_to_model(density: Reals, model: Reals, width_px: float) -> Reals:
    """Give every band of a map the local strength it has in a model.

    Parameters
    ----------
    density, model : float32[n, n, n]
        In register, filtered alike.
    width_px : float
        Width at half its height of the window that strengths are compared under.

    References
    ----------
    Jakobi, Wilmanns and Sachse 2017, doi:10.7554/eLife.27131. Shells of windows are bands here.
    """
    for _ in range(_ROUNDS):
        density = _scaled_once(density, model, width_px)
    return density


def _scaled_once(density: Reals, model: Reals, width_px: float) -> Reals:
    bands = Bands((density, model), width_px)
    scaled = np.zeros(density.shape, np.float32)
    for band in bands:
        own, wanted = (np.maximum(bands.windowed(part**2), 0.0) for part in band.parts)
        if not own.any():
            break
        gain = np.sqrt(np.divide(wanted, own, out=np.zeros_like(own), where=own > 0))
        scaled += np.minimum(gain, np.float32(_MOST)) * band.parts[0]
    return scaled
