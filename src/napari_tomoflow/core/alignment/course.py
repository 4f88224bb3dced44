"""The course of an alignment: place, refine coarsely, find the specimen, refine finely."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.angles import Jury, check_angles
from napari_tomoflow.core.alignment.axis import find_axis, half_turn_distance, wrapped_half_turn
from napari_tomoflow.core.alignment.level import Slab, find_slab
from napari_tomoflow.core.alignment.params import AlignParams
from napari_tomoflow.core.alignment.prepare import Band, WorkStack
from napari_tomoflow.core.alignment.refine import Matched, Matcher, refine_shifts
from napari_tomoflow.core.alignment.search import BLIND_DIRECTIONS_DEG, Placement, Search
from napari_tomoflow.core.alignment.verdict import disagreeing, refuse_chance
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.report import Report, part

_THICKNESS_OF_FIELD = 0.3
"""Thickness first assumed, as a fraction of the field: half or twice as much does little harm."""

_THICKNESSES_OF_FIELD = (0.3, 0.6, 1.0)
"""Thicknesses of which the one that predicts held-out matter best is taken."""

_LOWPASS_PX = 4.0
_HIGHPASS_OF_FIELD = 1.0 / 3.0
"""Wavelengths compared, when nobody says: from this many pixels to this fraction of the field."""

_COARSEST_PX = 120
"""The coarse level has half the resolution, unless that leaves fewer pixels than this."""

_RADIUS_PX = 4.0
"""How far a refined step may go: coarse placement is right to a few pixels, and noise has few chances so near."""

_BETTER_AXIS = 1.1
"""Another axis than the nominal one is taken when it correlates better by this factor."""

_FINAL_RANGE_DEG = 3.0
"""How far the axis may still turn once shifts are refined."""

_PASSES_BEFORE_LANDMARKS = 1
"""Where landmarks take over, more passes at the full working resolution would cost much and change nothing."""

_COARSE_ROUNDS = 6
_SETTLED_DEG = 0.2
"""Shifts and axis are refined in turns until the axis moves by less, at most so many times."""

_BETTER_START = 1.25
"""Images that fit as recorded stay there, unless finding their places anew fits better by this factor."""


@dataclass(frozen=True)
class Level:
    """A stack at one resolution, filtered to the wavelengths compared there."""

    stack: WorkStack
    band: Band

    def chosen(self, keep: NDArray[np.bool_]) -> "Level":
        """Keep some of the tilts."""
        return Level(self.stack.chosen(keep), self.band)


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
    stack : WorkStack
        The tilts believed in the end, with their angles: those on file, unless two were exchanged.
    matched : Matched
        Their alignment, before the specimen is centred.
    exchanged : tuple of (int, int)
        Tilts of the series that carry each other's angle on file.
    excluded : dict of int to str
        Why each tilt of the series that was given up on the way was.
    slab : Slab
    choice : AxisChoice
    axis_error_deg : float
        Half the difference of the axes that two halves of the tilts, or of the field, give: the larger.
    placed, chance : Placement
        Coarse alignment of the images, and of images with nothing in common.
    passes : list of int
        Passes accepted at each resolution.
    """

    stack: WorkStack
    matched: Matched
    exchanged: tuple[tuple[int, int], ...]
    excluded: dict[int, str]
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
    smallest = _smallest(stack, params)
    first_look = Search(smallest.stack, smallest.band, thickness_ang, params.max_shift)
    choice = _choose_start(first_look, params, nominal_deg, part(report, 0, 8))
    search = Search(coarse.stack, coarse.band, thickness_ang, params.max_shift)
    placed = search.refine(choice.start_deg, params.axis_range_deg, part(report, 1, 8))
    if choice.blind:
        placed = placed.turned_to(wrapped_half_turn(placed.axis_deg))
    chance = search.place_noise(placed.axis_deg, part(report, 2, 8))
    refuse_chance(name, placed, chance)
    jury = Jury(smallest.stack, placed.alignment, smallest.band, thickness_ang)
    check = check_angles(name, jury, part(report, 3, 8))
    exchanged = tuple(sorted((*sorted(stack.tilts[list(pair)].tolist()),) for pair in check.exchanged))
    excluded = {int(stack.tilts[place]): reason for place, reason in check.excluded.items()}
    if check:
        coarse, fine = _levels(check.mended(stack), params)
        search = Search(coarse.stack, coarse.band, thickness_ang, params.max_shift)
        placed = search.refine(placed.axis_deg, params.axis_range_deg, part(report, 4, 8))
    if params.thickness_ang is None:
        thickness_ang = _choose_thickness(coarse, placed.alignment, part(report, 5, 8))
    matched, first_passes = _refine_coarsely(coarse, placed, thickness_ang, params, part(report, 6, 8))
    coarse, fine, matched = _believed(coarse, fine, matched, coarse.stack.pixel_ang, excluded)
    matched, last_passes = _refine_finely(fine, coarse, matched, thickness_ang, params, part(report, 7, 8))
    coarse, fine, matched = _believed(coarse, fine, matched, fine.stack.pixel_ang, excluded)
    report(1, 1, "Aligned")
    return Course(
        fine.stack,
        matched,
        exchanged,
        excluded,
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


def _smallest(stack: WorkStack, params: AlignParams) -> Level:
    """Prepare the resolution at which directions of the axis and angles on file are told apart."""
    return _level(stack.binned(max(min(stack.images.shape[1:]) // _COARSEST_PX, 1)), params)


def _level(stack: WorkStack, params: AlignParams) -> Level:
    # Two pixels are the finest a grid holds, whatever was asked for.
    lowpass_ang = max(params.lowpass_ang or _LOWPASS_PX * stack.pixel_ang, 2.0 * stack.pixel_ang)
    highpass_ang = params.highpass_ang or _HIGHPASS_OF_FIELD * stack.field_ang
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
    reached_deg = 0.5 * params.axis_range_deg
    directions = [nominal_deg, *(angle for angle in others if half_turn_distance(angle, nominal_deg) > reached_deg)]
    best, heights = search.best_of(directions, report)
    if heights[best] < _BETTER_AXIS * heights[nominal_deg]:
        best = nominal_deg
    # The half-turn nearest to the nominal axis is the best guess at the hand.
    return AxisChoice(nominal_deg + wrapped_half_turn(best - nominal_deg), False, heights)


def _choose_thickness(level: Level, alignment: Alignment, report: Report) -> float:
    """Take the thickness of the slab that predicts held-out matter best."""
    radius_ang = _RADIUS_PX * level.stack.pixel_ang
    held_out = {}
    for index, fraction in enumerate(_THICKNESSES_OF_FIELD):
        thickness_ang = fraction * level.stack.field_ang
        matcher = Matcher(level.stack, level.band, thickness_ang)
        matched = matcher.match(alignment, "slab", radius_ang, part(report, index, len(_THICKNESSES_OF_FIELD)))
        held_out[thickness_ang] = matched.steps.score
    return max(held_out, key=lambda thickness_ang: held_out[thickness_ang])


def _refine_coarsely(
    level: Level, placed: Placement, thickness_ang: float, params: AlignParams, report: Report
) -> tuple[Matched, int]:
    """Refine shifts by matching and the axis by common lines, in turns."""
    matcher = Matcher(level.stack, level.band, thickness_ang)
    radius_ang = _RADIUS_PX * level.stack.pixel_ang
    alignment = _best_start(matcher, placed.alignment, radius_ang, part(report, 0, _COARSE_ROUNDS + 1))
    passes, predictor = 0, None
    range_deg = min(_FINAL_RANGE_DEG, params.axis_range_deg)
    for index in range(_COARSE_ROUNDS):
        share = part(report, index + 1, _COARSE_ROUNDS + 1)
        matched, accepted = refine_shifts(matcher, alignment, radius_ang, params.passes, share, predictor)
        passes, predictor = passes + accepted, matched.predictor
        found_deg, _ = find_axis(level.stack, matched.alignment, matched.axis_deg, range_deg, level.band)
        alignment = matched.alignment.replace(axis_deg=np.full(len(level.stack), found_deg))
        if abs(found_deg - matched.axis_deg) < _SETTLED_DEG:
            break
    return Matched(alignment, matched.steps, matched.predictor), passes


def _refine_finely(
    fine: Level, coarse: Level, start: Matched, thickness_ang: float, params: AlignParams, report: Report
) -> tuple[Matched, int]:
    """Refine shifts at the full working resolution, through no more depth than holds the specimen."""
    slab = find_slab(coarse.stack, start.alignment)
    if start.predictor == "features" and slab.seen:
        thickness_ang = min(thickness_ang, slab.depth_ang(fine.stack.field_ang))
    matcher = Matcher(fine.stack, fine.band, thickness_ang)
    radius_ang = _RADIUS_PX * fine.stack.pixel_ang
    passes = params.passes if params.landmarks == "none" else min(params.passes, _PASSES_BEFORE_LANDMARKS)
    return refine_shifts(matcher, start.alignment, radius_ang, passes, report, start.predictor)


def _believed(
    coarse: Level, fine: Level, matched: Matched, pixel_ang: float, excluded: dict[int, str]
) -> tuple[Level, Level, Matched]:
    """Give up the tilts that disagree with all others, and note why in `excluded`."""
    odd = disagreeing(matched.steps, fine.stack.tilt_deg, pixel_ang)
    excluded.update({int(fine.stack.tilts[place]): reason for place, reason in odd.items()})
    keep = np.array([place not in odd for place in range(len(fine.stack))])
    return coarse.chosen(keep), fine.chosen(keep), matched.chosen(keep)


def _best_start(matcher: Matcher, placed: Alignment, radius_ang: float, report: Report) -> Alignment:
    """Start from the images as recorded if they fit about as well: they may be aligned already.

    Features judge, because they must fit over all tilts; neighbours look alike even along a slow drift.
    """
    recorded = placed.replace(shift_ang_yx=np.zeros_like(placed.shift_ang_yx))
    anew, as_is = (
        matcher.match(alignment, "features", radius_ang, part(report, index, 2)).steps.score
        for index, alignment in enumerate((placed, recorded))
    )
    return placed if anew > _BETTER_START * as_is else recorded


def _axis_error(level: Level, matched: Matched) -> float:
    """Find the axis from either half of the tilts and from either half of the field, and compare."""
    stack, alignment = level.stack, matched.alignment

    def axis_of(part_of_it: WorkStack, its_alignment: Alignment) -> float:
        return find_axis(part_of_it, its_alignment, matched.axis_deg, _FINAL_RANGE_DEG, level.band)[0]

    odd = np.arange(len(stack)) % 2 == 1
    by_tilts = [axis_of(stack.chosen(half), alignment.rigid_part(half)) for half in (odd, ~odd)]
    upper = (np.arange(stack.masks.shape[1]) >= stack.masks.shape[1] // 2)[:, None]
    by_field = [axis_of(replace(stack, masks=stack.masks * half), alignment) for half in (upper, ~upper)]
    return 0.5 * max(abs(by_tilts[0] - by_tilts[1]), abs(by_field[0] - by_field[1]))
