"""Where the tilt axis lies."""

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.prepare import Band, WorkStack
from napari_tomoflow.core.alignment.views import clamped_cosine
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.ops.common_lines import common_line_scores

_FIELD = 0.9
"""Fraction of the field, across the axis, that profiles are summed over."""


def score_axes(
    stack: WorkStack, alignment: Alignment, angles_deg: NDArray[np.float64], band: Band
) -> NDArray[np.float64]:
    """Score candidate axes by common lines, with the shifts of an alignment: float64[angles].

    Each image is summed over the part of the specimen that all show, so that profiles hold the same matter.
    """
    from napari_tomoflow.core.kernels.plane import sum_onto_lines

    windowed = stack.images * stack.masks
    side = min(windowed.shape[1:])
    half_widths = 0.5 * _FIELD * side * clamped_cosine(stack.tilt_deg)
    lines = np.zeros((len(angles_deg), len(stack), side))
    sum_onto_lines(lines, windowed, np.deg2rad(angles_deg), alignment.shift_ang_yx / stack.pixel_ang, half_widths)
    return common_line_scores(lines, stack.pixel_ang, band.lowpass_ang, band.highpass_ang)


def find_axis(
    stack: WorkStack, alignment: Alignment, centre_deg: float, range_deg: float, band: Band
) -> tuple[float, float]:
    """Find the best axis within a range: ``(axis_deg, score)``.

    First in steps of a degree, then, around the best, of a fifth with a parabola through the top.
    """
    steps = int(np.ceil(range_deg))
    coarse = centre_deg + np.linspace(-range_deg, range_deg, 2 * steps + 1)
    best = coarse[int(np.argmax(score_axes(stack, alignment, coarse, band)))]
    fine = best + np.linspace(-1.0, 1.0, 11)
    scores = score_axes(stack, alignment, fine, band)
    top = int(np.clip(np.argmax(scores), 1, len(fine) - 2))
    before, middle, after = scores[top - 1 : top + 2]
    bend = before - 2.0 * middle + after
    offset = np.clip(0.5 * (before - after) / bend, -0.5, 0.5) if bend < 0 else 0.0
    return float(fine[top] + 0.2 * offset), float(middle)


def half_turn_distance(first_deg: float, second_deg: float) -> float:
    """Return the angle between two lines, 0° to 90°."""
    return abs(wrapped_half_turn(first_deg - second_deg))


def wrapped_half_turn(angle_deg: float) -> float:
    """Bring the direction of a line into (−90°, 90°]."""
    return float(90.0 - np.mod(90.0 - angle_deg, 180.0))
