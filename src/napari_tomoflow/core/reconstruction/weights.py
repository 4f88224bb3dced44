"""How much every tilt counts, and every frequency of its lines."""

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ops import filters
from napari_tomoflow.core.ops.backprojection import angular_spacing
from napari_tomoflow.core.reconstruction.params import ReconstructParams, Weighting
from napari_tomoflow.core.reconstruction.setting import Setting

Floats = NDArray[np.float64]

_SIRT_LIKE_ITERATIONS = 10


def weighting_of(setting: Setting, params: ReconstructParams) -> Weighting:
    """Return the weighting asked for, or what suits the noise: images of frozen cells need theirs suppressed."""
    return params.weighting or ("sirt-like" if setting.series.contrast == "dark" else "ramp")


def tilt_weights(setting: Setting, params: ReconstructParams) -> Floats:
    """Angle each view stands for, radians, and if wanted less for those through much ice: float64[T]."""
    weights = _angles_rad(setting, params)
    if not params.cosine_weights:
        return weights
    cosine = np.abs(np.cos(np.deg2rad(setting.tilt_deg)))
    return np.asarray(weights * cosine * (weights.sum() / (weights * cosine).sum()))


def line_filters(setting: Setting, params: ReconstructParams, n_u: int) -> NDArray[np.float32]:
    """Weights of the half transforms of padded lines, to which `tilt_weights` come on top: float32[T, frequencies].

    Parameters
    ----------
    setting : Setting
    params : ReconstructParams
    n_u : int
        Length of the lines.
    """
    size = filters.padded_line_size(n_u)
    ramp = filters.ramp_weights(size, params.low_frequency)
    if weighting_of(setting, params) == "sirt-like":
        iterations = params.iterations or _SIRT_LIKE_ITERATIONS
        ramp *= filters.sirt_like_weights(size, iterations, _first_per_px(setting))
    weights = np.broadcast_to(ramp, (len(setting.tilts), len(ramp)))
    if weighting_of(setting, params) == "exact":
        thickness_ang = setting.alignment.thickness_ang or setting.shape_zyx[0] * setting.voxel_ang
        exact = filters.exact_weights(size, setting.tilt_deg, thickness_ang / setting.voxel_ang)
        weights = (exact / _angles_rad(setting, params)[:, None]).astype(np.float32)
    return np.asarray(weights * filters.undo_linear_interpolation(size))


def _angles_rad(setting: Setting, params: ReconstructParams) -> Floats:
    """Angle to the neighbours of each tilt, or the mean of them for all."""
    spacing = angular_spacing(setting.tilt_deg)
    return spacing if params.angular_weights else np.full_like(spacing, spacing.mean())


def _first_per_px(setting: Setting) -> float:
    """Return the frequency up to which one SIRT iteration brings back everything; see `filters.sirt_like_weights`."""
    tilt_deg = setting.tilt_deg
    mean_cosine = np.abs(np.cos(np.deg2rad(tilt_deg))).mean()
    return float(mean_cosine / (setting.shape_zyx[0] * angular_spacing(tilt_deg).sum()))
