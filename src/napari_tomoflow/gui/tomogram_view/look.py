"""How slices are to look: how thick, how filtered, with how much contrast."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QGridLayout, QLabel, QSlider, QWidget

from napari_tomoflow.gui.tomogram_view.slabs import CONTRASTS, Filter, Image, grey_levels

_THICKEST_VOXELS = 60


class Look(QWidget):
    """Controls of what is done to slices before they are shown."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.thickness = QSlider(Qt.Orientation.Horizontal, minimum=1, maximum=_THICKEST_VOXELS, value=1)
        self.thickness_text = QLabel()
        self.contrast = _combo(CONTRASTS, "normal")
        self.inverted = QCheckBox("inverted")
        self.kind = _combo(("none", "low-pass", "deconvolve"), "none")
        self.lowpass = _spin(5.0, 1000.0, 40.0, " Å")
        self.defocus = _spin(0.1, 20.0, 3.0, " µm")
        self.defocus.setToolTip("<p>Defocus of the deconvolution.</p>")
        self.strength = _spin(0.1, 3.0, 1.0, " ×")
        self.strength.setToolTip("<p>Strength of the deconvolution.</p>")
        self._voxel_ang = 0.0
        for combo in (self.contrast, self.kind):
            combo.currentTextChanged.connect(self._tell)
        for number in (self.thickness, self.lowpass, self.defocus, self.strength):
            number.valueChanged.connect(self._tell)
        self.inverted.toggled.connect(self._tell)
        self._lay_out()
        self._show_fitting()

    @property
    def thickness_ang(self) -> float:
        """How thick a slab is averaged."""
        return float(self.thickness.value() * self._voxel_ang)

    def set_voxel(self, voxel_ang: float) -> None:
        """Count thickness in voxels of another tomogram."""
        if voxel_ang != self._voxel_ang:
            self._voxel_ang = voxel_ang
            self._show_fitting()

    def filter(self) -> Filter:
        """Return the filter that is chosen."""
        return Filter(
            kind=self.kind.currentText(),
            lowpass_ang=self.lowpass.value(),
            defocus_ang=1e4 * self.defocus.value(),
            strength=self.strength.value(),
        )

    def levels(self, image: Image) -> tuple[float, float]:
        """Return the values of an image that are shown black and white; inverted, the larger comes first."""
        low, high = grey_levels(image, self.contrast.currentText())
        return (high, low) if self.inverted.isChecked() else (low, high)

    def _tell(self, *_: object) -> None:
        self._show_fitting()
        self.changed.emit()

    def _show_fitting(self) -> None:
        """Show the numbers that the chosen filter has, and the thickness in Å."""
        self.thickness_text.setText(f"{self.thickness_ang:.3g} Å")
        for widget, kind in ((self.lowpass, "low-pass"), (self.defocus, "deconvolve"), (self.strength, "deconvolve")):
            widget.setVisible(self.kind.currentText() == kind)

    def _lay_out(self) -> None:
        rows: tuple[tuple[str, tuple[QWidget, ...]], ...] = (
            ("Thickness", (self.thickness, self.thickness_text)),
            ("Contrast", (self.contrast, self.inverted)),
            ("Filter", (self.kind, self.lowpass)),
            ("", (self.defocus, self.strength)),
        )
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for row, (name, widgets) in enumerate(rows):
            layout.addWidget(QLabel(name), row, 0)
            for column, widget in enumerate(widgets, start=1):
                layout.addWidget(widget, row, column)


def _combo(entries: tuple[str, ...], chosen: str) -> QComboBox:
    combo = QComboBox()
    combo.addItems(entries)
    combo.setCurrentText(chosen)
    return combo


def _spin(low: float, high: float, value: float, suffix: str) -> QDoubleSpinBox:
    spin = QDoubleSpinBox(minimum=low, maximum=high, value=value, decimals=1, suffix=suffix)
    spin.setSingleStep(0.1 if high < 100 else 5.0)
    return spin
