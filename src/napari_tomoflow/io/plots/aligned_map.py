"""Figures of an aligned map: its looks in the new frame, and how much more it is like the target."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from napari_tomoflow.core.model import DensityMap
from napari_tomoflow.io.plots.average import draw_slices


def aligned_map_figures(density: DensityMap) -> dict[str, Figure]:
    """Draw a map that `align-map` made.

    Returns
    -------
    dict of str to Figure
        ``slices`` through the map, and ``likeness`` to the target at every frequency, before and after; nothing for a
        map of another stage.
    """
    quality = density.quality
    if "rotation_deg" not in quality:
        return {}
    figures = {"slices": _slices_figure(density)}
    if "fsc" in quality:
        figures["likeness"] = _likeness_figure(quality)
    return figures


def _slices_figure(density: DensityMap) -> Figure:
    """Draw the three central slices."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    draw_slices(figure.subplots(1, 3), density.name, density.volume)
    quality = density.quality
    flipped = ", mirrored" if quality["flipped"] else ""
    figure.suptitle(f"Turned by {quality['rotation_deg']:.1f}°, moved by {quality['shift_ang']:.1f} Å{flipped}")
    return figure


def _likeness_figure(quality: Mapping[str, Any]) -> Figure:
    """Draw the FSC with the target."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    panel = figure.subplots()
    curves = quality["fsc"]
    for name, style in (("before", "0.6"), ("after", "C0")):
        panel.plot(curves["frequency_inv_ang"], curves[name], color=style, label=name)
    panel.axvline(
        1 / quality["resolution_ang"], color="C1", ls=":", label=f"compared to {quality['resolution_ang']:.1f} Å"
    )
    panel.axhline(0.5, color="0.85", lw=0.8, zorder=0)
    panel.axhline(0.0, color="0.8", lw=0.8, zorder=0)
    hand = quality["hand"]
    told = "" if hand is None else f"; hands: as given {hand['as_given']:.2f}, mirrored {hand['mirrored']:.2f}"
    panel.set(xlabel="frequency, 1/Å", ylabel="FSC", title=f"With {quality['target']}{told}")
    panel.legend(fontsize=8)
    panel.grid(alpha=0.3)
    return figure
