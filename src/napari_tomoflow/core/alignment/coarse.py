"""Coarse shifts: from the lowest tilt outward, each image is matched with those already placed."""

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.matching import neighbours_of, predict_from_slab
from napari_tomoflow.core.alignment.prepare import Band, WorkStack
from napari_tomoflow.core.alignment.views import moved, turn_again, turn_views
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.ops.correlation import band_pass, correlation_map, whitened_product
from napari_tomoflow.core.ops.peaks import find_peak, noise_sd
from napari_tomoflow.core.report import Report, watched

_PREDICTORS = 8
"""Images already placed that predict the next one: more of them see through the noise of each."""


def align_outward(
    stack: WorkStack,
    alignment: Alignment,
    band: Band,
    thickness_ang: float,
    max_shift: float,
    report: Report,
) -> tuple[Alignment, NDArray[np.float64]]:
    """Find all shifts anew, given the axis.

    Parameters
    ----------
    stack : WorkStack
        Filtered.
    alignment : Alignment
        Axis and tilts; its shifts are not used.
    band : Band
    thickness_ang : float
        Of the slab the predictions are made with; zero is plain cosine stretching.
    max_shift : float
        Largest step from one tilt to the next, as a fraction of the field.

    Returns
    -------
    alignment : Alignment
    height : float64[K]
        Peak over noise of each tilt's correlation; infinite for the tilt the others hang on.
    """
    n = stack.side_px
    weights = band_pass((n, n), stack.pixel_ang, band.lowpass_ang, band.highpass_ang)
    prior = _shift_prior(min(max(int(max_shift * n), 2), n // 2 - 1))
    order = [int(tilt) for tilt in np.argsort(np.abs(stack.tilt_deg), kind="stable")]
    alignment = alignment.replace(shift_ang_yx=np.zeros((len(stack), 2)))
    views = turn_views(stack, alignment)
    height = np.full(len(stack), np.inf)
    placed = order[:1]
    for tilt in watched(order[1:], report, "Aligning outward"):
        others = neighbours_of(stack.tilt_deg, tilt, placed, _PREDICTORS)
        alignment = _with_shift(alignment, tilt, alignment.shift_ang_yx[others[0]])
        turn_again(views, stack, alignment, slice(tilt, tilt + 1))
        predicted, cover = predict_from_slab(views, tilt, others, thickness_ang)
        image = views.images[tilt] * views.masks[tilt]
        map_yx = correlation_map(whitened_product(image, predicted * cover, weights), (n, n))
        peak = find_peak(_around_centre(map_yx, len(prior)) * prior)
        height[tilt] = peak.height / max(noise_sd(map_yx), float(np.finfo(np.float32).tiny))
        steps = np.zeros((len(stack), 2))
        steps[tilt] = np.array([peak.y_px, peak.x_px]) * stack.pixel_ang
        alignment = moved(alignment, steps)
        turn_again(views, stack, alignment, slice(tilt, tilt + 1))
        placed.append(tilt)
    return alignment, height


def _with_shift(alignment: Alignment, tilt: int, shift_ang_yx: NDArray[np.float64]) -> Alignment:
    """Start one tilt where its nearest neighbour lies."""
    shifts = np.array(alignment.shift_ang_yx)
    shifts[tilt] = shift_ang_yx
    return alignment.replace(shift_ang_yx=shifts)


def _around_centre(map_yx: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Cut an odd square around zero displacement."""
    near = slice(len(map_yx) // 2 - size // 2, len(map_yx) // 2 + size // 2 + 1)
    return map_yx[near, near]


def _shift_prior(reach: int) -> NDArray[np.float32]:
    """Favour small steps: a stage seldom jumps, and far away there are more chances for noise."""
    along = np.arange(-reach, reach + 1)
    squared = along[:, None] ** 2 + along**2
    return np.asarray(np.exp(-0.5 * squared / (0.75 * reach) ** 2), np.float32)
