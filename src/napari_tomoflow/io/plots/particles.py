"""Figures of particles: where they lie and point, how far apart they are, and how well shapes fit their points."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.picking.spacing import neighbour_distances

_VIEWS = (("x", "y", 2, 1), ("x", "z", 2, 0), ("z", "y", 0, 1))
"""Axes across and upwards, and their places in (z, y, x)."""

_MOST_ARROWS = 2000
_MOST_NAMED = 10


def particle_figures(particles: ParticleSet) -> dict[str, Figure]:
    """Draw particles.

    Returns
    -------
    dict of str to Figure
        ``particles``: three views with their z-axes, distances of nearest neighbours, and the fit of every
        shape where they were picked on shapes; nothing where there are none.
    """
    if not len(particles):
        return {}
    figure = Figure(figsize=(13, 9), layout="constrained")
    panels = figure.subplots(2, 3)
    groups = _groups(particles)
    for panel, view in zip(panels.flat, _VIEWS, strict=False):
        _draw_view(panel, particles, groups, view)
    if len(groups) <= _MOST_NAMED:
        panels[0, 0].legend(fontsize=7, markerscale=3, loc="upper right")
    _draw_distances(panels[1, 0], particles)
    models = [one for one in particles.quality.get("models", ()) if one.get("residual_ang") is not None]
    _draw_fits(panels[1, 1], models)
    _draw_spacings(panels[1, 2], [one for one in particles.quality.get("models", ()) if one.get("neighbour_ang")])
    names = ", ".join(sorted(set(particles.tomogram.tolist()))[:3])
    figure.suptitle(f"{names or 'particles'}: {len(particles)} particles")
    return {"particles": figure}


def _groups(particles: ParticleSet) -> list[tuple[str, NDArray[np.bool_]]]:
    """Sort particles by the shape they are from, or by species: name and which are of it."""
    numbers: Any = particles.features.get("model", np.full(len(particles), ""))
    keys = np.char.strip(np.char.add(np.char.add(particles.species, " "), numbers.astype(str)))
    return [(str(key) or "particles", keys == key) for key in np.unique(keys)]


def _draw_view(
    panel: Axes, particles: ParticleSet, groups: Sequence[tuple[str, Any]], view: tuple[str, str, int, int]
) -> None:
    """Look along one axis: dots for centres, lines for z-axes."""
    across, upward, i, j = view
    centers_nm = particles.centers_ang_zyx / 10.0
    ways = particles.matrices[:, ::-1, 2]
    length_nm = 0.04 * max(float(np.ptp(centers_nm, axis=0).max()), 10.0)
    colours = colormaps["tab10"]
    for index, (name, own) in enumerate(groups):
        place, way = centers_nm[own], ways[own]
        panel.plot(place[:, i], place[:, j], ".", ms=2, color=colours(index % 10), label=name)
        if len(particles) <= _MOST_ARROWS:
            tips = place + length_nm * way
            panel.plot(*(np.stack([place[:, k], tips[:, k]]) for k in (i, j)), lw=0.5, color=colours(index % 10))
    panel.set(title=f"{across} and {upward}", xlabel=f"{across}, nm", ylabel=f"{upward}, nm", aspect="equal")
    panel.set(adjustable="datalim")
    panel.grid(alpha=0.3)


def _draw_distances(panel: Axes, particles: ParticleSet) -> None:
    """Draw how far the nearest neighbour of each particle is."""
    own = (particles.tomogram == name for name in np.unique(particles.tomogram))
    distances_nm = np.concatenate([neighbour_distances(particles.centers_ang_zyx[one]) for one in own]) / 10.0
    if len(distances_nm):
        panel.hist(distances_nm, bins=30, color="0.4")
    panel.set(title="Distance of nearest neighbours", xlabel="distance, nm", ylabel="particles")
    panel.margins(x=0.1)
    panel.set_xlim(left=0)
    panel.grid(alpha=0.3)
    if not len(distances_nm):
        _say(panel, "no tomogram has two")


def _draw_fits(panel: Axes, models: Sequence[dict[str, Any]]) -> None:
    """Draw how far the points of each shape lie off it."""
    panel.set(title="Points off their shape", xlabel="shape", ylabel="residual, Å")
    panel.grid(alpha=0.3)
    if not models:
        _say(panel, "no shapes were fitted")
        return
    places = np.arange(len(models))
    panel.bar(places, [one["residual_ang"] for one in models], color="C0", label="root mean square")
    panel.plot(places, [one["largest_residual_ang"] for one in models], "v", ms=4, color="C3", label="largest")
    panel.legend(fontsize=8)
    _name_shapes(panel, models)


def _draw_spacings(panel: Axes, models: Sequence[dict[str, Any]]) -> None:
    """Draw how far apart the picks on each shape are, and how evenly."""
    panel.set(title="Spacing on each shape, and its spread", xlabel="shape", ylabel="distance, nm")
    panel.grid(alpha=0.3)
    if not models:
        _say(panel, "no shapes were picked on")
        return
    spacing_nm = np.array([one["neighbour_ang"] for one in models]) / 10.0
    spread_nm = spacing_nm * [one["neighbour_variation"] or 0.0 for one in models]
    panel.errorbar(np.arange(len(models)), spacing_nm, spread_nm, fmt="o", ms=4, capsize=3)
    panel.margins(y=0.2)
    panel.set_ylim(bottom=0)
    _name_shapes(panel, models)


def _name_shapes(panel: Axes, models: Sequence[dict[str, Any]]) -> None:
    if len(models) <= _MOST_NAMED:
        names = [f"{one.get('species', '')} {one.get('model', '')}".strip() for one in models]
        panel.set_xticks(np.arange(len(models)), names, rotation=30, ha="right")


def _say(panel: Axes, words: str) -> None:
    panel.text(0.5, 0.5, words, ha="center", transform=panel.transAxes)
