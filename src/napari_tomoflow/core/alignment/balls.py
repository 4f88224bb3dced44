"""Align by balls of the specimen, each back-projected from the other tilts and looked for in the one left out.

A ball is small, so that tilts far apart still tell of each other: what they share of a thing D wide ends at
wavelengths of D · sin of the angle between them. Balls are measured one by one, where each stands out by
itself (features), or many of a neighbourhood together, where none does (patches). Places are measured
and the geometry is solved for in turns, each round looking less far than the one before.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.bundle import Bundle, choose_model, solve_bundle
from napari_tomoflow.core.alignment.bundle_model import RIGID_LADDER, BundleModel, Observations
from napari_tomoflow.core.alignment.prepare import WorkStack, prepare
from napari_tomoflow.core.alignment.recipes import Recipe
from napari_tomoflow.core.alignment.selection import select_places
from napari_tomoflow.core.alignment.sighting import Sightings, sight, whitened
from napari_tomoflow.core.alignment.tracked import Tracked, completed, tracked
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.model.tilt_series import TiltSeries
from napari_tomoflow.core.report import Report, part

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_HIGHPASS_PX = 30.0

_SELECTION_BINNING = 4
_SELECTION_HIGHPASS_PX = 12.0

_DEPTH_OF_FIELD = 0.6
_DEPTH_OF_THICKNESS = 2.0
"""Depth searched: of the field, or of the thickness of the specimen where it is known and thin."""

_LEAST_SHARE = 0.4
"""A landmark is believed when it is sure in this share of the tilts that show it."""

_LEAST_TILTS = 8
_LEAST_LANDMARKS = 6

_OVERSHOOT = 1.0
"""Balls put together with a wrong geometry agree with it and hide about half of an error that many tilts share."""

_DRIFT_DEGREE = 4
"""Polynomials over the tilt angle up to this degree are the part of the shifts that tilts share."""

_DECIMALS = 5
"""Of degrees and Å that places are predicted with."""


class _Solved(NamedTuple):
    """What was seen last and what follows from it, with the geometry it was seen with."""

    observations: Observations
    bundle: Bundle
    before: Alignment
    halves: tuple[Alignment, Alignment] | None


def align_with_balls(
    series: TiltSeries,
    start: Alignment,
    thickness_ang: float | None,
    recipe: Recipe,
    report: Report,
    stack: WorkStack | None = None,
) -> Tracked | None:
    """Align by what the specimen shows at many places.

    Parameters
    ----------
    series : TiltSeries
    start : Alignment
        Of all tilts, right to some two pixels at the sampling alignments work at.
    thickness_ang : float or None
        Of the specimen, if known.
    recipe : Recipe
    report
    stack : WorkStack, optional
        The images as `prepare` gives them; left out, they are read.

    Returns
    -------
    Tracked or None
        None where there are too few places that can be followed, or they contradict each other.

    Notes
    -----
    After EMAN2's landmarks [1]_: dense places of a preliminary tomogram are reconstructed one by one and
    compared with every image. Here the image compared takes no part in the reconstruction, all places go
    to one bundle adjustment, and the steps of the axis and of the slow drift along the series are lengthened,
    because a reconstruction made with a wrong geometry agrees with the images it was made from.

    References
    ----------
    .. [1] Chen, M. et al., Nature Methods 16 (2019) 1161, doi:10.1038/s41592-019-0591-8.
    """
    if stack is None:
        stack, _ = prepare(series, part(report, 0, 2))
    stack = stack.chosen(start.kept[stack.tilts])
    depth_ang = _DEPTH_OF_FIELD * stack.field_ang
    if thickness_ang:
        depth_ang = min(depth_ang, _DEPTH_OF_THICKNESS * thickness_ang)
    try:
        solved = _refine(stack, start, depth_ang, recipe, part(report, 1, 2))
    except DataError:
        # The places do not determine the geometry; the start stands.
        solved = None
    report(1, 1, "Specimen followed")
    if solved is None:
        return None
    size_ang = 2.0 * recipe.radius_px * stack.pixel_ang
    found = tracked(recipe.kind, solved.observations, solved.bundle, start, size_ang)
    return replace(found, before=solved.before, halves=solved.halves)


def _refine(stack: WorkStack, start: Alignment, depth_ang: float, recipe: Recipe, report: Report) -> _Solved | None:
    """Measure and solve in turns; None where there are too few landmarks."""
    coarse = whitened(stack.binned(_SELECTION_BINNING), _SELECTION_HIGHPASS_PX)
    images = whitened(stack, _HIGHPASS_PX)
    alignment = before = start
    points, landmark = np.zeros((0, 3)), np.zeros(0, np.int64)
    for index, one in enumerate(recipe.rounds):
        share = part(report, index, len(recipe.rounds) + 1)
        before, used = alignment, _of_tilts(alignment, stack.tilts)
        if one.anew:
            share(0, 1, "Choosing places")
            points, landmark = select_places(coarse, used, depth_ang, recipe.selection)
            if not len(points):
                return None
        points = points.round(_DECIMALS)
        found = sight(images, used, points, landmark, recipe.radius_px, one.reach_px, part(share, 0, 2))
        believed = _believed(found, recipe.sure_height)
        if len(believed) < _LEAST_LANDMARKS:
            return None
        observations = _observations(found, believed, stack.tilts, recipe.least_height)
        # Only the axis is handed on, lest the tilt angles walk off round by round.
        bundle = solve_bundle(observations, start.replace(axis_deg=alignment.axis_deg), report=part(share, 1, 2))
        alignment = completed(bundle, start)
        if one.overshoot:
            alignment = _overshot(alignment, used, stack.tilts)
        points = points + _moves(found.centre_ang_zyx, believed, bundle.points_ang_zyx)[landmark]
    last = part(report, len(recipe.rounds), len(recipe.rounds) + 1)
    turned = start.replace(axis_deg=alignment.axis_deg)
    model, bundle = choose_model(observations, turned, RIGID_LADDER, part(last, 0, 2))
    return _Solved(observations, bundle, before, _halves(observations, turned, model, part(last, 1, 2)))


def _halves(
    observations: Observations, start: Alignment, model: BundleModel, report: Report
) -> tuple[Alignment, Alignment] | None:
    """Solve with every other landmark, and with the rest; None where a half does not determine the geometry."""

    def solved(rest: int) -> Alignment:
        half = observations.point % 2 == rest
        some = Observations(observations.tilt[half], observations.point[half], observations.position_ang_yx[half])
        return completed(solve_bundle(some, start, model, part(report, rest, 2)), start)

    try:
        return solved(0), solved(1)
    except DataError:
        return None


def _of_tilts(alignment: Alignment, tilts: Ints) -> Alignment:
    """Keep the rigid geometry of some tilts, rounded so that the order of sums does not grow round by round."""
    rigid = alignment.rigid_part(tilts)
    return rigid.replace(
        tilt_deg=rigid.tilt_deg.round(_DECIMALS),
        axis_deg=rigid.axis_deg.round(_DECIMALS),
        xtilt_deg=rigid.xtilt_deg.round(_DECIMALS),
        shift_ang_yx=rigid.shift_ang_yx.round(_DECIMALS),
    )


def _believed(found: Sightings, sure_height: float) -> Ints:
    """Return which landmarks were seen often enough."""
    seen = (found.height > sure_height).sum(axis=1)
    return np.flatnonzero((seen >= _LEAST_TILTS) & (seen >= _LEAST_SHARE * found.shown.sum(axis=1)))


def _observations(found: Sightings, believed: Ints, tilts: Ints, least_height: float) -> Observations:
    """List the sightings that count, the landmarks counted anew."""
    point, row = np.nonzero(found.height[believed] > least_height)
    return Observations(tilts[row], point, found.position_ang_yx[believed[point], row])


def _moves(centres: Floats, believed: Ints, solved: Floats) -> Floats:
    """Say how far each landmark was moved by its solution; the others get another chance where they are."""
    moves = np.zeros_like(centres)
    known = np.isfinite(solved).all(axis=1)
    some = believed[: len(solved)][known]
    moves[some] = solved[known] - centres[some]
    return moves


def _overshot(alignment: Alignment, before: Alignment, tilts: Ints) -> Alignment:
    """Go further the way the axis and the slow drift of the shifts went; what single tilts did is no bias."""
    went_deg = float((alignment.axis_deg[tilts] - before.axis_deg).mean())
    went_ang_yx = alignment.shift_ang_yx[tilts] - before.shift_ang_yx
    # A motion of the whole specimen goes on by itself.
    views = before.rotations[:, [1, 0]].reshape(-1, 3)
    moved_xyz = np.linalg.lstsq(views, went_ang_yx.ravel())[0]
    went_ang_yx -= (views @ moved_xyz).reshape(-1, 2)
    slow = legendre.legvander(before.tilt_deg / np.abs(before.tilt_deg).max(), _DRIFT_DEGREE)
    shifts_ang_yx = np.array(alignment.shift_ang_yx)
    shifts_ang_yx[tilts] += _OVERSHOOT * slow @ np.linalg.lstsq(slow, went_ang_yx)[0]
    return alignment.replace(axis_deg=alignment.axis_deg + _OVERSHOOT * went_deg, shift_ang_yx=shifts_ang_yx)
