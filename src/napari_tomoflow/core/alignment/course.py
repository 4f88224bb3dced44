"""The course of an alignment: place, refine coarsely, find the specimen, refine finely."""

from dataclasses import dataclass

import numpy as np

from napari_tomoflow.core.alignment.axis import find_axis, half_turn_distance, wrapped_half_turn
from napari_tomoflow.core.alignment.level import Slab, find_slab
from napari_tomoflow.core.alignment.params import AlignParams
from napari_tomoflow.core.alignment.prepare import Band, WorkStack
from napari_tomoflow.core.alignment.refine import Matched, Matcher, refine_shifts
from napari_tomoflow.core.alignment.search import BLIND_DIRECTIONS_DEG, Placement, Search
from napari_tomoflow.core.alignment.verdict import refuse_chance
from napari_tomoflow.core.report import Report, part

_THICKNESS_OF_FIELD = 0.3
"""Thickness first assumed, as a fraction of the field: half or twice as much does little harm."""

_LOWPASS_PX = 4.0
_LOWPASS_ANG = 40.0
_HIGHPASS_OF_FIELD = 1.0 / 3.0
_HIGHPASS_ANG = 500.0

_COARSEST_PX = 120
"""The coarse level has half the resolution, unless that leaves fewer pixels than this."""

_RADIUS_PX = 4.0
"""How far a refined step may go: coarse placement is right to a few pixels, and noise has few chances so near."""

_BETTER_AXIS = 1.1
"""Another axis than the nominal one is taken when it correlates better by this factor."""

_FINAL_RANGE_DEG = 3.0
"""How far the axis may still turn once shifts are refined."""

_COARSE_ROUNDS = 2


@dataclass(frozen=True)
class Level:
    """A stack at one resolution, filtered to the wavelengths compared there."""

    stack: WorkStack
    band: Band


@dataclass(frozen=True)
class AxisChoice:
    """Where the search for the axis began.

    Attributes
    ----------
    start_deg : float
    blind : bool
        Whether nobody said, so that the half-turn is arbitrary.
    heights : dict of float to float
        Mean peak over noise reached by each direction tried.
    """

    start_deg: float
    blind: bool
    heights: dict[float, float]


@dataclass(frozen=True)
class Course:
    """All that an alignment found on its way.

    Attributes
    ----------
    matched : Matched
        Alignment of the tilts in use, before the specimen is centred.
    slab : Slab
    choice : AxisChoice
    axis_error_deg : float
        Half the difference of the axes that two halves of the tilts give.
    placed, chance : Placement
        Coarse alignment of the images, and of images with nothing in common.
    passes : list of int
        Passes accepted at each resolution.
    """

    matched: Matched
    slab: Slab
    choice: AxisChoice
    axis_error_deg: float
    placed: Placement
    chance: Placement
    passes: list[int]


def align_stack(name: str, stack: WorkStack, params: AlignParams, nominal_deg: float | None, report: Report) -> Course:
    """Align the tilts in use.

    Parameters
    ----------
    name : str
        Of the series, for messages.
    stack : WorkStack
    params : AlignParams
    nominal_deg : float or None
        The axis as imported; `params` may name another.
    report
    """
    coarse, fine = _levels(stack, params)
    thickness_ang = params.thickness_ang or _THICKNESS_OF_FIELD * stack.field_ang
    search = Search(coarse.stack, coarse.band, thickness_ang, params.max_shift)
    choice = _choose_start(search, params, nominal_deg, part(report, 0, 5))
    placed = search.refine(choice.start_deg, params.axis_range_deg, part(report, 1, 5))
    if choice.blind:
        placed = placed.turned_to(wrapped_half_turn(placed.axis_deg))
    chance = search.place_noise(placed.axis_deg, part(report, 2, 5))
    refuse_chance(name, placed, chance)
    matched, first_passes = _refine_coarsely(coarse, placed, thickness_ang, params, part(report, 3, 5))
    slab = find_slab(coarse.stack, matched.alignment)
    if slab.seen and params.thickness_ang is None:
        thickness_ang = slab.thickness_ang
    matcher = Matcher(fine.stack, fine.band, thickness_ang)
    radius_ang = _RADIUS_PX * fine.stack.pixel_ang
    matched, last_passes = refine_shifts(matcher, matched.alignment, radius_ang, params.passes, part(report, 4, 5))
    return Course(
        matched,
        find_slab(coarse.stack, matched.alignment),
        choice,
        _axis_error(coarse, matched),
        placed,
        chance,
        [first_passes, last_passes],
    )


