"""The layers of a session in a viewer: kept in step with it, and what a person does to them told to it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_tomoflow.gui.canvas import show_text, tilt_text
from napari_tomoflow.gui.inspector.pictures import (
    fitting_factor,
    landmark_places,
    overlay_layers,
    predicted_places,
    residual_arrows,
    size_ang,
    stack_layer,
    track_layer,
    track_vertices,
)
from napari_tomoflow.gui.inspector.session import Session
from napari_tomoflow.gui.layers import LayerTuple
from napari_tomoflow.gui.tilt_order import in_tilt_order
from napari_tomoflow.gui.tilt_scene import TiltScene

_SIZE_IN_VIEW_PX = 30.0
"""A landmark one goes to is shown at least this large, pixels of the screen."""


class Scene(TiltScene):
    """Layers that show a session, and through which it is changed.

    Beside ``stack`` they are ``tracks``, ``predicted``, ``residuals`` and ``landmarks``.

    Parameters
    ----------
    viewer
    session : Session
    """

    pointed = Signal(int, object)
    """A person added a point: the tilt, and where, float64[2] in Å from the image centre."""

    edited = Signal()
    """A person moved or deleted measurements."""

    def __init__(self, viewer: Any, session: Session) -> None:
        self.session = session
        self.factor = fitting_factor(session)
        self._shown: dict[str, bool] = {}
        self._is_refreshing = False
        super().__init__(viewer, session.series, session.alignment.tilt_deg, _layers(session))
        self.refresh()
        self._layers["landmarks"].events.data.connect(self._take_points)
        self.activate()

    @property
    def tilt(self) -> int:
        """Index in the stack of the tilt in view, or that was when the layers were hidden."""
        return self._tilt if self._shown else super().tilt

    @property
    def selected(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The measurements that are selected."""
        return np.array(sorted(self._layers["landmarks"].selected_data), np.int64)

    def go_to(self, measurement: int) -> None:
        """Bring a measurement into the middle of the view and select it."""
        landmarks = self.session.landmarks
        if landmarks is None:
            return
        self.go_to_tilt(int(landmarks.tilt[measurement]))
        y, x = landmarks.position_ang_yx[measurement]
        self.viewer.scene.camera.center = (0.0, float(y), float(x))
        least_zoom = _SIZE_IN_VIEW_PX / size_ang(self.session)
        self.viewer.scene.camera.zoom = max(float(self.viewer.scene.camera.zoom), least_zoom)
        self._layers["landmarks"].selected_data = {measurement}
        self.activate()

    def activate(self, mode: str = "select") -> None:
        """Make the landmarks the layer that mouse and keys act on; ``add`` takes the next click as a landmark."""
        layer = self._layers["landmarks"]
        self.viewer.layers.selection.active = layer
        layer.mode = mode

    def refresh(self) -> None:
        """Draw the session as it now is."""
        self._is_refreshing = True
        try:
            self._draw_landmarks()
            places, whose = predicted_places(self.session)
            self._layers["predicted"].data = places
            self._layers["predicted"].features = {"landmark": whose}
            self._layers["residuals"].data = residual_arrows(self.session, self.factor)
            self._draw_tracks()
        finally:
            self._is_refreshing = False
        show_text(self.viewer)

    def set_factor(self, factor: float) -> None:
        """Draw residuals this many times as long as they are."""
        self.factor = factor
        self._layers["residuals"].data = residual_arrows(self.session, factor)

    def set_visible(self, is_visible: bool) -> None:
        """Hide all layers, or show again those that were to be seen."""
        if not is_visible and not self._shown:
            self._tilt = self.tilt
            self._shown = {what: layer.visible for what, layer in self._layers.items()}
        for what, layer in self._layers.items():
            layer.visible = is_visible and self._shown.get(what, True)
        if is_visible:
            self._shown = {}
            self.go_to_tilt(self._tilt)
            self.activate()

    def caption(self, tilt: int) -> str:
        """Say what is to be known of a tilt."""
        session = self.session
        reasons = session.now.excluded_because
        # The alignment may leave out more than the series does.
        kept = session.alignment.kept
        because = tuple(reason or ("" if used else "not aligned") for reason, used in zip(reasons, kept, strict=True))
        series = session.series.replace(tilt_deg=session.alignment.tilt_deg, kept=kept, excluded_because=because)
        words = [tilt_text(in_tilt_order(series, self.order), int(self.rank[tilt])), f"image {tilt + 1}"]
        residual_ang = session.tilt_residuals_ang()[tilt]
        if np.isfinite(residual_ang):
            words.append(f"residual {residual_ang / 10:.2f} nm")
        return "    ".join(words)

    def _draw_landmarks(self) -> None:
        layer = self._layers["landmarks"]
        places, colours, features = landmark_places(self.session)
        selected = {one for one in layer.selected_data if one < len(places)}
        layer.selected_data = set()
        layer.data = places
        if len(places):
            layer.features = features
            layer.border_color = colours
            layer.size = size_ang(self.session)
        layer.selected_data = selected

    def _draw_tracks(self) -> None:
        vertices = track_vertices(self.session)
        if "tracks" in self._layers and len(vertices):
            self._layers["tracks"].data = vertices

    def _take_points(self, event: Any) -> None:
        """Take what a person did to the points. napari is not done with them yet, so it is taken a moment later."""
        if self._is_refreshing:
            return
        indices = [int(index) for index in event.data_indices]
        if event.action == "added":
            place = np.array(self._layers["landmarks"].data[-1], np.float64)
            self._later(lambda: self._point_at(place))
        elif event.action == "removed":
            self._later(lambda: self._delete(indices))
        elif event.action == "changed":
            places = np.array(self._layers["landmarks"].data[indices, 1:], np.float64)
            self._later(lambda: self._move(indices, places))

    def _later(self, act: Callable[[], None]) -> None:
        QTimer.singleShot(0, lambda: None if self._is_closed else act())

    def _point_at(self, place: "np.ndarray[Any, np.dtype[np.float64]]") -> None:
        self.activate()
        self._layers["landmarks"].selected_data = set()
        self.refresh()
        self.pointed.emit(self.tilt, place[1:])

    def _delete(self, indices: Sequence[int]) -> None:
        self.session.delete_measurements(np.array(indices, np.int64))
        self.edited.emit()

    def _move(self, indices: Sequence[int], places: "np.ndarray[Any, np.dtype[np.float64]]") -> None:
        self.session.move(np.array(indices, np.int64), places)
        self.edited.emit()


def _layers(session: Session) -> dict[str, LayerTuple]:
    """Make the layers of a session; tracks, which napari refuses to be empty, only where there are some."""
    tracks = {"tracks": track_layer(session)} if len(track_vertices(session)) else {}
    return {"stack": stack_layer(session), **tracks, **overlay_layers(session)}
