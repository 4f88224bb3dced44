"""Figures of a finished map: its looks, its amplitudes, and how far its halves agree."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from napari_tomoflow.core.model import FinishedMap
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.io.plots.average import (
    PLANES,
    THRESHOLDS,
    central_slices,
    draw_fsc,
    draw_slices,
    subsets_figure,
)

_INSIDE = 0.5
"""Of the mask."""


def finished_map_figures(finished: FinishedMap) -> dict[str, Figure]:
    """Draw a finished map.

    Returns
    -------
    dict of str to Figure
        ``slices`` through the map, alone and masked, and the locally filtered one; and as far as the stage left its
        record ``fsc``, ``guinier``, ``directions``, ``local_resolution`` and ``subsets``, the Rosenthal–Henderson
        plot.
    """
    figures = {"slices": slices_figure(finished)}
    quality = finished.quality
    if "fsc" in quality:
        figures["fsc"] = fsc_figure(quality)
    if "guinier" in quality:
        figures["guinier"] = guinier_figure(quality)
    if "directional" in quality:
        figures["directions"] = directions_figure(quality)
    if finished.local_resolution_ang is not None and "local_resolution" in quality:
        figures["local_resolution"] = local_resolution_figure(finished)
    if "subsets" in quality:
        figures["subsets"] = subsets_figure(quality["subsets"])
    return figures


def slices_figure(finished: FinishedMap) -> Figure:
    """Draw the three central slices of a map, with the outline of its mask, and of what it becomes."""
    volumes: dict[str, Any] = {"sharpened": finished.volume, "masked": finished.masked}
    if finished.local_volume is not None:
        volumes["locally filtered"] = finished.local_volume
    figure = Figure(figsize=(8, 2.7 * len(volumes)), layout="constrained")
    panels = figure.subplots(len(volumes), 3, squeeze=False)
    for row, (name, volume) in zip(panels, volumes.items(), strict=True):
        draw_slices(row, name, volume)
    for panel, outline in zip(panels[0], central_slices(finished.mask), strict=True):
        if outline.min() < _INSIDE < outline.max():
            panel.contour(outline, levels=[_INSIDE], colors="C1", linewidths=0.8)
    sharpening = finished.quality.get("sharpening", "")
    b_factor = finished.quality.get("b_factor_ang2", 0.0)
    figure.suptitle(f"{finished.name}: {sharpening}" + (f" of {b_factor:.0f} Å²" if b_factor else ""))
    return figure


def fsc_figure(quality: Mapping[str, Any]) -> Figure:
    """Draw the FSC of the halves: as they are, masked, with random phases, and freed of what the mask adds."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    panel = figure.subplots()
    draw_fsc(panel, quality["fsc"])
    resolutions = quality["resolution_ang"], quality["resolution_at_half_ang"]
    for threshold, found in zip(THRESHOLDS, resolutions, strict=True):
        if found is not None:
            panel.plot(1 / found, threshold, "ko", ms=4)
            panel.annotate(f"{found:.2f} Å", (1 / found, threshold), (6, 6), textcoords="offset points", fontsize=9)
    mask = quality["mask"]
    panel.set_title(f"Mask: {mask['source']}, {100 * mask['share']:.1f} % of the box")
    return figure


def guinier_figure(quality: Mapping[str, Any]) -> Figure:
    """Draw the logarithm of amplitudes over k², and the line whose slope is the B factor."""
    fall = quality["guinier"]
    x = np.array(fall["inv_ang2"])
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    panel = figure.subplots()
    names = {"amplitude": "as measured", "mtf_corrected": "MTF undone", "weighted": "signal alone"}
    shown = [name for name in names if name != "mtf_corrected" or fall["ln"][name] != fall["ln"]["amplitude"]]
    for name in shown:
        panel.plot(x, fall["ln"][name], "k-" if name == "weighted" else "--", lw=1.4, label=names[name])
    first, last = (1 / resolution_ang**2 for resolution_ang in fall["fitted_ang"])
    if fall["b_factor_ang2"] is None:
        title = f"Too few shells between {fall['fitted_ang'][0]:.3g} Å and the resolution for a B factor"
    else:
        ends = np.array([first, last])
        panel.plot(ends, fall["intercept"] - fall["b_factor_ang2"] / 4 * ends, "C3-", lw=2.2, label="fit")
        title = f"B factor {fall['b_factor_ang2']:.0f} Å², {fall['fitted_ang'][0]:.3g} to {fall['fitted_ang'][1]:.3g} Å"
    measured = np.array(fall["ln"]["amplitude"])
    panel.set(title=title, xlabel="k², 1/Å²", ylabel="ln of the amplitude", xlim=(0, x[-1]))
    panel.set_ylim(measured[1:].min() - 1.0, measured.max() + 0.5)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8)
    return figure


