"""The tilts of a series in a viewer, in the order of their angles, and what else is drawn over them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.gui.canvas import CAPTION_KEY, attend, hide_other_space
from napari_tomoflow.gui.layers import TILT_AXES, LayerTuple, contrast_limits


class TiltScene:
    """Layers over the tilts of one series; they come and go together.

    Parameters
    ----------
    viewer
    series : TiltSeries
    tilt_deg : float64[N]
        Angles to go by.
    layers
        By what they show, from the lowest to the topmost. The first, ``stack``, has the tilts.
    """

    tilt_shown = Signal(int)
    """Another tilt is in view: its index in the stack."""

    closed = Signal()
    """The layers are gone."""

    def __init__(
        self, viewer: Any, series: TiltSeries, tilt_deg: NDArray[np.float64], layers: Mapping[str, LayerTuple]
    ) -> None:
        self.viewer = viewer
        self.series = series
        self.order = np.argsort(tilt_deg, kind="stable")
        self.rank = np.argsort(self.order)
        self._layers: dict[str, Layer] = {}
        self._is_closed = False
        self._contrast: tuple[float, ...] | None = None
        self._tilt = -1
        attend(viewer)
        for what, (data, attributes, kind) in layers.items():
            self._layers[what] = Layer.create(data, attributes, kind)
            viewer.add_layer(self._layers[what])
        self._layers["stack"].metadata[CAPTION_KEY] = lambda rank: self.caption(self._tilt_at(rank))
        viewer.dims.events.current_step.connect(self._follow_slider)
        viewer.layers.events.removed.connect(self._note_removed)
        hide_other_space(viewer, TILT_AXES)
        viewer.dims.ndisplay = 2
        self.go_to_tilt(int(np.argmin(np.abs(tilt_deg))))
        viewer.reset_view()

    @property
    def tilt(self) -> int:
        """Index in the stack of the tilt in view."""
        return self._tilt_at(round(float(self.viewer.dims.point[-3]) / self.series.pixel_ang))

    def layer(self, what: str) -> Layer:
        """Return one of the layers, by what it shows."""
        return self._layers[what]

    def go_to_tilt(self, tilt: int) -> None:
        """Bring a tilt into view."""
        world_ang = float(self.rank[tilt]) * self.series.pixel_ang
        self.viewer.dims.set_point(self.viewer.dims.ndim - 3, world_ang)

    def bind_keys(self, keys: Mapping[str, Callable[[], None]]) -> None:
        """Let keys do things while one of the layers is active."""
        for key, act in keys.items():
            for layer in self._layers.values():
                layer.bind_key(key, lambda _, act=act: act(), overwrite=True)

    def caption(self, tilt: int) -> str:
        """Say what is to be known of a tilt."""
        raise NotImplementedError

    def close(self) -> None:
        """Take the layers away."""
        if self._is_closed:
            return
        self._is_closed = True
        self.viewer.dims.events.current_step.disconnect(self._follow_slider)
        self.viewer.layers.events.removed.disconnect(self._note_removed)
        for layer in self._layers.values():
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)
        self.closed.emit()

    def _tilt_at(self, rank: int) -> int:
        return int(self.order[np.clip(rank, 0, len(self.order) - 1)])

    def _follow_slider(self, event: Any = None) -> None:
        if self.viewer.dims.ndim < 3:
            return  # the last layer has just been removed
        if self.tilt != self._tilt:
            self._tilt = self.tilt
            self._adapt_contrast()
            self.tilt_shown.emit(self._tilt)

    def _adapt_contrast(self) -> None:
        """Give every tilt grey values of its own, for high tilts are darker; not any more once a person set them."""
        layer = self._layers["stack"]
        if self._contrast in (None, tuple(layer.contrast_limits)):
            limits = contrast_limits(self.series.images[self._tilt : self._tilt + 1])
            layer.contrast_limits_range = limits
            layer.contrast_limits = limits
            self._contrast = tuple(layer.contrast_limits)

    def _note_removed(self, event: Any) -> None:
        """End with the first layer that somebody removes: the others alone would mislead."""
        if event.value in self._layers.values():
            QTimer.singleShot(0, self.close)
