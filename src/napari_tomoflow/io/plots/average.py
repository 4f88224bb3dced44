"""Figures of an average: how far its halves agree, what they look like, and how it came about."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_tomoflow.core.model import Average
from napari_tomoflow.core.model.noun import Array

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

PLANES = ("xy", "xz", "yz")
THRESHOLDS = (0.143, 0.5)
_SHADES = (0.5, 99.8)
"""Percentiles of a slice that are drawn black and white."""


def average_figures(average: Average) -> dict[str, Figure]:
    """Draw an average.

    Returns
    -------
    dict of str to Figure
        ``slices`` through the map and both halves; where the stage left its record also ``fsc``, how far the halves
        agree, ``convergence``, how iterations, scores and directions turned out, and ``subsets``, the
        Rosenthal–Henderson plot.
    """
    figures = {"slices": slices_figure(average)}
    if "fsc" in average.quality:
        figures["fsc"] = fsc_figure(average)
    if "iterations" in average.quality:
        figures["convergence"] = convergence_figure(average)
    if "subsets" in average.quality:
        figures["subsets"] = subsets_figure(average.quality["subsets"])
    return figures


def slices_figure(average: Average) -> Figure:
    """Draw the three central slices of the map and of each half."""
    volumes = {"map": average.map.volume}
    if average.map.halves is not None:
        volumes |= {"half 1": average.map.halves[0], "half 2": average.map.halves[1]}
    figure = Figure(figsize=(8, 2.7 * len(volumes)), layout="constrained")
    panels = figure.subplots(len(volumes), 3, squeeze=False)
    for row, (name, volume) in zip(panels, volumes.items(), strict=True):
        draw_slices(row, name, volume)
    figure.suptitle(f"{average.map.name}: {len(average.particles)} particles, {average.map.symmetry}")
    return figure


def draw_slices(panels: Iterable[Axes], name: str, volume: Array) -> None:
    """Draw the central slices of a volume into three panels."""
    for panel, plane, image in zip(panels, PLANES, central_slices(volume), strict=True):
        low, high = np.percentile(image, _SHADES)
        panel.imshow(image, cmap="gray", origin="lower", vmin=low, vmax=high)
        panel.set(title=f"{name}, {plane}", xticks=[], yticks=[])


def central_slices(volume: Array) -> tuple[Reals, Reals, Reals]:
    """Return the slices through the centre that `PLANES` names."""
    density = np.asarray(volume, np.float32)
    z, y, x = (length // 2 for length in density.shape)
    return density[z], density[:, y], density[:, :, x]


def fsc_figure(average: Average) -> Figure:
    """Draw the FSC of the halves: as they are, masked, with random phases, and freed of what the mask adds."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    panel = figure.subplots()
    draw_fsc(panel, average.quality["fsc"])
    found = average.quality.get("resolution_ang")
    panel.set_title(
        "No resolution beyond what both halves began with" if found is None else f"Resolution {found:.1f} Å"
    )
    return figure


def draw_fsc(panel: Axes, curves: Mapping[str, Any]) -> None:
    """Draw all curves of an FSC, and the thresholds resolutions are read at."""
    k = np.array(curves["frequency_inv_ang"])
    for name, style in (("unmasked", "C0--"), ("masked", "C1--"), ("randomised", "C3:"), ("corrected", "k-")):
        panel.plot(k, curves[name], style, label=name, lw=1.8 if name == "corrected" else 1.0)
    for threshold in THRESHOLDS:
        panel.axhline(threshold, color="0.6", lw=0.8)
    panel.set(xlabel="frequency, 1/Å", ylabel="FSC", ylim=(-0.15, 1.05), xlim=(0, k[-1]))
    panel.legend(fontsize=8)


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


def subsets_figure(subsets: Mapping[str, Any]) -> Figure:
    """Draw 1 / resolution² over the logarithm of the number of particles, whose slope is 2 / B."""
    counts, found = np.array(subsets["particles"], float), np.array(subsets["resolution_ang"], float)
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    panel = figure.subplots()
    panel.plot(np.log(counts), 1 / found**2, "o", ms=4)
    title = "The subsets tell no B factor"
    if subsets["b_factor_ang2"] is not None:
        ends = np.log([counts.min(), counts.max()])
        panel.plot(ends, subsets["intercept"] + 2 / subsets["b_factor_ang2"] * ends, "C3-")
        title = f"B factor {subsets['b_factor_ang2']:.0f} Å²"
    panel.set(title=title, xlabel="ln of the number of particles", ylabel="1 / resolution², 1/Å²")
    panel.grid(alpha=0.3)
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
