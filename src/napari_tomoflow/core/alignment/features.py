"""Align by features of the specimen itself: dense places, each found by itself."""

from napari_tomoflow.core.alignment.balls import Recipe, Round, align_with_balls
from napari_tomoflow.core.alignment.prepare import WorkStack
from napari_tomoflow.core.alignment.selection import Selection
from napari_tomoflow.core.alignment.tracked import Tracked
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.model.tilt_series import TiltSeries
from napari_tomoflow.core.report import Report

_FEATURES = Recipe(
    kind="feature",
    # A large molecule or a piece of a membrane fits in, its neighbours do not.
    radius_px=16,
    selection=Selection(most=100, apart_of_field=0.05),
    least_height=1.5,
    sure_height=1.5,
    # A start wrong by two pixels and two degrees is right to a fraction of a pixel after two; the rest polishes.
    rounds=(
        Round(5, anew=True, overshoot=True),
        Round(3, anew=False, overshoot=True),
        Round(3, anew=True, overshoot=True),
        Round(2, anew=False, overshoot=False),
    ),
)


def align_with_features(
    series: TiltSeries,
    start: Alignment,
    thickness_ang: float | None,
    report: Report,
    stack: WorkStack | None = None,
) -> Tracked | None:
    """Align by features of the specimen that can be followed.

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
        None where there are too few features that can be followed, or their places contradict each other.

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
    return align_with_balls(series, start, thickness_ang, _FEATURES, report, stack)
