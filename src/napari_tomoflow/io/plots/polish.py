"""Figures of what particles tell of the geometry: how far halves agreed before and after, and what moved."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_tomoflow.core.model import Deformation, ParticleSet, Polished
from napari_tomoflow.core.model.paths import PATH_NODES
from napari_tomoflow.core.ops.splines import through_nodes
from napari_tomoflow.io.plots.average import slices_figure

Floats = NDArray[np.float64]

_ACROSS = 3
"""Panels side by side at most."""

_PATH_STEPS, _PATH_SHARE = 24, 0.1
"""Steps a path is drawn in, and length of the longest, in the width of what particles span."""

_ARROW_SHARE = 0.12
"""Length of the longest arrow, in the width of the image."""


def polish_figures(polished: Polished) -> dict[str, Figure]:
    """Draw what polishing led to.

    Returns
    -------
    dict of str to Figure
        ``fsc`` of each species before and after and ``slices_NAME`` of its average; where the geometry was refined also
        ``shifts``, by how much each tilt of each series moved and bent, ``bending``, the displacements in the image
        that moved most, and ``paths``, how particles moved by themselves.
    """
    figures = {"fsc": fsc_figure(polished.quality["species"])}
    figures |= {f"slices_{name}": slices_figure(average) for name, average in polished.averages.items()}
    series = polished.quality.get("series", {})
    if series:
        figures["shifts"] = shifts_figure(series)
    bent = {
        name: (one.deformation, int(np.argmax(polished.quality["series"][name]["changes"]["bending_ang"])))
        for name, one in polished.alignments.items()
        if one.deformation is not None and name in series
    }
    if bent:
        figures["bending"] = bending_figure(bent)
    particles = ParticleSet.joined([average.particles for average in polished.averages.values()])
    if particles.paths_ang_zyx is not None:
        figures["paths"] = paths_figure(particles)
    return figures


def fsc_figure(species: dict[str, Any]) -> Figure:
    """Draw the corrected FSC of each species before and after."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    panel = figure.subplots()
    for number, (name, one) in enumerate(species.items()):
        for which, style in (("fsc_before", "--"), ("fsc", "-")):
            curve = one[which]
            resolution_ang = one["resolution_before_ang" if which == "fsc_before" else "resolution_ang"]
            found = "none" if resolution_ang is None else f"{resolution_ang:.1f} Å"
            label = f"{name} {'before' if which == 'fsc_before' else 'after'}: {found}"
            panel.plot(curve["frequency_inv_ang"], curve["corrected"], f"C{number}{style}", label=label)
    for threshold in (0.143, 0.5):
        panel.axhline(threshold, color="0.6", lw=0.8)
    panel.set(xlabel="frequency, 1/Å", ylabel="FSC", ylim=(-0.15, 1.05), title="Halves before and after")
    panel.set_xlim(left=0)
    panel.legend(fontsize=8)
    return figure


def shifts_figure(series: dict[str, Any]) -> Figure:
    """Draw for each series by how much every tilt moved, turned and bent."""
    figure, panels = _grid(len(series), 3.0)
    for panel, (name, one) in zip(panels, series.items(), strict=False):
        changes = one["changes"]
        tilt = np.arange(len(changes["shift_y_ang"]))
        for column, label in (("shift_y_ang", "shift y"), ("shift_x_ang", "shift x"), ("bending_ang", "bending, RMS")):
            panel.plot(tilt, changes[column], ".-", ms=3, lw=0.9, label=label)
        panel.set(title=f"{name}: bending {one['bending_rms_ang']:.1f} Å", xlabel="tilt", ylabel="Å")
        panel.grid(alpha=0.3)
    panels[0].legend(fontsize=7)
    return figure


def bending_figure(bent: dict[str, tuple[Deformation, int]]) -> Figure:
    """Draw the displacement at the nodes of one image of each series."""
    figure, panels = _grid(len(bent), 3.6)
    for panel, (name, (deformation, tilt)) in zip(panels, bent.items(), strict=False):
        _draw_field(panel, deformation, tilt)
        panel.set_title(f"{name}, tilt {tilt}", fontsize=9, loc="left")
    return figure


def _draw_field(panel: Axes, deformation: Deformation, tilt: int) -> None:
    """Draw arrows, much enlarged; a key says how much."""
    nodes = deformation.nodes_ang_yx[tilt]
    ends = [np.linspace(-0.5, 0.5, n) * size for n, size in zip(nodes.shape, deformation.field_ang_yx, strict=False)]
    y, x = np.meshgrid(*ends, indexing="ij")
    longest = max(float(np.hypot(nodes[..., 0], nodes[..., 1]).max()), 1e-6)
    times = _ARROW_SHARE * deformation.field_ang_yx[1] / longest
    arrows = panel.quiver(
        x / 10, y / 10, -nodes[..., 1] * times / 10, -nodes[..., 0] * times / 10,
        angles="xy", scale_units="xy", scale=1.0, width=0.006, color="C3",
    )  # fmt: skip
    panel.quiverkey(
        arrows, 0.78, 1.05, longest * times / 10, f"{longest:.1f} Å", labelpos="E", fontproperties={"size": 8}
    )
    panel.set(xlabel="x, nm", ylabel="y, nm", aspect="equal")


def paths_figure(particles: ParticleSet) -> Figure:
    """Draw the paths of the particles of each series as seen from above, much enlarged, from dark to bright."""
    from matplotlib.collections import LineCollection

    names = list(dict.fromkeys(particles.tomogram.tolist()))
    figure, panels = _grid(len(names), 3.6)
    root_share = np.linspace(0.0, 1.0, _PATH_STEPS + 1)
    moved = through_nodes(root_share, PATH_NODES) @ particles.known_paths_ang_zyx[..., 1:]
    longest = max(float(np.linalg.norm(moved[:, -1] - moved[:, 0], axis=1).max()), 1e-6)
    for panel, name in zip(panels, names, strict=False):
        own = particles.tomogram == name
        centers = particles.centers_ang_zyx[own, None, 1:]
        times = _PATH_SHARE * max(float(np.ptp(centers, axis=0).max()), 1.0) / longest
        lines = (centers + times * moved[own])[..., ::-1] / 10.0
        steps = np.stack([lines[:, :-1], lines[:, 1:]], axis=2).reshape(-1, 2, 2)
        shares = np.tile(root_share[1:] ** 2, len(lines))
        drawn = panel.add_collection(LineCollection(steps.tolist(), array=shares, cmap="viridis", linewidths=1.4))
        panel.set(xlabel="x, nm", ylabel="y, nm", aspect="equal")
        panel.autoscale_view()
        panel.set_title(f"{name}, paths × {times:.0f}", fontsize=9, loc="left")
    figure.suptitle(f"Paths of single particles, up to {longest:.1f} Å", fontsize=10)
    figure.colorbar(drawn, ax=panels, label="share of the exposure", shrink=0.7)
    return figure


def _grid(count: int, side: float) -> tuple[Figure, list[Axes]]:
    """Lay out panels, and hide those that are left over."""
    across = min(count, _ACROSS)
    rows = -(-count // across)
    figure = Figure(figsize=(1.3 * side * across, side * rows), layout="constrained")
    panels = list(figure.subplots(rows, across, squeeze=False).ravel())
    for panel in panels[count:]:
        panel.set_visible(False)
    return figure, panels
