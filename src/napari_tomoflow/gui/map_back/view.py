"""The panel beside placed averages: what colours tell, who was clicked on, and the way to its pick."""

from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np
from napari.utils.notifications import show_info
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_tomoflow.core.model import MappedBack
from napari_tomoflow.core.model.paths import PATH_COLUMNS
from napari_tomoflow.gui.map_back.scene import PlacedScene
from napari_tomoflow.gui.picker.opening import open_picker
from napari_tomoflow.gui.picker.picks import CENTERS, IS_THERE
from napari_tomoflow.gui.tomogram_view.places import look_at
from napari_tomoflow.io.placement_colours import legend_of, limits_of
from napari_tomoflow.project import Project

_NOTHING_OPEN = "Double-click a result of map-back in the Tomoflow dock to open it here."
_HOW = "Click on a particle to choose it."
_COLUMNS = ("species", "class", "score", "neighbour")
_SAME_PICK_ANG = 100.0
"""A pick further from where refinement has put its particle is another one."""


class PlacedAverages(QWidget):
    """Look at averages in their tomogram, coloured by what is known of each, and go from one to its pick.

    Parameters
    ----------
    napari_viewer
        Where they are shown.
    """

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = napari_viewer
        self.scene: PlacedScene | None = None
        self.row: int | None = None
        self._project: Project | None = None
        self.by, self.legend, self.about = QComboBox(), QLabel(), QLabel(_NOTHING_OPEN)
        self.painted = QCheckBox("Painted volume in place of surfaces and labels")
        self.to_neighbour, self.to_pick = QPushButton("Nearest neighbour"), QPushButton("Open its pick")
        self.by.currentTextChanged.connect(self._colour)
        self.painted.toggled.connect(lambda checked: self.scene and self.scene.show_painted(checked))
        self.to_neighbour.clicked.connect(lambda checked=False: self.go_to_neighbour())
        self.to_pick.clicked.connect(lambda checked=False: self.open_pick())
        self._lay_out()
        napari_viewer.mouse_drag_callbacks.append(self._take_press)
        self.destroyed.connect(lambda: _forget(napari_viewer, self._take_press))
        self._describe()

    def open_placed(self, placed: MappedBack, project: Project | None = None, n_faces: int | None = None) -> None:
        """Show placed averages; with a project one can go from a particle to its pick."""
        self.close_placed()
        self._project = project
        self.scene = PlacedScene(self.viewer, placed, n_faces)
        features = placed.particles.features.items()
        numbers = [name for name, column in features if column.dtype.kind in "iuf" and name not in PATH_COLUMNS]
        with QSignalBlocker(self.by):
            self.by.clear()
            self.by.addItems(list(dict.fromkeys((*_COLUMNS, *numbers))))
            self.by.setCurrentText(placed.colour_by)
        self.painted.setChecked(False)
        self._describe()

    def close_placed(self) -> None:
        """Take what is shown out of the viewer."""
        if self.scene is not None:
            self.scene.close()
        self.scene, self.row = None, None

    def choose(self, row: int) -> None:
        """Mark a particle, look at it, and say what is known of it."""
        if self.scene is None:
            return
        self.row = row
        self.scene.choose(row)
        place = self.scene.placed.particles.centers_ang_zyx[row]
        look_at(self.viewer, (float(place[0]), float(place[1]), float(place[2])))
        self.viewer.scene.camera.center = tuple(place.tolist())
        self._describe()

    def go_to_neighbour(self) -> None:
        """Choose the nearest neighbour of the particle chosen."""
        if self.scene is not None and self.row is not None:
            found = self.scene.placed.neighbours
            for other in found.other[(found.of == self.row) & (found.rank == 1)]:
                self.choose(int(other))

    def open_pick(self) -> None:
        """Open the picker on the pick the chosen particle came from."""
        if self.scene is None or self.row is None or self._project is None:
            return
        placed = self.scene.placed
        place = placed.particles.centers_ang_zyx[self.row]
        picker = open_picker(self.viewer, self._project, placed.name)
        picks = picker.session.picks
        away = np.where(picks[IS_THERE], np.linalg.norm(picks[CENTERS] - place, axis=1), np.inf)
        if away.min(initial=np.inf) <= _SAME_PICK_ANG:
            picker.go_to_pick(int(np.argmin(away)))
        else:
            show_info(f"{placed.name} has no pick within {_SAME_PICK_ANG / 10:g} nm of this particle.")

    def _colour(self, by: str) -> None:
        if self.scene is not None and by:
            self.scene.colour(by)
            self._describe()

    def _take_press(self, viewer: Any, event: Any) -> Iterator[None]:
        """Choose what is clicked on; a press that moves turns the view instead."""
        yield
        moved = False
        while event.type == "mouse_move":
            moved = True
            yield
        if moved or self.scene is None or not self.scene.is_in_view:
            return
        place = np.asarray(event.position, np.float64)[-3:]
        if viewer.dims.ndisplay == 3:
            row = self.scene.particle_on_ray(place, np.asarray(event.view_direction, np.float64)[-3:])
        else:
            row = self.scene.particle_at(place)
        if row is not None:
            self.choose(row)

    def _describe(self) -> None:
        """Say what is shown and what is chosen."""
        shown = self.scene is not None
        for widget in (self.by, self.painted):
            widget.setEnabled(shown)
        self.to_neighbour.setEnabled(self.row is not None)
        self.to_pick.setEnabled(self.row is not None and self._project is not None)
        if self.scene is None:
            self.about.setText(_NOTHING_OPEN)
            self.legend.clear()
            return
        placed = self.scene.placed
        self.legend.setText(_legend_text(placed, self.by.currentText()))
        head = f"<b>{escape(placed.name)}</b> · {len(placed.particles)} averages"
        self.about.setText(f"{head}<br>{_HOW if self.row is None else _particle_text(placed, self.row)}")

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.addWidget(QLabel("Colour tells"), 0, 0)
        grid.addWidget(self.by, 0, 1)
        grid.addWidget(self.legend, 1, 0, 1, 2)
        grid.addWidget(self.painted, 2, 0, 1, 2)
        grid.addWidget(self.about, 3, 0, 1, 2)
        grid.addWidget(self.to_neighbour, 4, 0)
        grid.addWidget(self.to_pick, 4, 1)
        for label in (self.legend, self.about):
            label.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.addLayout(grid)
        layout.addStretch(1)


