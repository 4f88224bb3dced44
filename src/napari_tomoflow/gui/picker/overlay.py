"""Picks drawn on one pane: outlines in the colours of their types, the selected ones, and three arrows each."""

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray

from napari_tomoflow.core.ops.poses import matrices_from_quaternions
from napari_tomoflow.gui.picker.picks import QUATERNIONS, TYPE, Rows
from napari_tomoflow.gui.picker.planes import Floats, Plane, arrows, outlines
from napari_tomoflow.gui.picker.seen import cut_by
from napari_tomoflow.gui.picker.session import Session

ARROW_COLOURS = ("#ff5555", "#55dd55", "#5599ff")
"""Of the axes x, y and z of a particle."""

_SELECTED_COLOUR = "#ffffff"
_FEW = 1000
"""So many picks have thick lines, which take several times as long to draw."""

_UPRIGHT = 1.0 - 1e-9
_DOT = 0.06
"""Radius of the dot in a pick's middle over that of the pick."""


class Overlay:
    """The lines on a pane.

    Parameters
    ----------
    box : pyqtgraph.ViewBox
    """

    def __init__(self, box: pg.ViewBox) -> None:
        self._box = box
        self._of_type: list[pg.PlotCurveItem] = []
        self._selected = self._curve(_SELECTED_COLOUR, 3)
        self._arrows = [self._curve(colour, 2) for colour in ARROW_COLOURS]
        for above in (self._selected, *self._arrows):
            above.setZValue(1)
        self.n_drawn = 0

    def show(self, session: Session, rows: Rows, plane: Plane, shape: str, thickness_ang: float, turned: bool) -> None:
        """Draw the picks that a slab cuts.

        Parameters
        ----------
        session
        rows
            The picks that may be seen.
        plane
            Middle of the slab.
        shape : {"sphere", "box"}
            Spheres have the diameter of their type, boxes its edge; both shrink away from the slice.
        thickness_ang
            Of the slab.
        turned
            Whether picks that are turned have arrows.
        """
        seen, places, radius = cut_by(session, rows, plane, shape, thickness_ang)
        self.n_drawn = len(seen)
        types = session.picks[TYPE][seen]
        for index, one in enumerate(session.types):
            if index == len(self._of_type):
                self._of_type.append(self._curve(one.colour, 1))
            chosen = types == index
            x, y, goes_on = outlines(places[chosen], radius[chosen], shape)
            dots = outlines(places[chosen], _DOT * radius[chosen], "box")
            curve = self._of_type[index]
            curve.setPen(pg.mkPen(one.colour, width=2 if len(seen) < _FEW else 1))
            curve.setData(
                np.concatenate([x, dots[0]]), np.concatenate([y, dots[1]]), connect=np.concatenate([goes_on, dots[2]])
            )
        selected = np.isin(seen, session.selection)
        _draw(self._selected, outlines(places[selected], radius[selected], shape))
        has_arrows = turned & is_turned(session, seen)
        self._show_arrows(session, seen[has_arrows], places[has_arrows], plane)

    def _show_arrows(self, session: Session, rows: Rows, places: Floats, plane: Plane) -> None:
        length_ang = np.array([one.diameter_ang for one in session.types])[session.picks[TYPE][rows]] / 2.0
        axes_xyz = matrices_from_quaternions(session.picks[QUATERNIONS][rows])  # columns are the particle's axes
        for axis, curve in enumerate(self._arrows):
            spans = axes_xyz[:, ::-1, axis] @ plane.axes_zyx[:2].T * length_ang[:, None]
            _draw(curve, arrows(places, spans))

    def _curve(self, colour: str, width: int) -> pg.PlotCurveItem:
        curve = pg.PlotCurveItem(pen=pg.mkPen(colour, width=width), skipFiniteCheck=True)
        self._box.addItem(curve, ignoreBounds=True)
        return curve


def is_turned(session: Session, rows: Rows) -> NDArray[np.bool_]:
    """Tell which picks have an orientation of their own; those as they were clicked have none to show."""
    return np.asarray(np.abs(session.picks[QUATERNIONS][rows, 3]) < _UPRIGHT)


def _draw(curve: pg.PlotCurveItem, lines: tuple[Floats, Floats, NDArray[np.bool_]]) -> None:
    curve.setData(lines[0], lines[1], connect=lines[2])


def rgba(colour: str) -> tuple[float, ...]:
    """Return the parts of a colour ``#rrggbb`` from 0 to 1, with full opacity."""
    return (*(int(colour[at : at + 2], 16) / 255.0 for at in (1, 3, 5)), 1.0)
