"""What the canvas says: which series and tilt, or which tomogram and height, is in view."""

import re
import weakref
from typing import Any

import numpy as np
from napari.qt.threading import create_worker
from qtpy.QtGui import QFont, QFontMetricsF, QGuiApplication

from napari_tomoflow.core.model import ParticleSet, TiltSeries, Tomogram
from napari_tomoflow.gui.layers import METADATA_KEY, PARTICLE_SIZE_ANG, TILT_AXES
from napari_tomoflow.gui.pyramid import Level

CAPTION_KEY = "tomoflow caption"
"""In the metadata of an image layer: a function of the plane in view that says what else it shows."""

_FONT_SIZE = 11
_PX_PER_POINT = 96 / 72
"""By so much text on the canvas is wider than Qt's of the same size."""
_MARGIN_PX = 10
_GAP = r" {3,}| (?=\()"

_attended: "weakref.WeakSet[Any]" = weakref.WeakSet()


def attend(viewer: Any) -> None:
    """Keep the text on the canvas of a viewer true from now on, and prepare its big volumes for 3-D.

    Doing so twice changes nothing.
    """
    viewer = getattr(viewer, "__wrapped__", viewer)  # napari hands plugins a proxy; the viewer itself is one
    if viewer in _attended:
        return
    _attended.add(viewer)

    def update(event: Any = None) -> None:
        show_text(viewer)

    def take_in(event: Any) -> None:
        event.value.events.visible.connect(update)
        _prepare(viewer, event.value)
        _open_slab(viewer, event.value)
        update()

    viewer.layers.events.inserted.connect(take_in)
    for changed in (
        viewer.layers.events.removed, viewer.layers.events.reordered, viewer.dims.events.current_step,
        viewer.canvas.events.size,
    ):  # fmt: skip
        changed.connect(update)
    other_contrast: weakref.WeakKeyDictionary[Any, tuple[float, float]] = weakref.WeakKeyDictionary()

    def swap_contrast(event: Any) -> None:
        for layer in viewer.layers:
            if isinstance(layer.metadata.get(METADATA_KEY), Tomogram):
                now = tuple(layer.contrast_limits)
                layer.contrast_limits = other_contrast.get(layer) or contrast_in_3d(layer)
                other_contrast[layer] = now

    viewer.dims.events.ndisplay.connect(swap_contrast)
    viewer.canvas.overlays.scale_bar.visible = True


def show_text(viewer: Any) -> None:
    """Say what the topmost visible tilt series or tomogram shows."""
    overlay = viewer.canvas.overlays.text
    for layer in reversed(viewer.layers):
        noun = layer.metadata.get(METADATA_KEY)
        if layer.visible and isinstance(noun, TiltSeries | Tomogram):
            plane = round(layer.world_to_data(viewer.dims.point[-3:])[0])
            caption = layer.metadata.get(CAPTION_KEY)
            if caption is not None:
                text = caption(plane)
            else:
                text = tilt_text(noun, plane) if isinstance(noun, TiltSeries) else volume_text(noun)
            overlay.text, overlay.font_size, overlay.position, overlay.visible = text, _FONT_SIZE, "top_left", True
            return
    overlay.text = ""


def wrapped(text: str, width_px: int) -> str:
    """Break lines at wide gaps and before brackets, so that they fit into a canvas of some width."""
    metrics = QFontMetricsF(QFont(QGuiApplication.font().family(), _FONT_SIZE))
    room = (width_px - 2 * _MARGIN_PX) / _PX_PER_POINT
    lines = []
    for line in text.splitlines():
        first, *others = re.split(f"({_GAP})", line)
        for gap, words in zip(others[::2], others[1::2], strict=True):
            longer = first + gap + words
            if metrics.horizontalAdvance(longer) > room:
                lines.append(first)
                first = words
            else:
                first = longer
        lines.append(first)
    return "\n".join(lines)


def tilt_text(series: TiltSeries, tilt: int) -> str:
    """Describe one tilt: ``TS_01   tilt 21 of 41   −12.0°   36.0 e/Å² before``."""
    tilt = int(np.clip(tilt, 0, series.n_tilts - 1))
    angle = f"{series.tilt_deg[tilt]:+.1f}°".replace("-", "−").replace("+0.0", "0.0").replace("−0.0", "0.0")
    words = [series.name, f"tilt {tilt + 1} of {series.n_tilts}", angle]
    if np.any(series.dose_before_e_ang2):
        words.append(f"{series.dose_before_e_ang2[tilt]:.1f} e/Å² before")
    if not series.kept[tilt]:
        words.append(f"left out: {series.excluded_because[tilt] or 'no reason given'}")
    return "    ".join(words)


def volume_text(tomogram: Tomogram) -> str:
    """Describe a tomogram: ``TS_01    13.6 Å per voxel    928 × 960 × 200 (x × y × z)``."""
    size = " × ".join(map(str, tomogram.volume.shape[::-1]))
    words = [tomogram.name, tomogram.half, f"{tomogram.voxel_ang:.4g} Å per voxel", f"{size} (x × y × z)"]
    return "    ".join(filter(None, words))


def contrast_in_3d(layer: Any) -> tuple[float, float]:
    """Estimate the grey values of a projection of extremes, which hardly overlap those of a slice.

    The range ends at the middle of all values: rays whose extreme lies beyond it are not drawn at all.
    """
    coarsest = np.asarray(layer.data[-1] if layer.multiscale else layer.data, np.float32)
    middle = float(np.nanmedian(coarsest))
    if layer.rendering == "minip":
        low, high = float(np.nanpercentile(coarsest.min(axis=0), 2)), middle
    else:
        low, high = middle, float(np.nanpercentile(coarsest.max(axis=0), 98))
    return (low, high) if high > low else (low, low + 1.0)


def hide_other_space(viewer: Any, axes: tuple[str, ...]) -> None:
    """Hide layers that live in the other space: tilts and heights share a slider but not a meaning."""
    for layer in viewer.layers:
        is_tilts = layer.axis_labels[-3:] == TILT_AXES
        if METADATA_KEY in layer.metadata and is_tilts != (axes == TILT_AXES):
            layer.visible = False


def _open_slab(viewer: Any, layer: Any) -> None:
    """Let particles be seen as far above and below their centre as they reach."""
    if isinstance(layer.metadata.get(METADATA_KEY), ParticleSet) and not any(viewer.dims.thickness):
        viewer.dims.thickness = (PARTICLE_SIZE_ANG,) * viewer.dims.ndim


def _prepare(viewer: Any, layer: Any) -> None:
    """Compute the coarsest level of a big volume in the background, so that 3-D comes at once."""
    coarsest = layer.data[-1] if getattr(layer, "multiscale", False) else None
    if not isinstance(coarsest, Level):
        return
    n_planes = coarsest.shape[0]
    worker = create_worker(coarsest.prepare)

    def tell(plane: int) -> None:
        # In the status line: napari's own progress bar draws the canvas again from inside this call.
        viewer.status = f"Preparing 3-D of {layer.name}: {100 * (plane + 1) // n_planes} %"

    def stop(event: Any) -> None:
        if event.value is layer:
            worker.quit()

    worker.yielded.connect(tell)
    viewer.layers.events.removed.connect(stop)
    worker.start()
