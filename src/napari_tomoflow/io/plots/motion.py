"""Figures of motion correction: the path of every tilt, and how much each moved."""

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from napari_tomoflow.core.model import TiltSeries

_GREY = "0.6"


def motion_figures(series: TiltSeries) -> dict[str, Figure]:
    """Draw the paths of a series that `motion` made.

    Returns
    -------
    dict of str to Figure
        ``motion``: paths, motion in each third of the exposure, and agreement of the half sums; nothing for
        a series that was not made from movies.
    """
    rows = [row for row in series.quality.get("tilts", ()) if row.get("frames")]
    if not rows:
        return {}
    figure = Figure(figsize=(13, 8), layout="constrained")
    paths, right = figure.subfigures(1, 2, width_ratios=(1.2, 1), squeeze=False)[0]
    _draw_paths(paths, paths.subplots(), series, rows)
    motion, agreement = right.subplots(2, 1, sharex=True)
    _draw_motion(motion, series, rows)
    _draw_agreement(agreement, series, rows)
    gain = series.quality.get("gain")
    laid = f"; gain {gain['orientation']}, {gain['use']}" if gain else ""
    figure.suptitle(f"{series.name}: frames of {len(rows)} tilts{laid}")
    return {"motion": figure}


def _draw_paths(figure: Any, panel: Axes, series: TiltSeries, rows: list[dict[str, Any]]) -> None:
    """Draw each tilt's path from its first frame, coloured by tilt; a dot marks where it ends."""
    shade = ScalarMappable(Normalize(series.tilt_deg.min(), series.tilt_deg.max() + 1e-9), colormaps["viridis"])
    for row in rows:
        path = np.array(row["shift_ang_yx"])
        y, x = (path - path[0]).T
        colour = shade.to_rgba(row["tilt_deg"]) if series.kept[row["tilt"]] else _GREY
        panel.plot(x, y, "-", color=colour, lw=1)
        panel.plot(x[-1], y[-1], ".", color=colour)
    panel.axhline(0, color="0.8", lw=0.8, zorder=0)
    panel.axvline(0, color="0.8", lw=0.8, zorder=0)
    panel.set(title="Paths from the first frame on", xlabel="x, Å", ylabel="y, Å", aspect="equal")
    panel.set(adjustable="datalim")
    panel.grid(alpha=0.3)
    figure.colorbar(shade, ax=panel, label="nominal tilt, °", shrink=0.8)


def _draw_motion(panel: Axes, series: TiltSeries, rows: list[dict[str, Any]]) -> None:
    """Draw the length of each path, split into the thirds of the exposure, and local motion where it was taken out."""
    rows = sorted(rows, key=lambda row: float(row["tilt_deg"]))
    tilts = [row["tilt_deg"] for row in rows]
    width = 0.8 * (np.ptp(tilts) / max(len(tilts) - 1, 1) or 1.0)
    base = np.zeros(len(rows))
    for third, name in enumerate(("first third", "second third", "last third")):
        lengths = np.array([row["motion_of_thirds_ang"][third] for row in rows])
        panel.bar(tilts, lengths, width, base, label=name, color=f"C{third}")
        base += lengths
    bent = [row for row in rows if (row.get("local") or {}).get("kept")]
    if bent:
        largest = [row["local"]["largest_motion_ang"] for row in bent]
        panel.plot([row["tilt_deg"] for row in bent], largest, "kD", ms=4, label="largest local motion")
    panel.set(title="Length of the path", ylabel="motion, Å")
    panel.legend(fontsize=8)
    panel.grid(alpha=0.3)
    for row in rows:
        if not series.kept[row["tilt"]]:
            panel.axvline(row["tilt_deg"], color="0.85", lw=3, zorder=0)


def _draw_agreement(panel: Axes, series: TiltSeries, rows: list[dict[str, Any]]) -> None:
    """Draw to which detail the sums of odd and even frames agree."""
    known = [row for row in rows if row["halves_agree_ang"] and series.kept[row["tilt"]]]
    known.sort(key=lambda row: float(row["tilt_deg"]))
    panel.plot([row["tilt_deg"] for row in known], [row["halves_agree_ang"] for row in known], ".-", lw=0.8)
    panel.set(title="Odd and even frames correlate by 0.143 at", xlabel="nominal tilt, °", ylabel="resolution, Å")
    panel.margins(y=0.15)
    panel.set_ylim(bottom=0)
    panel.grid(alpha=0.3)
    if not known:
        panel.text(0.5, 0.5, "not measured", ha="center", transform=panel.transAxes)
