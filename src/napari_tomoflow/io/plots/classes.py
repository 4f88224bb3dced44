"""Figures of classes: what they look like, how many there are of each, and how far repeats agree."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_tomoflow.core.model import Classes

Floats = NDArray[np.float64]

_PLANES = ("xy", "xz", "yz")
_SHADES = (0.5, 99.8)
"""Percentiles of the first class that are drawn black and white, in all classes."""

_MOST_SERIES = 40


def classes_figures(classes: Classes) -> dict[str, Figure]:
    """Draw classes.

    Returns
    -------
    dict of str to Figure
        ``montage`` of central slices and of what each class differs by from the mean of all; where the stage left its
        record also ``occupancy``, particles of each class with their FSC and scores, and ``stability``, how far repeats
        agree; ``components`` where particles were told apart by these.
    """
    figures = {"montage": montage_figure(classes)} if classes.maps else {}
    quality = classes.quality
    if "classes" in quality:
        figures["occupancy"] = occupancy_figure(quality)
    if "stability" in quality:
        figures["stability"] = stability_figure(quality)
    if "component_1" in classes.particles.features:
        figures["components"] = components_figure(classes)
    return figures


def montage_figure(classes: Classes) -> Figure:
    """Draw the central slices of each class in one row, and below what it adds to or lacks of the mean."""
    volumes = [np.asarray(density.volume, np.float32) for density in classes.maps]
    counts = np.bincount(classes.particles.class_ids, minlength=len(volumes) + 1)[1:]
    mean = np.average(volumes, axis=0, weights=np.maximum(counts, 1))
    shown = np.percentile(np.concatenate([_central(volumes[0], plane).ravel() for plane in _PLANES]), _SHADES)
    most = max(float(np.abs(volume - mean).max()) for volume in volumes) or 1.0
    figure = Figure(figsize=(2.2 * len(_PLANES) * 2, 2.3 * len(volumes) + 0.4), layout="constrained")
    panels = figure.subplots(len(volumes), 2 * len(_PLANES), squeeze=False)
    for number, (row, volume) in enumerate(zip(panels, volumes, strict=True)):
        for place, plane in enumerate(_PLANES):
            difference = _central(volume - mean, plane)
            _slice(row[place], _central(volume, plane), "gray", float(shown[0]), float(shown[1]))
            _slice(row[place + len(_PLANES)], difference, "RdBu_r", -most, most)
            if number == 0:
                row[place].set_title(plane)
                row[place + len(_PLANES)].set_title(f"{plane}, class − mean")
        row[0].set_ylabel(f"class {number + 1}: {counts[number]}")
    figure.suptitle(f"{len(classes.particles)} particles, {classes.maps[0].symmetry}")
    return figure


def _central(volume: NDArray[np.floating], plane: str) -> NDArray[np.floating]:
    """Return a slice through the centre of a map."""
    z, y, x = (length // 2 for length in volume.shape)
    return np.asarray({"xy": volume[z], "xz": volume[:, y], "yz": volume[:, :, x]}[plane])


def _slice(panel: Axes, image: NDArray[np.floating], colours: str, low: float, high: float) -> None:
    panel.imshow(image, cmap=colours, origin="lower", vmin=low, vmax=high)
    panel.set(xticks=[], yticks=[])


def occupancy_figure(quality: Mapping[str, Any]) -> Figure:
    """Draw the particles of each class: how many, in which tomograms, at which scores, and how well they agree."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    sizes, series, scores, fsc = figure.subplots(2, 2).ravel()
    records: Sequence[Mapping[str, Any]] = quality["classes"]
    names = [str(one["class"]) for one in records]
    sizes.bar(names, [one["particles"] for one in records], color=[f"C{place}" for place in range(len(names))])
    sizes.set(title=f"{quality['method']}: {quality['particles']} particles", xlabel="class", ylabel="particles")
    _draw_series(series, quality["series"])
    _draw_scores(scores, quality)
    for place, one in enumerate(records):
        found = one["resolution_ang"]
        label = f"class {one['class']}: " + ("no resolution" if found is None else f"{found:.1f} Å")
        fsc.plot(one["fsc"]["frequency_inv_ang"], one["fsc"]["corrected"], color=f"C{place}", label=label)
    fsc.axhline(0.143, color="0.6", lw=0.8)
    fsc.set(title="Halves of each class", xlabel="frequency, 1/Å", ylabel="FSC", ylim=(-0.15, 1.05))
    fsc.legend(fontsize=8)
    return figure


