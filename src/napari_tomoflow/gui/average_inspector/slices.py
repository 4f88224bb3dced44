"""Three planes through a map, which follow the pointer."""

from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QApplication, QWidget

from napari_tomoflow.gui.average_inspector.session import Image
from napari_tomoflow.gui.tilt_plot import BACKGROUND, FOREGROUND

PLANES = ("xy", "xz", "yz")
_AXES = {"x": 2, "y": 1, "z": 0}
_SHADES = (0.5, 99.8)
"""Percentiles of all planes that are drawn black and white."""
_CROSS = "#ffd24d90"
_LEAST_HEIGHT_PX = 260


class SlicesView(pg.GraphicsLayoutWidget):
    """The planes ``xy``, ``xz`` and ``yz`` through a voxel; a click or a drag in one moves the other two."""

    moved = Signal(tuple)
    """The voxel (z, y, x) a person chose."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setBackground(BACKGROUND)
        self.setMinimumHeight(_LEAST_HEIGHT_PX)
        self.images: dict[str, pg.ImageItem] = {}
        self.crosses: dict[str, tuple[pg.InfiniteLine, pg.InfiniteLine]] = {}
        self._place = (0, 0, 0)
        self._shape = (1, 1, 1)
        for column, plane in enumerate(PLANES):
            self.addLabel(plane, row=0, col=column, color=FOREGROUND)
            box = self.addViewBox(row=1, col=column, lockAspect=True, enableMouse=False, enableMenu=False)
            image = self.images[plane] = pg.ImageItem(axisOrder="row-major")
            lines = tuple(pg.InfiniteLine(angle=angle, pen=pg.mkPen(_CROSS)) for angle in (90, 0))
            self.crosses[plane] = (lines[0], lines[1])
            for item in (image, *lines):
                box.addItem(item)
        self.scene().sigMouseClicked.connect(lambda event: self._take(event.scenePos(), event.button()))
        self.scene().sigMouseMoved.connect(self._take_move)

    def show_slices(self, slices: dict[str, Image], place_zyx: tuple[int, int, int], shape: tuple[int, ...]) -> None:
        """Draw the planes through a voxel of a volume of some shape."""
        self._place, self._shape = place_zyx, (shape[0], shape[1], shape[2])
        low, high = np.percentile(np.concatenate([image.ravel() for image in slices.values()]), _SHADES)
        for plane, image in slices.items():
            self.images[plane].setImage(image, levels=(float(low), float(max(high, low + 1e-12))))
            for line, axis in zip(self.crosses[plane], plane, strict=True):
                line.setValue(place_zyx[_AXES[axis]] + 0.5)

    def clear_all(self) -> None:
        """Show nothing."""
        for image in self.images.values():
            image.clear()

    def choose(self, plane: str, across: float, up: float) -> None:
        """Go to a place of a plane, in voxels from its corner."""
        place = list(self._place)
        for axis, value in zip(plane, (across, up), strict=True):
            place[_AXES[axis]] = int(np.clip(np.floor(value), 0, self._shape[_AXES[axis]] - 1))
        self.moved.emit(tuple(place))

    def _take_move(self, place: Any) -> None:
        if QApplication.mouseButtons() & Qt.MouseButton.LeftButton:
            self._take(place, Qt.MouseButton.LeftButton)

    def _take(self, scene_place: Any, button: Any) -> None:
        if button != Qt.MouseButton.LeftButton:
            return
        for plane, image in self.images.items():
            if image.image is not None and image.sceneBoundingRect().contains(scene_place):
                place = image.mapFromScene(scene_place)
                self.choose(plane, place.x(), place.y())
