"""The *Tomogram view*: three linked slabs of one tomogram, or of two in turns."""

from collections.abc import Iterator
from functools import partial
from typing import Any, cast

from napari.layers import Layer
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QPushButton, QShortcut, QVBoxLayout, QWidget

from napari_tomoflow.core.model import Tomogram
from napari_tomoflow.gui.layers import METADATA_KEY
from napari_tomoflow.gui.tomogram_view.drawing import Drawing, Pictures
from napari_tomoflow.gui.tomogram_view.look import Look
from napari_tomoflow.gui.tomogram_view.panes import ACROSS, Panes
from napari_tomoflow.gui.tomogram_view.places import Place, look_at, place_in_view
from napari_tomoflow.gui.tomogram_view.slabs import Filter, Image, extent_ang, index_of, slab

_NONE = "(none)"


class TomogramView(QWidget):
    """Look at a tomogram along three axes at once, and at two in turns.

    The place looked at is that of the viewer's sliders: moving either moves the other.

    Parameters
    ----------
    napari_viewer
        Its tomogram layers can be chosen.
    """

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = napari_viewer
        self._layers: dict[str, Layer] = {}
        self._fitted: tuple[Any, ...] = ()
        self._levels = (0.0, 1.0)
        self._drawing = Drawing(self._prepare, self._show, self)
        self._make_widgets()
        self._lay_out()
        listened = (
            (napari_viewer.layers.events.inserted, self._list_layers),
            (napari_viewer.layers.events.removed, self._list_layers),
            (napari_viewer.dims.events.current_step, self._follow_viewer),
        )
        for event, act in listened:
            event.connect(act)
        self.destroyed.connect(lambda: [event.disconnect(act) for event, act in listened])
        self._list_layers()

    @property
    def tomogram(self) -> Tomogram | None:
        """The tomogram in view."""
        layer = self._layers.get(self.chooser.currentText())
        return None if layer is None else cast(Tomogram, layer.metadata[METADATA_KEY])

    def swap(self) -> None:
        """Show the other tomogram at the same place."""
        shown, other = self.chooser.currentText(), self.other.currentText()
        if other in self._layers:
            self.chooser.setCurrentText(other)
            self.other.setCurrentText(shown)

    def go_to(self, place_ang_zyx: Place) -> None:
        """Look at another place, with the viewer's sliders."""
        self.panes.show_place(place_ang_zyx)
        look_at(self.viewer, place_ang_zyx)
        self._drawing.ask()

    @property
    def is_drawn(self) -> bool:
        """Whether what is shown is what was asked for last."""
        return self._drawing.is_done

    def _prepare(self) -> Pictures | None:
        tomogram = self.tomogram
        self._describe(tomogram)
        if tomogram is None:
            return None
        return partial(read_slabs, tomogram, self.panes.place_ang_zyx, self.look.thickness_ang, self.look.filter())

    def _show(self, pane: str, image: Image) -> None:
        tomogram = self.tomogram
        if tomogram is None:
            return
        if pane == "xy":
            self._levels = self.look.levels(image)
        extents = tuple(extent_ang(tomogram, axis) for axis in (0, 1, 2))
        self.panes.show_image(pane, image, self._levels, extents)
        if extents != self._fitted:
            self._fitted = extents
            self.panes.show_all(extents)

    def _list_layers(self, event: Any = None) -> None:
        """Offer the tomograms there are; what was chosen stays chosen if it is still there."""
        self._layers = {
            layer.name: layer for layer in self.viewer.layers if isinstance(layer.metadata.get(METADATA_KEY), Tomogram)
        }
        names = list(self._layers)
        for combo, entries in ((self.chooser, names or [_NONE]), (self.other, [_NONE, *names])):
            chosen = combo.currentText()
            with QSignalBlocker(combo):
                combo.clear()
                combo.addItems(entries)
                combo.setCurrentText(chosen if chosen in entries else entries[0])
        if self.other.currentText() == _NONE and len(names) > 1:
            self.other.setCurrentText(next(name for name in names if name != self.chooser.currentText()))
        self._drawing.ask()

    def _follow_viewer(self, event: Any = None) -> None:
        place = place_in_view(self.viewer, self.panes.place_ang_zyx)
        if place != self.panes.place_ang_zyx:
            self.panes.show_place(place)
            self._drawing.ask()

    def _describe(self, tomogram: Tomogram | None) -> None:
        if tomogram is None:
            self.about.setText("Open a tomogram, and it is shown here.")
            return
        self.look.set_voxel(tomogram.voxel_ang)
        z, y, x = (index_of(tomogram, axis, self.panes.place_ang_zyx[axis]) for axis in (0, 1, 2))
        thick_nm = self.look.thickness_ang / 10.0
        self.about.setText(f"<b>{self.chooser.currentText()}</b> · x {x}, y {y}, z {z} · slab of {thick_nm:.3g} nm")

    def _make_widgets(self) -> None:
        self.panes = Panes()
        self.panes.moved.connect(self.go_to)
        self.about = QLabel()
        self.about.setWordWrap(True)
        self.chooser, self.other = QComboBox(), QComboBox()
        self.swap_button = QPushButton("Swap [T]")
        self.swap_button.setToolTip("<p>Show the other tomogram at the same place.</p>")
        self.swap_button.clicked.connect(lambda checked=False: self.swap())
        QShortcut(QKeySequence("T"), self, self.swap, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)
        self.chooser.currentTextChanged.connect(lambda text: self._drawing.ask())
        self.look = Look()
        self.look.changed.connect(self._drawing.ask)

    def _lay_out(self) -> None:
        row = QGridLayout()
        for column, widget in enumerate((QLabel("Tomogram"), self.chooser, self.other, self.swap_button)):
            row.addWidget(widget, 0, column)
        layout = QVBoxLayout(self)
        layout.addWidget(self.panes, 1)
        layout.addWidget(self.about)
        layout.addLayout(row)
        layout.addWidget(self.look)


def read_slabs(
    tomogram: Tomogram, place_ang_zyx: Place, thickness_ang: float, chosen: Filter
) -> Iterator[tuple[str, Image]]:
    """Yield pane and slab, the quickest to read first."""
    for pane, axis in ACROSS.items():
        image = slab(tomogram, axis, place_ang_zyx[axis], thickness_ang)
        yield pane, chosen.apply(image, tomogram.voxel_ang)
