"""Figures of an average: how far its halves agree, what they look like, and how it came about."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_tomoflow.core.model import Average

Floats = NDArray[np.float64]

_PLANES = ("xy", "xz", "yz")
_SHADES = (0.5, 99.8)
"""Percentiles of a slice that are drawn black and white."""


def average_figures(average: Average) -> dict[str, Figure]:
    """Draw an average.

    Returns
    -------
    dict of str to Figure
        ``slices`` through the map and both halves; where the stage left its record also ``fsc``, how far the halves
        agree, and ``convergence``, how iterations, scores and directions turned out.
    """
    figures = {"slices": slices_figure(average)}
    if "fsc" in average.quality:
        figures["fsc"] = fsc_figure(average)
    if "iterations" in average.quality:
        figures["convergence"] = convergence_figure(average)
    return figures


def slices_figure(average: Average) -> Figure:
    """Draw the three central slices of the map and of each half."""
    volumes = {"map": average.map.volume}
    if average.map.halves is not None:
        volumes |= {"half 1": average.map.halves[0], "half 2": average.map.halves[1]}
    figure = Figure(figsize=(8, 2.7 * len(volumes)), layout="constrained")
    panels = figure.subplots(len(volumes), len(_PLANES), squeeze=False)
    for row, (name, volume) in zip(panels, volumes.items(), strict=True):
        density = np.asarray(volume, np.float32)
        z, y, x = (length // 2 for length in density.shape)
        for panel, plane, image in zip(row, _PLANES, (density[z], density[:, y], density[:, :, x]), strict=True):
            low, high = np.percentile(image, _SHADES)
            panel.imshow(image, cmap="gray", origin="lower", vmin=low, vmax=high)
            panel.set(title=f"{name}, {plane}", xticks=[], yticks=[])
    figure.suptitle(f"{average.map.name}: {len(average.particles)} particles, {average.map.symmetry}")
    return figure


def fsc_figure(average: Average) -> Figure:
    """Draw the FSC of the halves: as they are, masked, with random phases, and freed of what the mask adds."""
    curves: dict[str, Any] = average.quality["fsc"]
    k = np.array(curves["frequency_inv_ang"])
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    panel = figure.subplots()
    for name, style in (("unmasked", "C0--"), ("masked", "C1--"), ("randomised", "C3:"), ("corrected", "k-")):
        panel.plot(k, curves[name], style, label=name, lw=1.8 if name == "corrected" else 1.0)
    for threshold in (0.143, 0.5):
        panel.axhline(threshold, color="0.6", lw=0.8)
    found = average.quality.get("resolution_ang")
    panel.set(
        title="No resolution beyond what both halves began with" if found is None else f"Resolution {found:.1f} Å",
        xlabel="frequency, 1/Å",
        ylabel="FSC",
        ylim=(-0.15, 1.05),
        xlim=(0, k[-1]),
    )
    panel.legend(fontsize=8)
    return figure


def convergence_figure(average: Average) -> Figure:
    """Draw resolution and changes over the iterations, the scores of the particles, and where they are seen from."""
    history: list[dict[str, Any]] = average.quality["iterations"]
    number = np.arange(1, len(history) + 1)
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    resolution, turned, scores, directions = figure.subplots(2, 2).ravel()
    found = [np.nan if one["resolution_ang"] is None else one["resolution_ang"] for one in history]
    resolution.plot(number, found, "o-")
    resolution.set(title="Resolution (FSC 0.143)", xlabel="iteration", ylabel="Å")
    _draw_changes(turned, number, history)
    binned = average.quality["score"]
    scores.stairs(binned["counts"], binned["edges"], fill=True)
    scores.set(title="Scores", xlabel="correlation with the average", ylabel="particles")
    counts = np.array(average.quality["directions"])
    shown = directions.imshow(counts, extent=(0, 360, -1, 1), origin="lower", aspect="auto", vmin=0)
    directions.set(title="Directions seen from, untilted", xlabel="azimuth, °", ylabel="cos of the polar angle")
    figure.colorbar(shown, ax=directions, label="particles")
    for panel in (resolution, turned):
        panel.grid(alpha=0.3)
        panel.set_xticks(number)
    return figure


def _draw_changes(panel: Axes, number: NDArray[np.int64], history: list[dict[str, Any]]) -> None:
    """Draw medians and quartiles of what poses changed by."""
    other = panel.twinx()
    for axis, name, colour in ((panel, "angular_change_deg", "C0"), (other, "shift_change_ang", "C1")):
        low, middle, high = np.array([one[name] for one in history]).T
        axis.fill_between(number, low, high, color=colour, alpha=0.25)
        axis.plot(number, middle, "o-", color=colour)
    panel.set(title="Changes of the poses, with quartiles", xlabel="iteration")
    panel.set_ylabel("turned, °", color="C0")
    other.set_ylabel("moved, Å", color="C1")
