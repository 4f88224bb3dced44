"""Four linked panes: x-y, x-z, y-z and an oblique one, with picks on them and a mouse that tells what it does."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, Qt
from qtpy.QtWidgets import QWidget

from napari_tomoflow.gui.picker.gestures import Gesture, Handler
from napari_tomoflow.gui.picker.overlay import Overlay
from napari_tomoflow.gui.picker.planes import Plane
from napari_tomoflow.gui.tomogram_view.panes import Panes

OBLIQUE = "oblique"

_CELLS = {"xy": (0, 0), "yz": (0, 1), "xz": (1, 0), OBLIQUE: (1, 1)}
"""Pane → row and column."""

_LEAST_SHARE = 28
"""Per cent of the width and height that the flat panes have at least, the oblique one among them."""

_CROSSHAIR = (255, 210, 77, 110)
_LABEL_COLOUR, _LABEL_GROUND = "#c8ccd4", "#101216"
_BRUSH_COLOUR = "#ff5555"
_BAR_SHARE = 0.2
"""A scale bar is at most this long, of the width of the volume."""


class PaneBox(pg.ViewBox):
    """A pane that asks what a drag or a click means before it pans."""

    def __init__(self, **options: Any) -> None:
        super().__init__(enableMenu=False, **options)
        self.ask: Callable[[str, Any], bool] = lambda phase, event: False
        self._is_taken = False

    def mouseDragEvent(self, ev: Any, axis: int | None = None) -> None:
        """Pass a drag with the left button on, else pan or zoom."""
        if ev.button() == Qt.MouseButton.LeftButton:
            if ev.isStart():
                self._is_taken = self.ask("start", ev)
            if self._is_taken:
                ev.accept()
                self.ask("end" if ev.isFinish() else "drag", ev)
                return
        super().mouseDragEvent(ev, axis)

    def keyPressEvent(self, ev: Any) -> None:
        """Leave keys to the picker; pyqtgraph would swallow them all."""
        ev.ignore()

    def wheelEvent(self, ev: Any, axis: int | None = None) -> None:
        """Step through the slices with Ctrl down, else zoom."""
        if ev.modifiers() & Qt.KeyboardModifier.ControlModifier:
            ev.accept()
            self.ask("step", ev)
        else:
            super().wheelEvent(ev, axis)


class Board(Panes):
    """The panes of the picker.

    Attributes
    ----------
    handler : callable
        Gets every gesture.
    frame : float64[3, 3]
        Columns are the directions (x, y, z) to the right of the oblique pane, down it and across it.
    oblique_side_ang : float
        Length of the sides of the oblique slice.
    filling : str
        The pane that is shown alone; empty while there are four.
    """

    box_class: ClassVar[type[pg.ViewBox]] = PaneBox
    _extents_ang: tuple[tuple[float, float], ...] | None = None  # pyqtgraph resizes what it has only begun to make
    _is_zoomed = False

    def __init__(self, handler: Handler, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.handler = handler
        self.frame = np.eye(3)
        self.oblique_side_ang = 1000.0
        self.filling = ""
        self._pane_under_mouse = "xy"
        self._make_oblique()
        for line in (line for lines in self._lines.values() for line in lines):
            line.setMovable(False)  # it lies on the very pick one is about to drag
        self.overlays = {pane: Overlay(box) for pane, box in self._boxes.items()}
        self._brush = pg.PlotCurveItem(pen=pg.mkPen(_BRUSH_COLOUR, width=2))
        self._brush_box: pg.ViewBox | None = None
        self._labels = {pane: _label(box) for pane, box in self._boxes.items()}
        self._bars: list[pg.ScaleBar] = []
        for pane, box in self._boxes.items():
            box.sigRangeChangedManually.connect(lambda *_: self._note_zoom())
            box.ask = lambda phase, event, pane=pane: self._pass_on(phase, pane, event)
        self.scene().sigMouseMoved.connect(self._hover)

    def plane(self, pane: str) -> Plane:
        """Return the plane that a pane shows."""
        if pane == OBLIQUE:
            return Plane.oblique(self.place_ang_zyx, self.frame)
        return Plane.of_pane(pane, self.place_ang_zyx)

    @property
    def planes(self) -> tuple[Plane, ...]:
        """The planes of all panes."""
        return tuple(self.plane(pane) for pane in self._boxes)

    def show_oblique(self, image: NDArray[np.float32], levels: tuple[float, float]) -> None:
        """Draw the oblique slice, the place looked at in its middle."""
        item = self.images[OBLIQUE]
        item.setImage(image, levels=levels, autoLevels=False)
        side = self.oblique_side_ang
        item.setRect(QRectF(-side / 2, -side / 2, side, side))

    def show_all(self, extents_ang: tuple[tuple[float, float], ...]) -> None:
        """Bring everything into view."""
        self._extents_ang, self._is_zoomed = extents_ang, False
        self._share_room()
        oblique = self._boxes.pop(OBLIQUE)
        super().show_all(extents_ang)
        self._boxes[OBLIQUE] = oblique
        side = self.oblique_side_ang
        oblique.setRange(QRectF(-side / 2, -side / 2, side, side), padding=0.0)
        self._show_bars(extents_ang[2][1] - extents_ang[2][0])

    def resizeEvent(self, event: Any) -> None:
        """Keep everything in view, unless a person has zoomed in."""
        super().resizeEvent(event)
        if self._extents_ang is not None and not self._is_zoomed:
            self.show_all(self._extents_ang)

    def toggle_fill(self) -> None:
        """Give the pane under the mouse all the room, or all panes theirs again."""
        self.filling = "" if self.filling else self._pane_under_mouse
        if self._extents_ang is not None:
            self.show_all(self._extents_ang)

    def show_texts(self, texts: dict[str, str]) -> None:
        """Write into the upper left corner of panes."""
        for pane, text in texts.items():
            legible = f'<span style="background-color:{_LABEL_GROUND}">&nbsp;{text}&nbsp;</span>'
            self._labels[pane].setText(legible, color=_LABEL_COLOUR, size="9pt")

    def show_brush(self, gesture: Gesture | None, radius_ang: float = 0.0) -> None:
        """Draw the circle of the brush where the mouse is; None takes it away."""
        box = self._boxes.get(gesture.plane.pane) if gesture is not None else None
        if box is not self._brush_box:
            if self._brush_box is not None:
                self._brush_box.removeItem(self._brush)
            if box is not None:
                box.addItem(self._brush, ignoreBounds=True)
            self._brush_box = box
        if gesture is not None:
            angle = np.linspace(0.0, 2.0 * np.pi, 49)
            self._brush.setData(
                gesture.right_ang + radius_ang * np.cos(angle), gesture.down_ang + radius_ang * np.sin(angle)
            )

    def _shares(self, lengths: tuple[float, float], place: int) -> tuple[int, int]:
        """Leave flat panes a fair share; a pane that is alone gets all."""
        if self.filling:
            alone = _CELLS[self.filling][place]
            return (100, 0) if alone == 0 else (0, 100)
        first, second = super()._shares(lengths, place)
        return (first, second) if second >= _LEAST_SHARE else (100 - _LEAST_SHARE, _LEAST_SHARE)

    def _note_zoom(self) -> None:
        self._is_zoomed = True

    def _share_room(self) -> None:
        """Show one pane alone, or all four."""
        for pane, box in self._boxes.items():
            box.setVisible(pane == (self.filling or pane))
        # Axes of a pane that is not there would be kept in line with it, too.
        self._boxes["yz"].setYLink(None if self.filling else self._boxes["xy"])
        self._boxes["xz"].setXLink(None if self.filling else self._boxes["xy"])

    def _make_oblique(self) -> None:
        box = self._boxes[OBLIQUE] = PaneBox(lockAspect=True, invertY=True)
        self.addItem(box, 1, 1)
        image = self.images[OBLIQUE] = pg.ImageItem(axisOrder="row-major")
        box.addItem(image)
        for angle in (0, 90):
            box.addItem(pg.InfiniteLine(0.0, angle=angle, pen=pg.mkPen(_CROSSHAIR, width=1)), ignoreBounds=True)

    def _show_bars(self, width_ang: float) -> None:
        for bar in self._bars:
            bar.scene().removeItem(bar)
        longest = _BAR_SHARE * width_ang
        power = 10.0 ** np.floor(np.log10(longest))
        length_ang = float(max(step * power for step in (1, 2, 5) if step * power <= longest))
        self._bars = []
        for pane in ("xy", OBLIQUE):
            bar = pg.ScaleBar(length_ang, width=3, brush=_LABEL_COLOUR, pen=None, suffix="Å")
            bar.text.setText(f"{length_ang / 10:g} nm", color=_LABEL_COLOUR)
            bar.setParentItem(self._boxes[pane])
            bar.anchor((1, 1), (1, 1), offset=(-16, -16))
            self._bars.append(bar)

    def _take_click(self, event: Any) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        for pane, box in self._boxes.items():
            if box.isVisible() and box.sceneBoundingRect().contains(event.scenePos()):
                self._pass_on("click", pane, event)

    def _hover(self, position: Any) -> None:
        for pane, box in self._boxes.items():
            if box.isVisible() and box.sceneBoundingRect().contains(position):
                self._pane_under_mouse = pane
                point = box.mapSceneToView(position)
                self.handler(Gesture("hover", self.plane(pane), point.x(), point.y(), self._pixel_ang(pane)))

    def _pass_on(self, phase: Any, pane: str, event: Any) -> bool:
        box = self._boxes[pane]
        keys = event.modifiers()
        extends = bool(keys & (Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.ControlModifier))
        if phase == "step":
            right, down = (1.0 if event.delta() < 0 else -1.0), 0.0
        else:
            # A drag starts where the button went down, not where Qt noticed that it is a drag.
            where = event.buttonDownScenePos() if phase == "start" else event.scenePos()
            point = box.mapSceneToView(where)
            right, down = float(point.x()), float(point.y())
        return self.handler(Gesture(phase, self.plane(pane), right, down, self._pixel_ang(pane), extends))

    def _pixel_ang(self, pane: str) -> float:
        return float(self._boxes[pane].viewPixelSize()[0])


def _label(box: pg.ViewBox) -> pg.LabelItem:
    label = pg.LabelItem(justify="left")
    label.setParentItem(box)
    label.anchor(itemPos=(0, 0), parentPos=(0, 0), offset=(6, 2))
    label.setZValue(100)
    return label
