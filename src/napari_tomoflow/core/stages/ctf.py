"""Stage: find the contrast transfer function of every tilt."""

from napari_tomoflow.core.ctf.params import CtfParams
from napari_tomoflow.core.model import Alignment, CtfSeries, TiltSeries
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import Stage

__all__ = ["CTF", "CtfParams", "ctf"]


def ctf(
    series: TiltSeries,
    alignment: Alignment | None = None,
    *,
    params: CtfParams = CtfParams(),
    report: Report = silent,
) -> CtfSeries:
    """Fit the CTF of all tilts together, and decide the defocus hand.

    Parameters
    ----------
    series : TiltSeries
        Images are read one at a time.
    alignment : Alignment, optional
        Without it the angles and the axis the microscope claims are used; without an axis, no gradient.
    params : CtfParams
    report

    Returns
    -------
    CtfSeries
        Defocus at the specimen's centre. Tilts left out are interpolated, their score and resolution NaN.
        ``quality["spectra"]`` has the radial curve of each tilt, measured and fitted.

    Raises
    ------
    DataError
        The images are too small or too coarse, or hold nothing.

    Notes
    -----
    1. Power spectra of half-overlapping tiles are summed over rings and sectors. 2. The log-likelihood of the rings
    is linear in exp(2iγ), so it is tabulated once and every tile is read at its own defocus, from the tilt
    geometry. 3. The low tilts settle first; how high their rings stand, less what exposure fades, is what the other
    tilts are expected to show, so that the specimen's own structure is not taken for rings. 4. Each tilt's defocus
    is weighed against a smooth course through the others'. 5. Slope of the specimen and astigmatism, mean and
    change, follow by Gauss-Newton steps; of the astigmatism what noise makes of none at all is taken off. 6. Both
    signs of the gradient are compared with each other and with none. 7. A phase shift, where it is to be found, is
    tried with all of this found anew for each. 8. Where low tilts agree with the fit only as far as gold and
    molecules have rings of their own, gold is taken out of the images and all is done anew. Where low tilts then
    show no rings, one defocus is found for the sum of all tilts, near the one that gold's fringes tell; and where
    rings leave the sign open, the fringes of gold at different depths are asked as well.

    Not fitted: beam tilt, magnification distortion, thickness, a phase shift that changes over the series.

    References
    ----------
    .. [1] Rohou and Grigorieff, J. Struct. Biol. 192 (2015) 216, doi:10.1016/j.jsb.2015.08.008. Score and
       resolution of a fit.
    .. [2] Chen et al., Nat. Methods 16 (2019) 1161, doi:10.1038/s41592-019-0591-8. All tiles of a tilt for
       one defocus.
    .. [3] Tegunov and Cramer, Nat. Methods 16 (2019) 1146, doi:10.1038/s41592-019-0580-y. One model for
       a series.
    """
    from threadpoolctl import threadpool_limits

    from napari_tomoflow.core.ctf.course import fit_series
    from napari_tomoflow.core.ctf.series_spectra import SeriesSpectra
    from napari_tomoflow.core.ctf.verdict import ctf_series, form_taken_for_rings

    if alignment is None and series.axis_deg is not None:
        alignment = Alignment.nominal(series)
    measured = SeriesSpectra.measure(series, alignment, params, part(report, 0, 4))
    # The matrix products are too small to share: more threads only wait for each other.
    with threadpool_limits(1, "blas"):
        course = fit_series(measured, params, series.defocus_hand, part(report, 1, 4))
        if form_taken_for_rings(measured, course):
            bare = SeriesSpectra.measure(series, alignment, params, part(report, 2, 4), without_gold=True)
            if bare.beads:
                measured, course = bare, fit_series(bare, params, series.defocus_hand, part(report, 3, 4))
        report(1, 1, "Fitted")
        return ctf_series(series, alignment, measured, course, params)


CTF = Stage.of(
    ctf,
    version=3,
    cites=("10.1016/j.jsb.2015.08.008", "10.1038/s41592-019-0591-8", "10.1038/s41592-019-0580-y"),
)
