"""Align by gold: start from an alignment right to a few pixels, find the beads, follow them, solve, look again."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.bundle import Bundle, choose_model, solve_bundle
from napari_tomoflow.core.alignment.bundle_model import RIGID_LADDER, Observations
from napari_tomoflow.core.alignment.gold import Detections, detect_gold, measure_diameter
from napari_tomoflow.core.alignment.tracked import Tracked, completed, tracked
from napari_tomoflow.core.alignment.tracking import make_beads, observe
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.model.tilt_series import TiltSeries
from napari_tomoflow.core.report import Report, part

_LEAST_HEIGHT = 12.0
"""Gold stands out of the noise of one image by this factor; molecules hardly do."""

_LEAST_BEADS = 5
_LEAST_TILTS = 5

_FIRST_RADIUS_DIAMETERS = 1.5
_LAST_RADIUS_DIAMETERS = 0.4
"""How far from its prediction a bead is looked for, first and at last."""

_ROUNDS = 4
_ROUNDS_OF_SEARCH = 2
"""In the second round beads are searched for anew: the better alignment shows more of them."""

_DEPTH_OF_FIELD = 0.5
"""Depth searched for beads, as a fraction of the field, when nothing is known of the specimen."""

_DEPTH_OF_THICKNESS = 2.0

_MOST_RESIDUAL_DIAMETERS = 0.15
"""Beads are centred to a small part of their diameter: what scatters more is no bead, or not followed rightly."""


def align_with_gold(
    series: TiltSeries, start: Alignment, diameter_ang: float | None, depth_ang: float | None, report: Report
) -> Tracked | None:
    """Align by gold where there is enough of it.

    Parameters
    ----------
    series : TiltSeries
    start : Alignment
        Of all tilts, right to about one bead.
    diameter_ang : float or None
        Of the beads; None to find out.
    depth_ang : float or None
        Thickness of the specimen, if known.
    report

    Returns
    -------
    Tracked or None
        None where there are not five beads that can be followed, or their places contradict each other.
    """
    height = np.inf
    if diameter_ang is None:
        diameter_ang, height = measure_diameter(series, part(report, 0, 3))
    if height < _LEAST_HEIGHT:
        report(1, 1, "No gold found")
        return None
    detections = detect_gold(series, np.flatnonzero(start.kept), diameter_ang, part(report, 1, 3))
    field_ang = np.array(series.shape_yx) * series.pixel_ang
    depth_ang = _DEPTH_OF_THICKNESS * depth_ang if depth_ang else _DEPTH_OF_FIELD * float(field_ang.min())
    try:
        solved = _solve(detections, start, diameter_ang, depth_ang, 0.5 * field_ang, part(report, 2, 3))
    except DataError:
        # The beads do not determine the geometry; the start stands.
        solved = None
    report(1, 1, "Gold followed")
    if solved is None:
        return None
    observations, bundle = solved
    return tracked("gold", observations, bundle, start, diameter_ang)


def _solve(
    detections: Sequence[Detections],
    start: Alignment,
    diameter_ang: float,
    depth_ang: float,
    half_field_ang: NDArray[np.float64],
    report: Report,
) -> tuple[Observations, Bundle] | None:
    """Follow and solve in turns, the radius shrinking; None where the beads are too few or scatter too much."""
    shrinking = np.geomspace(_FIRST_RADIUS_DIAMETERS, _LAST_RADIUS_DIAMETERS, _ROUNDS)
    radii_ang = [diameter_ang * float(factor) for factor in shrinking]
    alignment = start
    for done, radius_ang in enumerate(radii_ang):
        share = part(report, done, _ROUNDS + 1)
        share(0, 1, "Following beads")
        if done < _ROUNDS_OF_SEARCH:
            points = make_beads(detections, alignment, depth_ang, radius_ang, diameter_ang, part(share, 0, 2))
        observations, points = observe(points, detections, alignment, radius_ang, diameter_ang, half_field_ang)
        bundle = solve_bundle(observations, alignment, report=part(share, 1, 2))
        points = bundle.points_ang_zyx[np.isfinite(bundle.points_ang_zyx).all(axis=1)]
        alignment = completed(bundle, start)
    observations, _ = observe(points, detections, alignment, radii_ang[-1], diameter_ang, half_field_ang)
    _, bundle = choose_model(observations, start, RIGID_LADDER, part(report, _ROUNDS, _ROUNDS + 1))
    return (observations, bundle) if _is_sound(bundle, diameter_ang) else None


def _is_sound(bundle: Bundle, diameter_ang: float) -> bool:
    """Tell whether enough beads in enough tilts agree with each other."""
    agree = bundle.leave_out_rms_ang < _MOST_RESIDUAL_DIAMETERS * diameter_ang
    return bundle.n_points_used >= _LEAST_BEADS and int(bundle.alignment.kept.sum()) >= _LEAST_TILTS and agree
