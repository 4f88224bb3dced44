"""Align by patches of the specimen: neighbourhoods whose places are too faint to be found one by one."""

from napari_tomoflow.core.alignment.balls import Recipe, Round, align_with_balls
from napari_tomoflow.core.alignment.prepare import WorkStack
from napari_tomoflow.core.alignment.selection import Selection
from napari_tomoflow.core.alignment.tracked import Tracked
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.model.tilt_series import TiltSeries
from napari_tomoflow.core.report import Report

_PATCHES = Recipe(
    kind="patch",
    radius_px=16,
    # Some twenty balls to a patch, at all heights.
    selection=Selection(most=300, apart_of_field=0.045, neighbourhoods=4),
    least_height=2.0,
    # The highest of all places searched in noise comes to 2.4 on average.
    sure_height=3.5,
    # Where little is seen the steps are uncertain too, and it takes one round more than for features.
    rounds=(
        Round(5, anew=True, overshoot=True),
        Round(4, anew=True, overshoot=True),
        Round(3, anew=True, overshoot=True),
        Round(3, anew=True, overshoot=True),
        Round(2, anew=True, overshoot=False),
    ),
)


def align_with_patches(
    series: TiltSeries,
    start: Alignment,
    thickness_ang: float | None,
    report: Report,
    stack: WorkStack | None = None,
) -> Tracked | None:
    """Align by patches of the specimen, each a neighbourhood of many balls.

    Parameters
    ----------
    series : TiltSeries
    start : Alignment
        Of all tilts, right to some two pixels at the sampling alignments work at.
    thickness_ang : float or None
        Of the specimen, if known.
    report
    stack : WorkStack, optional
        The images as `prepare` gives them; left out, they are read.

    Returns
    -------
    Tracked or None
        None where there are too few patches that can be followed, or they contradict each other.

    Notes
    -----
    A patch that is compared as a whole sees only its nearest tilts: what two tilts share of a thing D wide ends
    at wavelengths of D · sin of the angle between them. So nothing of a slow drift shows in it. Here a patch
    adds up what small balls say, each of which all tilts tell of.
    """
    return align_with_balls(series, start, thickness_ang, _PATCHES, report, stack)