def _draw_series(panel: Axes, counted: Mapping[str, Sequence[int]]) -> None:
    """Draw the share of each class in each tomogram."""
    names = list(counted)[:_MOST_SERIES]
    counts = np.array([counted[name] for name in names], np.float64)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    below = np.zeros(len(names))
    for place, column in enumerate(share.T):
        panel.bar(np.arange(len(names)), column, bottom=below, color=f"C{place}")
        below = below + column
    panel.set_xticks(np.arange(len(names)), names, rotation=90, fontsize=7)
    panel.set(title="Share of each class by tomogram", ylim=(0, 1))


def _draw_scores(panel: Axes, quality: Mapping[str, Any]) -> None:
    """Draw the scores of each class, or the corrected scores with the threshold that parts them."""
    if "histogram" in quality:
        edges = np.array(quality["histogram"]["edges"])
        panel.stairs(quality["histogram"]["counts"], edges, fill=True, color="0.7")
        panel.axvline(quality["threshold"], color="C3", label=f"threshold by {quality['threshold_by']}")
        panel.set(title="Scores, freed of conditions", xlabel="score", ylabel="particles")
        panel.legend(fontsize=8)
    elif quality["score"] is not None:
        for place, counts in enumerate(quality["score"]["counts"]):
            panel.stairs(counts, quality["score"]["edges"], color=f"C{place}", lw=1.4)
        panel.set(title="Scores of each class", xlabel="score", ylabel="particles")
    else:
        panel.set_axis_off()


def stability_figure(quality: Mapping[str, Any]) -> Figure:
    """Draw where repeats put the particles of each class, and by how much competing maps explain them."""
    stability = quality["stability"]
    confusion = np.array(stability["confusion"])
    figure = Figure(figsize=(9, 4), layout="constrained")
    table, course = figure.subplots(1, 2)
    table.imshow(confusion, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*confusion.shape):
        value = confusion[row, column]
        table.text(column, row, f"{value:.2f}", ha="center", va="center", color="w" if value > 0.5 else "k", fontsize=8)
    ticks = [np.arange(length) for length in confusion.shape]
    table.set_yticks(ticks[0], [str(one + 1) for one in ticks[0]])
    table.set_xticks(ticks[1], [str(one + 1) for one in ticks[1]])
    agreement = np.mean(stability["agreement"])
    table.set(title=f"Repeats agree on {agreement:.0%}", xlabel="class in repeats", ylabel="class")
    _draw_course(course, quality)
    return figure


def _draw_course(panel: Axes, quality: Mapping[str, Any]) -> None:
    """Draw how the gain rose, or how wide particles spread along each component."""
    if "gains" in quality:
        panel.plot(np.arange(1, len(quality["gains"]) + 1), quality["gains"], "o-", ms=3)
        panel.axhline(0.0, color="0.6", lw=0.8)
        panel.set(title="Log likelihood over the average", xlabel="iteration", ylabel="mean gain of a particle unseen")
    else:
        panel.bar([str(number + 1) for number in range(len(quality["variance"]))], quality["variance"])
        panel.set(title="Spread along components", xlabel="component", ylabel="variance, in that of the noise")


def components_figure(classes: Classes) -> Figure:
    """Draw particles along the first two components they differ in, coloured by class."""
    features = classes.particles.features
    first = np.asarray(features["component_1"], np.float64)
    second = np.asarray(features.get("component_2", np.zeros(len(first))), np.float64)
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    panel = figure.subplots()
    for number in range(1, len(classes.maps) + 1):
        mine = classes.particles.class_ids == number
        panel.plot(first[mine], second[mine], ".", ms=4, color=f"C{number - 1}", label=f"class {number}")
    panel.set(title="Particles along components", xlabel="component 1, SD of noise", ylabel="component 2, SD of noise")
    panel.legend(fontsize=8)
    return figure
