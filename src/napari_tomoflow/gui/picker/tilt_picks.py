"""Picks on the raw tilt images: every pick where the alignment projects it, in the order of the tilt angles."""

from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_tomoflow.core.model import Alignment, TiltSeries
from napari_tomoflow.gui.canvas import CAPTION_KEY, hide_other_space, show_text, tilt_text
from napari_tomoflow.gui.layers import SPECIMEN_AXES, TILT_AXES, tilt_series_to_layer
from napari_tomoflow.gui.picker.overlay import rgba
from napari_tomoflow.gui.picker.picks import CENTERS, TYPE, Rows
from napari_tomoflow.gui.picker.session import Session
from napari_tomoflow.gui.tilt_order import in_tilt_order


def places_on_tilt(alignment: Alignment, tilt: int, points_ang_zyx: NDArray[np.float64]) -> NDArray[np.float64]:
    """Project points into one tilt, as `Alignment.project` does into all: float64[k, 2] yx, Å from the image centre."""
    places = alignment.rigid_part(np.array([tilt])).project(points_ang_zyx)[0][0]
    if alignment.deformation is not None:
        places = places - alignment.deformation.displacement(tilt, places, points_ang_zyx[:, 0])
    return np.asarray(places)


class TiltPicks:
    """The tilts of a series in a viewer, with the picks on the one in view.

    Parameters
    ----------
    viewer
    series : TiltSeries
    alignment : Alignment
    """

    def __init__(self, viewer: Any, series: TiltSeries, alignment: Alignment) -> None:
        self.viewer = viewer
        self._alignment = alignment
        self._pixel_ang = series.pixel_ang
        self._order = np.argsort(alignment.tilt_deg, kind="stable")
        in_order = in_tilt_order(series.replace(kept=alignment.kept), self._order)
        data, attributes, kind = tilt_series_to_layer(in_order)
        self._stack = Layer.create(data, attributes | {"name": f"{series.name} tilts with picks"}, kind)
        self._stack.metadata[CAPTION_KEY] = lambda plane: f"{tilt_text(in_order, plane)}    picks as aligned"
        self._points = Layer.create(
            np.zeros((0, 3)),
            {
                "name": "picks on this tilt",
                "scale": (self._pixel_ang,) * 3,
                "units": ("angstrom",) * 3,
                "axis_labels": TILT_AXES,
                "face_color": "transparent",
                "border_width": 0.06,
            },
            "points",
        )
        for layer in (self._stack, self._points):
            viewer.add_layer(layer)
        hide_other_space(viewer, TILT_AXES)
        viewer.dims.ndisplay = 2
        viewer.dims.set_point(0, float(np.argmin(np.abs(in_order.tilt_deg))) * self._pixel_ang)
        viewer.reset_view()
        show_text(viewer)

    @property
    def tilt(self) -> int:
        """Index in the stack of the tilt in view."""
        rank = round(float(self.viewer.dims.point[-3]) / self._pixel_ang)
        return int(self._order[np.clip(rank, 0, len(self._order) - 1)])

    @property
    def points(self) -> Layer:
        """The layer with the picks."""
        return self._points

    def show(self, session: Session, rows: Rows) -> None:
        """Draw picks on the tilt in view."""
        tilt = self.tilt
        places = places_on_tilt(self._alignment, tilt, session.picks[CENTERS][rows])
        rank = float(np.flatnonzero(self._order == tilt)[0])
        self._points.data = np.column_stack([np.full(len(rows), rank), places / self._pixel_ang])
        if len(rows):
            types = session.picks[TYPE][rows]
            colours = np.array([rgba(one.colour) for one in session.types])[types]
            colours[np.isin(rows, session.selection)] = 1.0
            self._points.border_color = colours
            sizes = np.array([one.diameter_ang for one in session.types])
            self._points.size = sizes[types] / self._pixel_ang

    def close(self) -> None:
        """Take the tilts away, and show the tomogram again."""
        for layer in (self._points, self._stack):
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)
        for layer in self.viewer.layers:
            if layer.axis_labels[-3:] == SPECIMEN_AXES:
                layer.visible = True
        show_text(self.viewer)
