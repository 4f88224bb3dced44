"""Picks on the canvas of the viewer: those that the slice in view cuts, with their arrows, and the mouse there."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from napari.layers import Layer

from napari_tomoflow.core.ops.poses import matrices_from_quaternions
from napari_tomoflow.gui.layers import SPECIMEN_AXES
from napari_tomoflow.gui.picker.gestures import Gesture, Handler
from napari_tomoflow.gui.picker.overlay import ARROW_COLOURS, is_turned, rgba
from napari_tomoflow.gui.picker.picks import CENTERS, QUATERNIONS, TYPE, Rows
from napari_tomoflow.gui.picker.planes import AXES_ZYX, Floats, Plane
from napari_tomoflow.gui.picker.seen import cut_by
from napari_tomoflow.gui.picker.session import Session

_MOST = 1500
"""napari takes a tenth of a second for so many points; of more, those nearest to the place looked at are shown."""

_SELECTED = (1.0, 1.0, 1.0, 1.0)
_THIN, _THICK = 0.05, 0.12
_LEFT = 1


class CanvasPicks:
    """Two layers of a viewer: points for the picks in view, vectors for their axes.

    Parameters
    ----------
    viewer
    handler
        Gets what the mouse does in a flat view, while the points are the active layer.
    means_picks
        Tells of a gesture whether a drag from there would do something to picks.
    keys
        Key → what it does while one of the layers is active.
    """

    def __init__(
        self,
        viewer: Any,
        handler: Handler,
        means_picks: Callable[[Gesture], bool],
        keys: Mapping[str, Callable[[], None]],
    ) -> None:
        self.viewer = viewer
        self._keys = keys
        self._handler = handler
        self._means_picks = means_picks
        self._layers: dict[str, Layer] = {}
        viewer.mouse_drag_callbacks.append(self._take_mouse)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that are there."""
        return tuple(layer for layer in self._layers.values() if layer in self.viewer.layers)

    def show(
        self, session: Session, rows: Rows, voxel_ang: float, shape: str, thickness_ang: float, turned: bool
    ) -> None:
        """Draw the picks that the slice in view cuts, or in 3-D all of them; made at first, kept in step later."""
        if self.viewer.dims.ndisplay == 3:
            sizes = np.array([one.diameter_ang if shape == "sphere" else one.box_ang for one in session.types])
            seen, places = rows, session.picks[CENTERS][rows]
            radius_ang = sizes[session.picks[TYPE][rows]] / 2.0
        else:
            plane = self._plane()
            seen, in_plane, radius_ang = cut_by(session, rows, plane, shape, thickness_ang)
            places = plane.origin_ang_zyx + in_plane @ plane.axes_zyx[:2]
        if len(seen) > _MOST:
            away = np.linalg.norm(places - np.array(self.viewer.dims.point[-3:]), axis=1)
            nearest = np.argpartition(away, _MOST)[:_MOST]
            seen, places, radius_ang = seen[nearest], places[nearest], radius_ang[nearest]
        self._show_points(session, seen, places / voxel_ang, radius_ang / voxel_ang, shape, voxel_ang)
        has_arrows = turned & is_turned(session, seen)
        self._show_arrows(session, seen[has_arrows], places[has_arrows], voxel_ang)

    def activate(self) -> None:
        """Make the points the layer that mouse and keys act on."""
        if self._layers.get("points") in self.viewer.layers:
            self.viewer.layers.selection.active = self._layers["points"]

    def close(self) -> None:
        """Take the layers away."""
        if self._take_mouse in self.viewer.mouse_drag_callbacks:
            self.viewer.mouse_drag_callbacks.remove(self._take_mouse)
        for layer in self.layers:
            self.viewer.layers.remove(layer)

    def _show_points(
        self, session: Session, rows: Rows, places: Floats, radius: Floats, shape: str, voxel_ang: float
    ) -> None:
        points = self._layer("points", voxel_ang)
        is_selected = np.isin(rows, session.selection)
        colours = np.array([rgba(one.colour) for one in session.types])[session.picks[TYPE][rows]].reshape(-1, 4)
        colours[is_selected] = _SELECTED
        # Told once at the end: napari would draw all points again after each of these.
        with points.events.blocker_all():
            points.data = places
            if len(rows):
                points.size = 2.0 * radius
                points.border_color = colours
                points.border_width = np.where(is_selected, _THICK, _THIN)
                points.symbol = "disc" if shape == "sphere" else "square"
        points.refresh()

    def _show_arrows(self, session: Session, rows: Rows, places: Floats, voxel_ang: float) -> None:
        if not len(rows) and "vectors" not in self._layers:
            return
        length_ang = np.array([one.diameter_ang for one in session.types])[session.picks[TYPE][rows]] / 2.0
        axes_zyx = matrices_from_quaternions(session.picks[QUATERNIONS][rows]).transpose(0, 2, 1)[:, :, ::-1]
        spans = axes_zyx * length_ang[:, None, None]  # (picks, axes of the particle, zyx)
        starts = np.broadcast_to(places[:, None], spans.shape)
        vectors = self._layer("vectors", voxel_ang)
        vectors.data = np.stack([starts, spans], axis=2).reshape(-1, 2, 3) / voxel_ang
        if len(rows):
            vectors.edge_color = np.tile([rgba(colour) for colour in ARROW_COLOURS], (len(rows), 1))
            vectors.edge_width = float(length_ang.mean()) / 12.0 / voxel_ang

    def _layer(self, kind: str, voxel_ang: float) -> Layer:
        layer = self._layers.get(kind)
        if layer is None or layer not in self.viewer.layers or layer.scale[-1] != voxel_ang:
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)
            attributes = {
                "name": "picks in view" if kind == "points" else "orientations in view",
                "scale": (voxel_ang,) * 3,
                "units": ("angstrom",) * 3,
                "axis_labels": SPECIMEN_AXES,
                "blending": "translucent_no_depth",
            }
            special: dict[str, Any] = {"points": {"face_color": "transparent"}, "vectors": {"vector_style": "arrow"}}
            empty = np.zeros((0, 3)) if kind == "points" else np.zeros((0, 2, 3))
            layer = self._layers[kind] = Layer.create(empty, {**attributes, **special[kind]}, kind)
            for key, act in self._keys.items():
                layer.bind_key(key, lambda _, act=act: act(), overwrite=True)
            self.viewer.add_layer(layer)
        return layer

    def _plane(self) -> Plane:
        """Return the plane of the slice in view."""
        dims = self.viewer.dims
        first = dims.ndim - 3
        across = next(axis for axis in range(3) if first + axis not in dims.displayed)
        pane = next(pane for pane, axes in AXES_ZYX.items() if axes[2] == across)
        return Plane.of_pane(pane, dims.point[-3:])

    def _take_mouse(self, viewer: Any, event: Any) -> Iterator[None]:
        """Tell the gestures of one press of the left button; napari sends what follows into the generator."""
        is_ours = viewer.layers.selection.active is self._layers.get("points")
        if not is_ours or event.button != _LEFT or viewer.dims.ndisplay != 2:
            return
        start = self._gesture("start", event)
        takes = event.handled = self._means_picks(start)
        has_moved = False
        yield
        while event.type == "mouse_move":
            if takes and not has_moved:
                self._handler(start)
            has_moved = True
            if takes:
                self._handler(self._gesture("drag", event))
                event.handled = True
            yield
        if not has_moved:
            self._handler(self._gesture("click", event))
        elif takes:
            self._handler(self._gesture("end", event))

    def _gesture(self, phase: Any, event: Any) -> Gesture:
        plane = self._plane()
        right, down, _ = plane.coordinates(np.array(event.position[-3:], np.float64))
        extends = "Shift" in event.modifiers or "Control" in event.modifiers
        return Gesture(phase, plane, float(right), float(down), 1.0 / float(self.viewer.scene.camera.zoom), extends)
