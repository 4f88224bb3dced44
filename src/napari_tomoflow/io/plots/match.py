"""Figures of a match: slices with the picks on them, and their scores beside those of chance."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_tomoflow.core.model import ParticleSet, Tomogram

_SLABS = 3
_SLAB_NM = 15.0


def match_figure(particles: ParticleSet, tomogram: Tomogram | None) -> Figure:
    """Draw what a match found.

    Parameters
    ----------
    particles : ParticleSet
        From the stage `match`, whose ``quality`` has the scores.
    tomogram : Tomogram or None
        Without it only the scores are drawn.
    """
    columns = 1 if tomogram is None else 1 + _SLABS
    figure = Figure(figsize=(5 * columns, 5), layout="constrained")
    panels = figure.subplots(1, columns, squeeze=False)[0]
    _draw_scores(panels[0], particles.quality)
    if tomogram is not None:
        for panel, height_nm in zip(panels[1:], _heights_nm(tomogram), strict=True):
            _draw_slab(panel, particles, tomogram, height_nm)
    figure.suptitle(f"{len(particles)} particles, {particles.quality['expected_false_positives']:g} of them by chance")
    return figure


def _draw_scores(panel: Axes, quality: Any) -> None:
    """Draw how high the peaks of the template and of the null are."""
    scores = quality["scores"]
    edges = np.array(scores["z_edges"])
    for name, colour in (("null", "0.6"), ("template", "C0")):
        panel.stairs(np.array(scores[name]) + 0.1, edges, fill=name == "null", color=colour, label=name)
    panel.axvline(quality["threshold_z"], color="C3", lw=1, label="threshold")
    panel.set(yscale="log", ylim=(0.5, None), xlabel="score, standard deviations of chance", ylabel="peaks")
    panel.set_title("Scores of all peaks")
    panel.legend(fontsize=8)


def _heights_nm(tomogram: Tomogram) -> NDArray[np.float64]:
    """Choose the heights of the slabs that are shown, evenly through the middle half."""
    depth_nm = tomogram.volume.shape[0] * tomogram.voxel_ang / 10
    return np.linspace(-0.25, 0.25, _SLABS) * depth_nm


def _draw_slab(panel: Axes, particles: ParticleSet, tomogram: Tomogram, height_nm: float) -> None:
    """Draw the mean of a few planes, dense matter dark, and a circle round every pick within a radius of it."""
    nz, ny, nx = tomogram.volume.shape
    voxel_nm = tomogram.voxel_ang / 10
    first = int(np.clip((height_nm - _SLAB_NM / 2) / voxel_nm + nz // 2, 0, nz - 1))
    last = min(nz, first + max(1, round(_SLAB_NM / voxel_nm)))
    slab = np.asarray(tomogram.volume[first:last], np.float32).mean(axis=0)
    slab = slab if tomogram.contrast == "dark" else -slab
    low, high = np.percentile(slab, (1, 99))
    left, right, bottom, top = ((at - 0.5) * voxel_nm for n in (nx, ny) for at in (-(n // 2), n - n // 2))
    panel.imshow(slab, cmap="gray", vmin=low, vmax=high, origin="lower", extent=(left, right, bottom, top))
    radius_nm = float(particles.quality["diameter_ang"]) / 20
    z, y, x = (particles.centers_ang_zyx / 10).T
    near = np.abs(z - height_nm) < radius_nm
    size = np.full(int(near.sum()), (500 * radius_nm / (nx * voxel_nm)) ** 2)
    panel.scatter(x[near], y[near], s=size, facecolors="none", edgecolors="C1", linewidths=0.8)
    panel.set(title=f"z = {height_nm:.0f} nm", xlabel="x, nm", ylabel="y, nm")
