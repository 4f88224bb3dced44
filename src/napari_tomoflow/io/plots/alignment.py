"""Figures of an alignment: what it changed in every tilt, and how well its landmarks agree."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.model import Alignment, Landmarks, TiltSeries

Floats = NDArray[np.float64]

_GREY = "0.6"
_ARROW_SHARE = 0.03
"""Length of an arrow of a usual residual, as a share of the field."""


def alignment_figures(alignment: Alignment, series: TiltSeries) -> dict[str, Figure]:
    """Draw an alignment of a series.

    Returns
    -------
    dict of str to Figure
        ``alignment``, what it found for each tilt; with landmarks also ``landmarks``, their residuals.
    """
    figures = {"alignment": tilts_figure(alignment, series)}
    if alignment.landmarks is not None and alignment.landmarks.believed.any():
        figures["landmarks"] = landmarks_figure(alignment, alignment.landmarks, series)
    return figures


def tilts_figure(alignment: Alignment, series: TiltSeries) -> Figure:
    """Draw shift, residual, changes of the angles and measurements of each tilt; those left out are marked."""
    figure = Figure(figsize=(11, 8), layout="constrained")
    panels = figure.subplots(3, 2, sharex=True).ravel()
    shift, residual, axis, tilt, xtilt, count = panels
    pixel = series.pixel_ang
    _per_tilt(shift, alignment, series, alignment.shift_ang_yx[:, 1] / pixel, "along x")
    _per_tilt(shift, alignment, series, alignment.shift_ang_yx[:, 0] / pixel, "along y")
    _per_tilt(residual, alignment, series, alignment.residual_ang / pixel)
    for panel, what in ((shift, "shift"), (residual, "residual")):
        panel.set(title=what.capitalize(), ylabel=f"{what}, px")
        _add_nm(panel, pixel, what)
    residual.set_ylim(bottom=0)
    if np.isnan(alignment.residual_ang).all():
        residual.text(0.5, 0.5, "not measured", ha="center", transform=residual.transAxes)
    usual_deg, change_deg = _axis_change(alignment)
    _per_tilt(axis, alignment, series, change_deg)
    axis.set(title=f"Tilt axis, beside {usual_deg:.2f}°", ylabel="change, °")
    _per_tilt(tilt, alignment, series, alignment.tilt_deg - series.tilt_deg)
    tilt.set(title="Tilt, beside the nominal one", ylabel="change, °")
    _per_tilt(xtilt, alignment, series, alignment.xtilt_deg)
    xtilt.set(title="Tilt along the axis (x-tilt)", ylabel="x-tilt, °")
    _draw_counts(count, alignment, series)
    for panel in (shift, count):
        panel.legend(fontsize=8)
    for panel in panels:
        panel.grid(alpha=0.3)
    for panel in (xtilt, count):
        panel.set_xlabel("nominal tilt, °")
    figure.suptitle(f"{series.name}: {alignment.kept.sum()} of {alignment.n_tilts} tilts aligned")
    return figure


def landmarks_figure(alignment: Alignment, marks: Landmarks, series: TiltSeries) -> Figure:
    """Draw the residuals of all landmarks over the field, and the RMS of each landmark."""
    figure = Figure(figsize=(13, 6), layout="compressed")
    field, bars = figure.subplots(1, 2)
    residual_ang = alignment.landmark_residuals()
    _draw_arrows(figure, field, marks, residual_ang, series)
    _draw_bars(bars, marks, residual_ang / series.pixel_ang)
    _add_nm(bars, series.pixel_ang, "RMS residual")
    n_rejected = int((~marks.believed).sum())
    figure.suptitle(
        f"{series.name}: {marks.n_points} landmarks ({marks.kind}), {len(marks.tilt)} measurements, "
        f"{n_rejected} rejected"
    )
    return figure


def _per_tilt(panel: Axes, alignment: Alignment, series: TiltSeries, values: Floats, label: str | None = None) -> None:
    """Draw one value per tilt, in the order of the angles; tilts left out as grey crosses."""
    order = np.argsort(series.tilt_deg, kind="stable")
    kept, left_out = order[alignment.kept[order]], order[~alignment.kept[order]]
    panel.plot(series.tilt_deg[kept], values[kept], ".-", lw=0.8, label=label)
    panel.plot(series.tilt_deg[left_out], values[left_out], "x", color=_GREY)
    for tilt in left_out:
        panel.axvline(series.tilt_deg[tilt], color="0.85", lw=3, zorder=0)


def _draw_counts(panel: Axes, alignment: Alignment, series: TiltSeries) -> None:
    """Draw how many landmarks each tilt rests on; without landmarks, which tilts are used."""
    panel.set(title="Landmarks", ylabel="measurements")
    marks = alignment.landmarks
    if marks is None:
        panel.set(title="Tilts in use", ylabel="1 used, 0 left out", yticks=[0, 1])
        _per_tilt(panel, alignment, series, alignment.kept.astype(np.float64), "aligned")
    else:
        for which, label in ((marks.believed, "believed"), (~marks.believed, "rejected")):
            counts = np.bincount(marks.tilt[which], minlength=alignment.n_tilts)
            _per_tilt(panel, alignment, series, counts.astype(np.float64), label)
    if not alignment.kept.all():
        panel.plot([], [], "x", color=_GREY, label="tilt left out")
    panel.set_ylim(bottom=-0.05 * panel.get_ylim()[1])


def _draw_arrows(figure: Figure, panel: Axes, marks: Landmarks, residual_ang: Floats, series: TiltSeries) -> None:
    """Draw a scaled arrow for every measurement that is believed, a cross for every other."""
    believed = marks.believed
    y_nm, x_nm = (marks.position_ang_yx / 10).T
    half_nm = np.array(series.shape_yx) * series.pixel_ang / 20
    lengths = np.hypot(*residual_ang[believed].T)
    usual_px = float(np.sqrt(np.mean(lengths**2))) / series.pixel_ang
    unit_px = _round_number(max(usual_px, 1e-3))
    per_nm = unit_px * series.pixel_ang / (2 * _ARROW_SHARE * float(half_nm.max()))
    v, u = residual_ang[believed].T
    arrows = panel.quiver(
        x_nm[believed], y_nm[believed], u, v, series.tilt_deg[marks.tilt[believed]],
        angles="xy", scale_units="xy", scale=per_nm, width=0.002, cmap="viridis",
    )  # fmt: skip
    panel.plot(x_nm[~believed], y_nm[~believed], "x", color=_GREY, ms=4, label="rejected")
    key = panel.quiverkey(arrows, 0.88, 1.03, unit_px * series.pixel_ang, f"{unit_px:g} px", labelpos="E")
    for artist in (arrows, key):
        artist.set_in_layout(False)  # their extent is not known before they are drawn
    figure.colorbar(arrows, ax=panel, label="nominal tilt, °", shrink=0.8)
    panel.set(
        title="Residuals over the field", xlabel="x, nm", ylabel="y, nm", aspect="equal",
        xlim=(-half_nm[1], half_nm[1]), ylim=(-half_nm[0], half_nm[0]),
    )  # fmt: skip
    if not believed.all():
        panel.legend(fontsize=8, loc="upper left")


def _draw_bars(panel: Axes, marks: Landmarks, residual_px: Floats) -> None:
    """Draw the RMS residual of every landmark, over the measurements that are believed; dropped ones are marked."""
    believed = marks.believed
    squared = np.bincount(marks.point[believed], (residual_px[believed] ** 2).sum(axis=1), marks.n_points)
    counts = np.bincount(marks.point[believed], minlength=marks.n_points)
    numbers = np.arange(marks.n_points)
    used = counts > 0
    panel.bar(numbers[used], np.sqrt(squared[used] / counts[used]))
    if not used.all():
        panel.plot(numbers[~used], np.zeros((~used).sum()), "x", color=_GREY, label="dropped", clip_on=False)
    usual_px = float(np.sqrt(squared.sum() / counts.sum()))
    panel.axhline(usual_px, color="C3", lw=0.8, label=f"all: {usual_px:.3f} px")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.set(title="RMS residual of each landmark", xlabel="landmark", ylabel="RMS residual, px")
    panel.legend(fontsize=8)


def _add_nm(panel: Axes, pixel_ang: float, what: str) -> None:
    """Add a scale in nm on the right of a panel in px."""

    def nm_from_px(px: ArrayLike) -> Floats:
        return np.asarray(px, np.float64) * pixel_ang / 10

    def px_from_nm(nm: ArrayLike) -> Floats:
        return np.asarray(nm, np.float64) * 10 / pixel_ang

    panel.secondary_yaxis("right", functions=(nm_from_px, px_from_nm)).set_ylabel(f"{what}, nm")


def _axis_change(alignment: Alignment) -> tuple[float, Floats]:
    """Return the usual direction of the axis and how far each tilt is from it, both in degrees within ±180."""
    first = alignment.axis_deg[0]
    usual = _within_half_turn(first + np.median(_within_half_turn(alignment.axis_deg[alignment.kept] - first)))
    return float(usual), _within_half_turn(alignment.axis_deg - usual)


def _within_half_turn(angle_deg: ArrayLike) -> Floats:
    return np.asarray((np.asarray(angle_deg) + 180.0) % 360.0 - 180.0)


def _round_number(value: float) -> float:
    """Return 1, 2 or 5 times a power of ten, at most `value`."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * max(digit for digit in (1, 2, 5) if digit * power <= value * (1 + 1e-9)))
