"""The *Tomogram view*: three linked slabs of one tomogram, or of two in turns."""

from collections.abc import Callable, Iterator
from typing import Any, cast

from napari.layers import Layer
from napari.qt.threading import create_worker
from qtpy.QtCore import QSignalBlocker, Qt, QTimer
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QShortcut,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_tomoflow.core.model import Tomogram
from napari_tomoflow.gui.layers import METADATA_KEY
from napari_tomoflow.gui.tomogram_view.panes import ACROSS, Panes
from napari_tomoflow.gui.tomogram_view.slabs import CONTRASTS, Filter, Image, extent_ang, grey_levels, index_of, slab

_THICKEST_VOXELS = 60
_DRAW_AFTER_MS = 30
"""Sliders move faster than slabs are read: what comes within this time is drawn once."""

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
        self._worker: Any = None
        self._is_outdated = False
        self._make_widgets()
        self._lay_out()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DRAW_AFTER_MS)
        self._timer.timeout.connect(self.draw)
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

    def go_to(self, place_ang_zyx: tuple[float, float, float]) -> None:
        """Look at another place, with the viewer's sliders."""
        self.panes.show_place(place_ang_zyx)
        first = self.viewer.dims.ndim - 3
        self.viewer.dims.set_point(range(first, first + 3), place_ang_zyx)
        self._timer.start()

    def draw(self) -> None:
        """Read the slabs at the place looked at in a thread, and show each as it comes.

        A slab across x touches every page of a file, which for a big tomogram takes seconds; what is asked
        for meanwhile is drawn when the thread has stopped.
        """
        tomogram = self.tomogram
        self._describe(tomogram)
        self._is_outdated = self._worker is not None
        if self._worker is not None:
            self._worker.quit()
        elif tomogram is not None:
            thickness_ang = self.thickness.value() * tomogram.voxel_ang
            place = self.panes.place_ang_zyx
            self._worker = create_worker(
                _read_slabs, tomogram, place, thickness_ang, self.filter(), _start_thread=False
            )
            self._worker.yielded.connect(lambda one: self._show(tomogram, *one))
            self._worker.finished.connect(self._note_drawn)
            self._worker.start()

    @property
    def is_drawn(self) -> bool:
        """Whether what is shown is what was asked for last."""
        return self._worker is None and not self._timer.isActive()

    def filter(self) -> Filter:
        """Return the filter that is chosen."""
        return Filter(
            kind=self.kind.currentText(),
            lowpass_ang=self.lowpass.value(),
            defocus_ang=1e4 * self.defocus.value(),
            strength=self.strength.value(),
        )

    def _show(self, tomogram: Tomogram, pane: str, image: Image) -> None:
        if self._is_outdated:
            return
        if pane == "xy":
            low, high = grey_levels(image, self.contrast.currentText())
            self._levels = (high, low) if self.inverted.isChecked() else (low, high)
        extents = tuple(extent_ang(tomogram, axis) for axis in (0, 1, 2))
        self.panes.show_image(pane, image, self._levels, extents)
        if extents != self._fitted:
            self._fitted = extents
            self.panes.show_all(extents)

    def _note_drawn(self) -> None:
        self._worker = None
        if self._is_outdated:
            self.draw()

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
        self._timer.start()

    def _follow_viewer(self, event: Any = None) -> None:
        place = tuple(float(value) for value in self.viewer.dims.point[-3:])
        if place != self.panes.place_ang_zyx:
            # The sliders of axes in view do not say where one looks; only the one across does.
            shown = self.viewer.dims.displayed
            first = self.viewer.dims.ndim - 3
            kept = self.panes.place_ang_zyx
            place = tuple(kept[axis] if first + axis in shown else place[axis] for axis in range(3))
            self.panes.show_place(cast(tuple[float, float, float], place))
            self._timer.start()

    def _describe(self, tomogram: Tomogram | None) -> None:
        if tomogram is None:
            self.about.setText("Open a tomogram, and it is shown here.")
            return
        z, y, x = (index_of(tomogram, axis, self.panes.place_ang_zyx[axis]) for axis in (0, 1, 2))
        thick_nm = self.thickness.value() * tomogram.voxel_ang / 10.0
        self.about.setText(f"<b>{self.chooser.currentText()}</b> · x {x}, y {y}, z {z} · slab of {thick_nm:.3g} nm")
        for widget, kind in ((self.lowpass, "low-pass"), (self.defocus, "deconvolve"), (self.strength, "deconvolve")):
            widget.setVisible(self.kind.currentText() == kind)

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
        self.thickness = QSlider(Qt.Orientation.Horizontal, minimum=1, maximum=_THICKEST_VOXELS, value=1)
        self.contrast = _combo(CONTRASTS, "normal")
        self.inverted = QCheckBox("inverted")
        self.kind = _combo(("none", "low-pass", "deconvolve"), "none")
        self.lowpass = _spin(5.0, 1000.0, 40.0, " Å")
        self.defocus = _spin(0.1, 20.0, 3.0, " µm defocus")
        self.strength = _spin(0.1, 3.0, 1.0, " strength")
        draw: Callable[..., None] = lambda *_: self._timer.start()  # noqa: E731 - connected to seven signals
        for combo in (self.chooser, self.contrast, self.kind):
            combo.currentTextChanged.connect(draw)
        for number in (self.thickness, self.lowpass, self.defocus, self.strength):
            number.valueChanged.connect(draw)
        self.inverted.toggled.connect(draw)

    def _lay_out(self) -> None:
        controls = QGridLayout()
        rows: tuple[tuple[str, tuple[QWidget, ...]], ...] = (
            ("Tomogram", (self.chooser, self.other, self.swap_button)),
            ("Thickness", (self.thickness,)),
            ("Contrast", (self.contrast, self.inverted)),
            ("Filter", (self.kind, self.lowpass, self.defocus, self.strength)),
        )
        for row, (name, widgets) in enumerate(rows):
            controls.addWidget(QLabel(name), row, 0)
            for column, widget in enumerate(widgets, start=1):
                controls.addWidget(widget, row, column, 1, 1 if len(widgets) > 1 else -1)
        layout = QVBoxLayout(self)
        layout.addWidget(self.panes, 1)
        layout.addWidget(self.about)
        layout.addLayout(controls)


def _read_slabs(
    tomogram: Tomogram, place_ang_zyx: tuple[float, float, float], thickness_ang: float, chosen: Filter
) -> Iterator[tuple[str, Image]]:
    """Yield pane and slab, the quickest to read first."""
    for pane, axis in ACROSS.items():
        image = slab(tomogram, axis, place_ang_zyx[axis], thickness_ang)
        yield pane, chosen.apply(image, tomogram.voxel_ang)


def _combo(entries: tuple[str, ...], chosen: str) -> QComboBox:
    combo = QComboBox()
    combo.addItems(entries)
    combo.setCurrentText(chosen)
    return combo


def _spin(low: float, high: float, value: float, suffix: str) -> QDoubleSpinBox:
    spin = QDoubleSpinBox(minimum=low, maximum=high, value=value, decimals=1, suffix=suffix)
    spin.setSingleStep(0.1 if high < 100 else 5.0)
    return spin
