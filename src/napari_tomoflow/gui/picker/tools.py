"""What the mouse does to picks, tool by tool. It knows gestures but no window.

While a button is down the picks are drawn as they would be; letting it go makes one change of it.
"""

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from psygnal import Signal

from napari_tomoflow.gui.picker.gestures import Gesture
from napari_tomoflow.gui.picker.picks import CENTERS, IS_THERE, QUATERNIONS, Rows
from napari_tomoflow.gui.picker.planes import Floats, Plane
from napari_tomoflow.gui.picker.seen import cut_by
from napari_tomoflow.gui.picker.session import Session, turned

Tool = Literal["select", "add", "erase", "rotate"]
TOOLS: tuple[Tool, ...] = get_args(Tool)

_REACH_PX = 8.0
"""A click this near to the middle of a pick means it, however small it is drawn."""

_CORE_SHARE = 0.5
"""While one adds, a click means a pick only within this share of its radius: its neighbour may touch it."""

_TILT_SHARE = 0.6
"""A drag that begins within this share of a pick's radius tilts it; farther out it spins it."""


class Tools:
    """Turns gestures into commands of a session.

    Attributes
    ----------
    tool : {"select", "add", "erase", "rotate"}
    brush_ang : float
        Radius of the eraser.
    shape, thickness_ang
        How picks are drawn: only what is seen can be meant.
    """

    looked_at = Signal(object)
    """A person chose another place, float64[3] in Å."""

    added = Signal(object)
    """Picks were added by a click: their rows."""

    drafted = Signal()
    """Picks look different while the mouse is held."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.tool: Tool = "select"
        self.brush_ang = 100.0
        self.shape = "sphere"
        self.thickness_ang = 0.0
        self._drag: Callable[[Gesture], None] | None = None
        self._finish: Callable[[], None] = lambda: None

    def handle(self, gesture: Gesture) -> bool:
        """Act on a gesture; return False where it means nothing here, and the pane may pan."""
        if not self.session.tomogram:
            return False
        if gesture.phase == "click":
            self._click(gesture)
        elif gesture.phase == "start":
            self._drag = self._begin(gesture)
            return self._drag is not None
        elif gesture.phase == "drag" and self._drag is not None:
            self._drag(gesture)
            self.drafted.emit()
        elif gesture.phase == "end" and self._drag is not None:
            self._drag(gesture)
            self._drag = None
            self._finish()
        return True

    @property
    def is_dragging(self) -> bool:
        """Whether a drag is under way, and picks are not what the session was told."""
        return self._drag is not None

    def means_picks(self, gesture: Gesture) -> bool:
        """Tell whether a drag from here would do something to picks."""
        return bool(self.session.tomogram) and (self.tool == "erase" or self.nearest(gesture) is not None)

    def nearest(self, gesture: Gesture) -> int | None:
        """Return the pick that is meant: the nearest of those that are drawn where the mouse is."""
        rows, places, radius = self._seen(gesture.plane)
        if not len(rows):
            return None
        away = np.hypot(places[:, 0] - gesture.right_ang, places[:, 1] - gesture.down_ang)
        reach = radius * (_CORE_SHARE if self.tool == "add" else 1.0)
        away = np.where(away < np.maximum(reach, _REACH_PX * gesture.pixel_ang), away, np.inf)
        best = int(np.argmin(away))
        return int(rows[best]) if np.isfinite(away[best]) else None

    def _click(self, gesture: Gesture) -> None:
        session, place = self.session, gesture.plane.point(gesture.right_ang, gesture.down_ang)
        if self.tool == "erase":
            self.session.delete(self._under_brush(gesture))
            return
        hit = self.nearest(gesture)
        if hit is not None:
            session.select(np.setxor1d(session.selection, [hit]) if gesture.extends else [hit])
            self.looked_at.emit(session.picks[CENTERS][hit].copy())
        elif self.tool == "add":
            self.added.emit(session.add(place))
        else:
            session.select([])
            self.looked_at.emit(place)

    def _begin(self, gesture: Gesture) -> Callable[[Gesture], None] | None:
        """Begin what a drag does; None where it does nothing to picks."""
        if self.tool == "erase":
            return self._begin_erasing()
        hit = self.nearest(gesture)
        if hit is None:
            return None
        if hit not in self.session.selection:
            self.session.select([hit])
        return self._begin_turning(gesture, hit) if self.tool == "rotate" else self._begin_moving(gesture)

    def _begin_moving(self, start: Gesture) -> Callable[[Gesture], None]:
        rows = self.session.selection
        before = self._draft(CENTERS, rows, self.session.move)

        def move(gesture: Gesture) -> None:
            span = gesture.plane.axes_zyx[:2].T @ (
                gesture.right_ang - start.right_ang,
                gesture.down_ang - start.down_ang,
            )
            self.session.picks[CENTERS][rows] = before + span

        return move

    def _begin_turning(self, start: Gesture, hit: int) -> Callable[[Gesture], None]:
        rows, plane = self.session.selection, start.plane
        before = self._draft(QUATERNIONS, rows, self.session.turn)
        right, down, _ = plane.coordinates(self.session.picks[CENTERS][[hit]])[0]
        seen, _, seen_ang = self._seen(plane)
        radius_ang = float(seen_ang[seen == hit][0])
        first = np.array([start.right_ang - right, start.down_ang - down])
        tilts = np.hypot(*first) < _TILT_SHARE * radius_ang

        def turn(gesture: Gesture) -> None:
            now = np.array([gesture.right_ang - right, gesture.down_ang - down])
            if tilts:
                axis, angle_deg = _tilt(plane, now - first, radius_ang)
            else:
                axis = plane.turn_axis_xyz
                angle_deg = float(np.rad2deg(np.arctan2(now[1], now[0]) - np.arctan2(first[1], first[0])))
            if angle_deg:
                self.session.picks[QUATERNIONS][rows] = turned(before, axis, angle_deg, own=False)

        return turn

    def _begin_erasing(self) -> Callable[[Gesture], None]:
        session, erased = self.session, [np.zeros(0, np.int64)]

        def erase(gesture: Gesture) -> None:
            under = self._under_brush(gesture)
            session.picks[IS_THERE][under] = False
            erased.append(under)

        def finish() -> None:
            rows = np.unique(np.concatenate(erased))
            session.picks[IS_THERE][rows] = True
            session.delete(rows)
            self.drafted.emit()

        self._finish = finish
        return erase

    def _under_brush(self, gesture: Gesture) -> Rows:
        rows, places, _ = self._seen(gesture.plane)
        away = np.hypot(places[:, 0] - gesture.right_ang, places[:, 1] - gesture.down_ang)
        return rows[away < self.brush_ang]

    def _draft(self, column: str, rows: Rows, commit: Callable[[Rows, Any], None]) -> Floats:
        """Let some values be written freely until the drag ends; then they become one change.

        Returns
        -------
        float64[k, ...]
            The values before.
        """
        values = self.session.picks[column]
        before = values[rows].copy()

        def finish() -> None:
            after = values[rows].copy()
            values[rows] = before
            commit(rows, after)
            self.drafted.emit()

        self._finish = finish
        return np.asarray(before)

    def _seen(self, plane: Plane) -> tuple[Rows, Floats, Floats]:
        return cut_by(self.session, self.session.shown(), plane, self.shape, self.thickness_ang)


def _tilt(plane: Plane, dragged_ang: Floats, radius_ang: float) -> tuple[Floats, float]:
    """Return axis (x, y, z) and angle that let the front of a ball follow the mouse."""
    far_ang = float(np.hypot(*dragged_ang))
    if far_ang == 0.0:
        return plane.turn_axis_xyz, 0.0
    way_xyz = (dragged_ang @ plane.axes_zyx[:2])[::-1] / far_ang
    return np.cross(-plane.turn_axis_xyz, way_xyz), float(np.rad2deg(far_ang / radius_ang))
