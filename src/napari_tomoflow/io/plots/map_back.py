"""Figures of placed averages: surfaces seen from above and from the side, and what neighbours tell."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from napari_tomoflow.core.model import MappedBack
from napari_tomoflow.core.model.placement import LABEL
from napari_tomoflow.io.placement_colours import colours_of, legend_of, limits_of

Reals = NDArray[np.float32]

_LIGHT_ZYX = np.array([0.75, 0.35, -0.55])
_DARKEST, _FARTHEST = 0.35, 0.55
"""Light of a face turned away, and of one at the far end."""

_WIDTH_INCH = 7.0
_SCALES = {"neighbour": "distance to the nearest neighbour, Å", "score": "score"}


def map_back_figures(placed: MappedBack) -> dict[str, Figure]:
    """Draw placed averages.

    Returns
    -------
    dict of str to Figure
        ``placed``, surfaces in their colours; ``neighbours``, where there are any.
    """
    figures = {"placed": placed_figure(placed)}
    if "distances" in placed.quality:
        figures["neighbours"] = neighbours_figure(placed.quality)
    return figures


def placed_figure(placed: MappedBack) -> Figure:
    """Draw the surfaces of all averages from above (+z) and from the side (-y)."""
    nz, ny, nx = placed.painted.shape
    figure = Figure(figsize=(_WIDTH_INCH + 1.5, _WIDTH_INCH * (ny + nz) / nx + 1.5), layout="constrained")
    above, side = figure.subplots(2, 1, sharex=True, height_ratios=[ny, nz])
    width_nm, height_nm, depth_nm = (n * placed.voxel_ang / 10 for n in (nx, ny, nz))
    above.imshow(_seen(placed, "z"), origin="lower", extent=(0, width_nm, 0, height_nm))
    side.imshow(_seen(placed, "y"), origin="lower", extent=(0, width_nm, 0, depth_nm))
    above.set(ylabel="y, nm", title=f"{placed.name}: {len(placed.particles)} averages by {placed.colour_by}")
    side.set(xlabel="x, nm", ylabel="z, nm")
    legend = legend_of(placed)
    if legend:
        handles = [Patch(color=colour, label=name) for name, colour in legend.items()]
        figure.legend(handles=handles, loc="outside right upper")
    else:
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        scale = ScalarMappable(Normalize(*limits_of(placed)))
        figure.colorbar(scale, ax=[above, side], shrink=0.6, aspect=40, label=_SCALES.get(placed.colour_by))
    return figure


def neighbours_figure(quality: Any) -> Figure:
    """Draw distances and turns of the nearest neighbours, and the radial distributions."""
    figure = Figure(figsize=(14, 4), layout="constrained")
    distances, turns, radial = figure.subplots(1, 3)
    found = quality["distances"]
    distances.stairs(found["counts"], np.array(found["edges_ang"]) / 10, fill=True)
    distances.set(title="Nearest neighbour", xlabel="distance, nm", ylabel="particles")
    _draw_turns(turns, quality["turns"])
    for name, curve in quality["radial"].items():
        values = [np.nan if value is None else value for value in curve["over_chance"]]
        radial.plot(np.array(curve["distance_ang"]) / 10, values, label=name)
    radial.axhline(1.0, color="0.6", lw=0.8)
    radial.set(title="Neighbours over chance", xlabel="distance, nm", ylabel="density, 1 by chance", ylim=(0, None))
    if quality["radial"]:
        radial.legend(fontsize=8)
    return figure


def _draw_turns(panel: Axes, turns: Any) -> None:
    """Draw how neighbours of one species are turned, beside pairs drawn at random."""
    panel.stairs(turns["counts"], turns["edges_deg"], fill=True, label="nearest neighbours")
    panel.stairs(turns["by_chance"], turns["edges_deg"], color="k", label="any two of them")
    panel.set(title="Turn of the nearest neighbour", xlabel="angle, °", ylabel="particles of its own species")
    panel.legend(fontsize=8)


def _seen(placed: MappedBack, along: str) -> Reals:
    """Look along an axis, from its upper end of z and its lower end of y: red, green and blue of every ray."""
    height, label = _first_surface(placed, along)
    values = np.asarray(placed.particles.features[LABEL], np.int64)
    colours = np.zeros((int(values.max(initial=0)) + 1, 3), np.float32)
    colours[values] = colours_of(placed)
    is_hit = label > 0
    slopes = np.gradient(np.where(is_hit, height, np.nan))
    with np.errstate(invalid="ignore"):
        normal = np.stack([np.ones_like(height), -slopes[0], -slopes[1]])
        facing = np.tensordot(_LIGHT_ZYX / np.linalg.norm(_LIGHT_ZYX), normal / np.linalg.norm(normal, axis=0), 1)
    light = np.clip(np.where(np.isfinite(facing), facing, _DARKEST), _DARKEST, 1.0)
    far = _FARTHEST + (1.0 - _FARTHEST) * height / max(float(height[is_hit].max(initial=1.0)), 1.0)
    seen = np.clip(colours[np.minimum(label, len(colours) - 1)] * (light * far)[..., None], 0.0, 1.0)
    return np.where(is_hit[..., None], seen, np.float32(1.0)).astype(np.float32)


def _first_surface(placed: MappedBack, along: str) -> tuple[Reals, NDArray[np.int64]]:
    """Find how high the first surface of each ray lies, in voxels from the far end, and whose it is."""
    nz, ny, nx = placed.painted.shape
    shape = (ny, nx) if along == "z" else (nz, nx)
    height, label = np.zeros(shape, np.float32), np.zeros(shape, np.int64)
    count = nz if along == "z" else ny
    order = range(count - 1, -1, -1) if along == "z" else range(count)
    before = np.zeros(shape, np.float32)
    for step, index in enumerate(order):
        where: Any = index if along == "z" else (slice(None), index)
        plane = np.asarray(placed.painted[where], np.float32)
        new = (label == 0) & (plane >= 1.0)
        if new.any():
            owner = np.asarray(placed.labels[where], np.int64)
            # Where the density passes 1 between two voxels, so that faces are smooth.
            share = (plane[new] - 1.0) / np.maximum(plane[new] - before[new], 1e-6)
            height[new] = count - 1 - step + np.clip(share, 0.0, 1.0)
            label[new] = owner[new]
        before = plane
    return height, label
