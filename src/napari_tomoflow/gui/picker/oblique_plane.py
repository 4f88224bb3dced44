"""How the oblique plane lies: three angles of RELION, its size, and the controls that show them."""

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSignalBlocker

from napari_tomoflow.core.ops.poses import matrices_from_relion, relion_from_matrices
from napari_tomoflow.gui.picker.controls import Panel
from napari_tomoflow.gui.picker.scene import Scene


class ObliquePlane:
    """Keeps the controls of the oblique plane and the plane in step."""

    def __init__(self, panel: Panel, scene: Scene) -> None:
        self._panel, self._scene = panel, scene
        for spin in (*panel.frame, panel.side):
            spin.valueChanged.connect(lambda value: self._take_angles())

    def lay(self, frame: NDArray[np.float64]) -> None:
        """Lay the plane into a frame, float64[3, 3] acting on (x, y, z)."""
        for spin, angle_deg in zip(self._panel.frame, relion_from_matrices(frame[None])[0], strict=True):
            with QSignalBlocker(spin):
                spin.setValue(float(angle_deg))
        # Not by the angles shown, which are whole degrees.
        self._scene.turn_oblique(frame, self._panel.side.value())

    def _take_angles(self) -> None:
        angles_deg = [spin.value() for spin in self._panel.frame]
        self._scene.turn_oblique(matrices_from_relion([angles_deg])[0], self._panel.side.value())
