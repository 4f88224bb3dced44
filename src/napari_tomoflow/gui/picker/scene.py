"""What one sees of a tomogram and its picks: four panes, and the canvas of the viewer, kept at the same place."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer

from napari_tomoflow.core.model import Alignment, TiltSeries, Tomogram
from napari_tomoflow.gui.canvas import CAPTION_KEY, show_text, volume_text, wrapped
from napari_tomoflow.gui.opening import show_noun
from napari_tomoflow.gui.picker.board import OBLIQUE, Board
from napari_tomoflow.gui.picker.canvas_picks import CanvasPicks
from napari_tomoflow.gui.picker.gestures import Gesture
from napari_tomoflow.gui.picker.tilt_picks import TiltPicks
from napari_tomoflow.gui.picker.tools import Tools
from napari_tomoflow.gui.tomogram_view.drawing import Drawing, Pictures
from napari_tomoflow.gui.tomogram_view.look import Look
from napari_tomoflow.gui.tomogram_view.places import Place, look_at, place_in_view
from napari_tomoflow.gui.tomogram_view.slabs import Filter, Image, extent_ang, oblique_slab
from napari_tomoflow.gui.tomogram_view.view import read_slabs

_CANVAS_AFTER_MS = 250
"""napari needs a while to draw points: it does so when a person has paused."""


class Scene:
    """The pictures of a picker.

    Parameters
    ----------
    viewer
    board : Board
    look : Look
        How slices are to look.
    tools : Tools
        How picks are drawn, and which of them the mouse would do something to.
    keys
        Key → what it does while the picks are the active layer of the viewer.
    caption
        Keys to be shown on the canvas.
    """

    def __init__(
        self,
        viewer: Any,
        board: Board,
        look: Look,
        tools: Tools,
        keys: Mapping[str, Callable[[], None]],
        caption: str,
    ) -> None:
        self.viewer, self.board, self.look, self.tools = viewer, board, look, tools
        self.arrows = True
        self._caption = caption
        self.tilts: TiltPicks | None = None
        self._has_canvas, self._is_leading = True, False
        self._tomogram: Tomogram | None = None
        self._layer: Any = None
        self._levels = (0.0, 1.0)
        self.canvas = CanvasPicks(viewer, board.handler, tools.means_picks, keys)
        self.drawing = Drawing(self._prepare, self._show, board)
        look.changed.connect(self.redraw)
        self._picks_timer = timer(board, 0, self._draw_picks)
        self._canvas_timer = timer(board, _CANVAS_AFTER_MS, self.show_on_canvas)
        viewer.dims.events.current_step.connect(self._follow_viewer)
        viewer.dims.events.ndisplay.connect(self._ask_canvas)

    @property
    def is_drawn(self) -> bool:
        """Whether everything shown is as it was asked for last."""
        waiting = self._picks_timer.isActive() or self._canvas_timer.isActive()
        return self.drawing.is_done and not waiting

    @property
    def place_ang_zyx(self) -> Place:
        """The place looked at."""
        return self.board.place_ang_zyx

    def show_tomogram(self, tomogram: Tomogram) -> None:
        """Show another tomogram, from its middle."""
        self.hide_tilts()
        old = self._layer
        self._show_layer(tomogram)
        if old in self.viewer.layers:
            self.viewer.layers.remove(old)
        self._tomogram = tomogram
        self.look.set_voxel(tomogram.voxel_ang)
        self.board.show_all(tuple(extent_ang(tomogram, axis) for axis in (0, 1, 2)))
        self.go_to(tomogram.origin_ang_zyx)
        self.show_on_canvas()
        self.canvas.activate()

    def go_to(self, place_ang_zyx: Any) -> None:
        """Look at another place."""
        z, y, x = (float(value) for value in place_ang_zyx)
        self.board.show_place((z, y, x))
        self.redraw()

    def step(self, gesture: Gesture) -> None:
        """Go through the slices of a pane, by the thickness of a slab."""
        if self._tomogram is not None:
            thickness_ang = max(self.look.thickness_ang, self._tomogram.voxel_ang)
            across = gesture.right_ang * thickness_ang * gesture.plane.axes_zyx[2]
            self.go_to(np.array(self.place_ang_zyx) + across)

    def show_tilts(self, series: TiltSeries, alignment: Alignment) -> None:
        """Show the tilts on the canvas in place of the tomogram, with the picks where they are projected."""
        self._has_canvas = False
        self.tilts = TiltPicks(self.viewer, series, alignment)
        self.show_on_canvas()

    def hide_tilts(self) -> None:
        """Show the tomogram on the canvas again."""
        if self.tilts is not None:
            tilts, self.tilts = self.tilts, None
            tilts.close()
            self._has_canvas = True
            self.go_to(self.place_ang_zyx)
            self.viewer.reset_view()

    def turn_oblique(self, frame: NDArray[np.float64], side_ang: float) -> None:
        """Lay the oblique plane another way."""
        self.board.frame = frame
        if side_ang != self.board.oblique_side_ang:
            self.board.oblique_side_ang = side_ang
            if self._tomogram is not None:
                self.board.show_all(tuple(extent_ang(self._tomogram, axis) for axis in (0, 1, 2)))
        self.redraw()

    def redraw(self) -> None:
        """Read the slices again, and draw the picks."""
        self.tools.thickness_ang = self.look.thickness_ang
        self.show_picks()
        self.drawing.ask()

    def show_picks(self) -> None:
        """Draw the picks as they will be when all that is being done is done; on the canvas a moment later."""
        self._picks_timer.start()
        self._ask_canvas()

    def show_on_canvas(self) -> None:
        """Draw the picks on the canvas of the viewer, at the place looked at."""
        session, tomogram = self.tools.session, self._tomogram
        if tomogram is None or not session.tomogram:
            return
        if self.tilts is not None:
            self.tilts.show(session, session.shown())
        else:
            self._is_leading = True
            look_at(self.viewer, self.place_ang_zyx)
            self._is_leading = False
            self.canvas.show(
                session, session.shown(), tomogram.voxel_ang, self.tools.shape, self.tools.thickness_ang, self.arrows
            )

    def _draw_picks(self) -> None:
        session = self.tools.session
        if not session.tomogram:
            return
        rows = session.shown()
        for plane in self.board.planes:
            self.board.overlays[plane.pane].show(
                session, rows, plane, self.tools.shape, self.tools.thickness_ang, self.arrows
            )

    def close(self) -> None:
        """Let go of the viewer; the tomogram stays in it."""
        self.viewer.dims.events.current_step.disconnect(self._follow_viewer)
        self.viewer.dims.events.ndisplay.disconnect(self._ask_canvas)
        if self.tilts is not None:
            self.tilts.close()
        self.canvas.close()

    def _show_layer(self, tomogram: Tomogram) -> None:
        self._layer = show_noun(self.viewer, tomogram)[0]
        said = f"{volume_text(tomogram)}\n{self._caption}"
        self.viewer.layers.move(self.viewer.layers.index(self._layer), 0)  # below the picks
        canvas = self.viewer.canvas
        self._layer.metadata[CAPTION_KEY] = lambda plane: wrapped(said, canvas.size[1])
        show_text(self.viewer)

    def _ask_canvas(self, event: Any = None) -> None:
        self._canvas_timer.start()

    def _follow_viewer(self, event: Any = None) -> None:
        if not self._has_canvas:  # the slider goes through the tilts
            self._ask_canvas()
            return
        if self._is_leading:  # the sliders step by voxels, the place does not
            return
        place = place_in_view(self.viewer, self.board.place_ang_zyx)
        if place != self.board.place_ang_zyx:
            self.board.show_place(place)
            self.redraw()

    def _prepare(self) -> Pictures | None:
        if self._tomogram is None:
            return None
        self._show_texts(self._tomogram)
        board = self.board
        return partial(
            _read_planes, self._tomogram, board.place_ang_zyx, board.frame, board.oblique_side_ang,
            self.look.thickness_ang, self.look.filter(),
        )  # fmt: skip

    def _show(self, pane: str, image: Image) -> None:
        if self._tomogram is None:
            return
        if pane == OBLIQUE:
            self.board.show_oblique(image, self._levels)
            return
        if pane == "xy":
            self._levels = self.look.levels(image)
        extents = tuple(extent_ang(self._tomogram, axis) for axis in (0, 1, 2))
        self.board.show_image(pane, image, self._levels, extents)

    def _show_texts(self, tomogram: Tomogram) -> None:
        z, y, x = self.board.place_ang_zyx
        slab = f", slab {self.look.thickness_ang:.3g} Å" if self.look.thickness.value() > 1 else ""
        self.board.show_texts(
            {
                "xy": f"{tomogram.name}  x–y, z {z:.0f} Å{slab}",
                "xz": f"x–z, y {y:.0f} Å",
                "yz": f"z–y, x {x:.0f} Å",
                OBLIQUE: "oblique",
            }
        )


def timer(parent: QObject, after_ms: int, act: Callable[[], None]) -> QTimer:
    """Return a timer that acts once, a while after it was last started."""
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(after_ms)
    timer.timeout.connect(act)
    return timer


def _read_planes(
    tomogram: Tomogram, place_ang_zyx: Place, frame: NDArray[np.float64], side_ang: float, thickness_ang: float,
    chosen: Filter,
) -> Iterator[tuple[str, Image]]:  # fmt: skip
    """Yield pane and slab, the quickest to read first."""
    slabs = read_slabs(tomogram, place_ang_zyx, thickness_ang, chosen)
    yield next(slabs)
    image = oblique_slab(tomogram, np.array(place_ang_zyx), frame.T[:, ::-1], side_ang, thickness_ang)
    yield OBLIQUE, chosen.apply(image, tomogram.voxel_ang)
    yield from slabs
