"""Stage: find the geometry of a tilt series from its images."""

from dataclasses import replace

from napari_tomoflow.core.alignment.params import AlignParams
from napari_tomoflow.core.model import Alignment, TiltSeries
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import Stage

__all__ = ["ALIGN", "AlignParams", "align"]


def align(series: TiltSeries, params: AlignParams = AlignParams(), report: Report = silent) -> Alignment:
    """Align a tilt series: match each image with what the others predict, then follow gold, features or patches.

    Parameters
    ----------
    series : TiltSeries
        Images are read one at a time.
    params : AlignParams
    report

    Returns
    -------
    Alignment
        A shift for each tilt, and as much of its own axis and angle as landmarks can tell; the specimen
        centred, and flat where its slope is known. Tilts left out are marked, their shifts interpolated.
        ``residual_ang`` is how far the landmarks of each tilt lie from their predictions; without
        landmarks, how far the last pass and the two halves of the field disagree about it, in which an
        error of the common axis does not show.

    Raises
    ------
    DataError
        Fewer than five tilts hold an image, or the images correlate no better than images with nothing
        in common do.

    Notes
    -----
    1. Images are binned by Fourier crop, cleaned, windowed and band-passed. 2. From the lowest tilt
    outward, each is matched with its neighbours, stretched across the axis; the axis comes from common
    lines, after trying all directions when nobody said. 3. Each image is matched with the projection of
    a slab, or of what stands out in a back-projection, made of the other images: whichever predicts
    held-out matter better, and only for as long as it does. 4. The specimen is found where two half
    data sets reconstruct the same. 5. Gold is followed where there is enough, otherwise dense features of
    the specimen, each compared with what the other tilts show of it; where these are few, patches as well,
    neighbourhoods of many places too faint to be found one by one. One bundle adjustment of the landmarks
    of which the smallest error is to be expected is taken where that is smaller than without. 6. How the
    beam bends the specimen is fitted with it, and kept where it predicts landmarks left out whole.

    Magnification is not refined. A half-turn of the axis mirrors the result and leaves no residual:
    blind, the hand is not determined.

    References
    ----------
    .. [1] Zheng et al., J. Struct. Biol. X 6 (2022) 100068, doi:10.1016/j.yjsbx.2022.100068. The order of
       coarse shifts, common lines and projection matching.
    .. [2] Winkler and Taylor, Ultramicroscopy 106 (2006) 240, doi:10.1016/j.ultramic.2005.07.007. Matching
       with reprojections of what is aligned already.
    """
    from napari_tomoflow.core.alignment.course import align_stack
    from napari_tomoflow.core.alignment.gauge import centred, filled
    from napari_tomoflow.core.alignment.landmark_course import refine_with_landmarks
    from napari_tomoflow.core.alignment.prepare import prepare
    from napari_tomoflow.core.alignment.sheets import told_by_points
    from napari_tomoflow.core.alignment.verdict import describe

    stack, excluded = prepare(series, part(report, 0, 3))
    course = align_stack(series.name, stack, params, series.axis_deg, part(report, 1, 3))
    whole = filled(course.matched.alignment, course.stack.tilts, series.tilt_deg, course.matched.steps.residual_ang)
    start = centred(whole, course.slab, level=False)
    choice = refine_with_landmarks(series, start, course, params, part(report, 2, 3))
    slab = replace(course.slab, height_ang=0.0)
    if choice.tracked is not None:
        slab = told_by_points(slab, choice.tracked.bundle.points_ang_zyx)
    alignment = centred(choice.alignment, slab, level=params.level)
    alignment = alignment.replace(thickness_ang=slab.thickness_ang if slab.seen else None)
    nominal_deg = series.axis_deg if params.axis_deg is None else params.axis_deg
    return alignment.replace(
        quality=describe(series, alignment, replace(course, slab=slab), choice, excluded, nominal_deg)
    )


ALIGN = Stage.of(align, version=5, cites=("10.1016/j.yjsbx.2022.100068", "10.1016/j.ultramic.2005.07.007"))