def directions_figure(quality: Mapping[str, Any]) -> Figure:
    """Draw the FSC within cones, and how it turns out over directions, seen along z."""
    along = quality["directional"]
    k = np.array(quality["fsc"]["frequency_inv_ang"])
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    curves, ways = figure.subplots(1, 2)
    low, middle, high = (along["fsc"][f"percentile_{share}"] for share in (5, 50, 95))
    curves.fill_between(k, low, high, color="C0", alpha=0.3, label="5 to 95 % of directions")
    curves.plot(k, middle, "C0-", label="median")
    curves.plot(k, quality["fsc"]["corrected"], "k--", lw=1, label="all")
    curves.axhline(THRESHOLDS[0], color="0.6", lw=0.8)
    curves.set(title="FSC in cones of 20°", xlabel="frequency, 1/Å", ylabel="FSC", ylim=(-0.2, 1.05), xlim=(0, k[-1]))
    curves.legend(fontsize=8)
    x, y, z = np.array(along["directions_xyz"]).T
    reach = np.sqrt(2 / (1 + np.abs(z)))  # equal areas stay equal
    found = along["directions_resolution_ang"]
    dots = ways.scatter(x * reach, y * reach, c=found, cmap="viridis_r", s=60)
    ways.set(title=f"Sphericity {along['sphericity']:.2f}", xticks=[], yticks=[], aspect="equal")
    ways.set(xlabel="x; the centre is z", ylabel="y")
    figure.colorbar(dots, ax=ways, label="resolution, Å")
    return figure


def local_resolution_figure(finished: FinishedMap) -> Figure:
    """Draw slices of the local resolution within the mask, and its histogram there."""
    local = finished.quality["local_resolution"]
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=(1.2, 1))
    limits = local["percentile_5_ang"], max(local["percentile_95_ang"], local["percentile_5_ang"] + 0.1)
    values: Array = finished.local_resolution_ang  # type: ignore[assignment]
    panels = [figure.add_subplot(grid[0, column]) for column in range(3)]
    slices = central_slices(values), central_slices(finished.mask)
    for panel, plane, image, within in zip(panels, PLANES, *slices, strict=True):
        shown = panel.imshow(
            np.where(within > _INSIDE, image, np.nan), cmap="turbo", origin="lower", vmin=limits[0], vmax=limits[1]
        )
        panel.set(title=plane, xticks=[], yticks=[])
    figure.colorbar(shown, ax=panels, label="resolution, Å")
    _draw_histogram(figure.add_subplot(grid[1, :]), local, finished.quality["resolution_ang"])
    return figure


def _draw_histogram(panel: Axes, local: Mapping[str, Any], resolution_ang: float) -> None:
    panel.stairs(local["counts"], local["edges_ang"], fill=True, color="0.6")
    panel.axvline(local["median_ang"], color="C0", label=f"median {local['median_ang']:.1f} Å")
    panel.axvline(resolution_ang, color="k", ls="--", label=f"whole map {resolution_ang:.1f} Å")
    low, high = local["percentile_5_ang"], local["percentile_95_ang"]
    panel.set(title=f"90 % within {low:.1f} and {high:.1f} Å", xlabel="resolution, Å", ylabel="voxels in the mask")
    panel.legend(fontsize=8)
