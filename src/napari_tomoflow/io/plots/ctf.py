"""Figures of a CTF: its course over the tilts, and every tilt's spectrum against its fit."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_tomoflow.core.model import CtfSeries, TiltSeries

Floats = NDArray[np.float64]

_COLUMNS = 6


def ctf_figures(ctf: CtfSeries, series: TiltSeries) -> dict[str, Figure]:
    """Draw the CTF of a series.

    Returns
    -------
    dict of str to Figure
        ``ctf``, its course over the tilts; where the stage left its curves also ``spectra``.
    """
    figures = {"ctf": course_figure(ctf, series)}
    if "spectra" in ctf.quality:
        figures["spectra"] = spectra_figure(ctf, series)
    return figures


def course_figure(ctf: CtfSeries, series: TiltSeries) -> Figure:
    """Draw defocus, astigmatism, resolution and score over the tilt; doubtful tilts are marked."""
    figure = Figure(figsize=(11, 8), layout="constrained")
    defocus, astigmatism, resolution, score = figure.subplots(2, 2, sharex=True).ravel()
    tilt_deg = series.tilt_deg
    doubtful = [int(tilt) for tilt in ctf.quality.get("tilts_doubtful", {})]
    error_ang = _numbers(ctf.quality.get("defocus_error_ang"), ctf.n_tilts)
    defocus.errorbar(tilt_deg, 1e-4 * ctf.defocus_ang, 1e-4 * np.nan_to_num(error_ang), fmt="o", ms=4, lw=1)
    defocus.plot(tilt_deg[doubtful], 1e-4 * ctf.defocus_ang[doubtful], "x", color="C3", ms=9, label="doubtful")
    defocus.set(title=f"Defocus; hand {ctf.hand:+d}", ylabel="defocus, µm")
    astigmatism.plot(tilt_deg, ctf.defocus_u_ang - ctf.defocus_v_ang, "o", ms=4)
    astigmatism.set(title="Astigmatism", ylabel="difference, Å")
    azimuth = astigmatism.twinx()
    azimuth.plot(tilt_deg, ctf.azimuth_deg, ".", color="C1")
    azimuth.set(ylabel="azimuth, ° (small dots)", ylim=(0, 180))
    resolution.plot(tilt_deg, ctf.fit_ang, "o", ms=4, label="correlation 0.143")
    half_ang = _numbers(ctf.quality.get("resolution_half_ang"), ctf.n_tilts)
    resolution.plot(tilt_deg, half_ang, ".", label="correlation 0.5")
    resolution.set(title="Resolution of the rings", ylabel="resolution, Å", xlabel="nominal tilt, °")
    score.plot(tilt_deg, ctf.score, "o", ms=4)
    score.set(title="Correlation of spectrum and fit", ylabel="score", ylim=(0, 1), xlabel="nominal tilt, °")
    for panel in (defocus, resolution):
        panel.legend(fontsize=8)
    for panel in (defocus, astigmatism, resolution, score):
        panel.grid(alpha=0.3)
    return figure


def spectra_figure(ctf: CtfSeries, series: TiltSeries) -> Figure:
    """Draw the measured and fitted radial curve of every tilt, in the order of the tilts."""
    spectra: dict[str, Any] = ctf.quality["spectra"]
    k = np.array(spectra["k_inv_ang"])
    tilts = np.array(spectra["tilts"], np.int64)
    rows = -(-len(tilts) // _COLUMNS)
    figure = Figure(figsize=(2.6 * _COLUMNS, 1.7 * rows), layout="constrained")
    panels = figure.subplots(rows, _COLUMNS, sharex=True, squeeze=False).ravel()
    for place, panel in zip(np.argsort(series.tilt_deg[tilts], kind="stable"), panels, strict=False):
        measured, fitted = (_numbers(spectra[name][place], len(k)) for name in ("measured", "fitted"))
        panel.plot(k, measured, color="0.5", lw=0.8)
        panel.plot(k, fitted, color="C3", lw=1)
        fine = k > 0.6 * k[0] + 0.4 * k[-1]  # the coarse end would squeeze the rest flat
        limit = 6 * float(np.nanstd(measured[fine])) + 1e-6
        tilt = tilts[place]
        panel.set(ylim=(-limit, limit), yticks=[])
        panel.set_title(
            f"{series.tilt_deg[tilt]:.0f}°  {1e-4 * ctf.defocus_ang[tilt]:.2f} µm  {ctf.fit_ang[tilt]:.0f} Å",
            fontsize=8,
        )
    for panel in panels[len(tilts) :]:
        panel.set_visible(False)
    figure.supxlabel("frequency, 1/Å")
    figure.suptitle("Power above the background: measured (grey), fitted (red)", fontsize=10)
    return figure


def _numbers(values: Any, count: int) -> Floats:
    """Take a list from a quality record, None being not known."""
    return np.full(count, np.nan) if values is None else np.array(values, np.float64)