def _legend_text(placed: MappedBack, by: str) -> str:
    """Name the colours of texts, or the numbers at both ends of the scale."""
    legend = legend_of(placed, by)
    if legend:
        return "&nbsp; ".join(f"<font color='{colour}'>■</font> {escape(name)}" for name, colour in legend.items())
    low, high = limits_of(placed, by)
    return f"<font color='#440154'>■</font> {low:.4g} … <font color='#fde725'>■</font> {high:.4g}"


def _particle_text(placed: MappedBack, row: int) -> str:
    """Say what is known of a particle."""
    particles = placed.particles
    z, y, x = particles.centers_ang_zyx[row] / 10.0
    lines = [
        f"{escape(str(placed.species[row]))} <b>{particles.ids[row]}</b>, class {particles.class_ids[row]}",
        f"score {particles.score[row]:.4g}",
        f"x {x:.1f}, y {y:.1f}, z {z:.1f} nm from the centre",
    ]
    found = placed.neighbours
    for pair in np.flatnonzero((found.of == row) & (found.rank == 1)):
        other, turned = int(found.other[pair]), found.turned_deg[pair]
        how = f", turned by {turned:.0f}°" if np.isfinite(turned) else ""
        lines.append(
            f"nearest: {escape(str(placed.species[other]))} {particles.ids[other]}, "
            f"{found.distance_ang[pair] / 10:.1f} nm away{how}"
        )
    return "<br>".join(lines)


def _forget(viewer: Any, callback: Any) -> None:
    if callback in viewer.mouse_drag_callbacks:
        viewer.mouse_drag_callbacks.remove(callback)