def _levels(stack: WorkStack, params: AlignParams) -> tuple[Level, Level]:
    """Prepare the coarse and the fine resolution; small series have only one."""
    factor = 2 if min(stack.images.shape[1:]) >= 2 * _COARSEST_PX else 1
    fine = _level(stack, params)
    return (_level(stack.binned(2), params) if factor == 2 else fine), fine


def _level(stack: WorkStack, params: AlignParams) -> Level:
    lowpass_ang = max(params.lowpass_ang or _LOWPASS_ANG, _LOWPASS_PX * stack.pixel_ang)
    highpass_ang = params.highpass_ang or max(_HIGHPASS_ANG, _HIGHPASS_OF_FIELD * stack.field_ang)
    band = Band(lowpass_ang, max(highpass_ang, 2.0 * lowpass_ang))
    return Level(stack.filtered(band), band)


def _choose_start(search: Search, params: AlignParams, nominal_deg: float | None, report: Report) -> AxisChoice:
    """Look for the axis where the person says, near the nominal one if the images agree, or anywhere."""
    if params.axis_deg is not None:
        report(1, 1, "Axis given")
        return AxisChoice(params.axis_deg, False, {})
    if nominal_deg is None:
        best, heights = search.best_of(BLIND_DIRECTIONS_DEG, report)
        return AxisChoice(best, True, heights)
    others = [nominal_deg + 90.0, -nominal_deg, 90.0 - nominal_deg]
    directions = [nominal_deg, *(angle for angle in others if half_turn_distance(angle, nominal_deg) > 30.0)]
    best, heights = search.best_of(directions, report)
    if heights[best] < _BETTER_AXIS * heights[nominal_deg]:
        best = nominal_deg
    # The half-turn nearest to the nominal axis is the best guess at the hand.
    return AxisChoice(nominal_deg + wrapped_half_turn(best - nominal_deg), False, heights)


def _refine_coarsely(
    level: Level, placed: Placement, thickness_ang: float, params: AlignParams, report: Report
) -> tuple[Matched, int]:
    """Refine shifts by matching and the axis by common lines, in turns."""
    matcher = Matcher(level.stack, level.band, thickness_ang)
    radius_ang = _RADIUS_PX * level.stack.pixel_ang
    alignment, passes = placed.alignment, 0
    range_deg = min(_FINAL_RANGE_DEG, params.axis_range_deg)
    for index in range(_COARSE_ROUNDS):
        matched, accepted = refine_shifts(matcher, alignment, radius_ang, params.passes, part(report, index, 2))
        passes += accepted
        found_deg, _ = find_axis(level.stack, matched.alignment, matched.axis_deg, range_deg, level.band)
        alignment = matched.alignment.replace(axis_deg=np.full(len(level.stack), found_deg))
    return Matched(alignment, matched.steps, matched.predictor), passes


def _axis_error(level: Level, matched: Matched) -> float:
    """Find the axis from either half of the tilts and compare."""
    order = np.argsort(np.argsort(level.stack.tilt_deg, kind="stable"))
    found = []
    for half in (0, 1):
        chosen = order % 2 == half
        alignment = matched.alignment
        part_of_it = alignment.replace(
            tilt_deg=alignment.tilt_deg[chosen],
            axis_deg=alignment.axis_deg[chosen],
            xtilt_deg=alignment.xtilt_deg[chosen],
            shift_ang_yx=alignment.shift_ang_yx[chosen],
            kept=alignment.kept[chosen],
            residual_ang=alignment.residual_ang[chosen],
        )
        stack = level.stack.chosen(chosen)
        found.append(find_axis(stack, part_of_it, matched.axis_deg, _FINAL_RANGE_DEG, level.band)[0])
    return 0.5 * abs(found[0] - found[1])
