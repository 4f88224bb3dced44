"""The averages inspector: slices, agreement, iterations, directions and scores of one average, and its surface."""

from html import escape
from typing import Any

import numpy as np
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QLabel, QTabWidget, QVBoxLayout, QWidget

from napari_tomoflow.core.model import Average, Classes, DensityMap, FinishedMap, ParticleSet
from napari_tomoflow.gui.average_inspector.plots import ConvergencePlot, DirectionsPlot, FscPlot, ScorePlot
from napari_tomoflow.gui.average_inspector.session import Session, Shown
from napari_tomoflow.gui.average_inspector.slices import SlicesView
from napari_tomoflow.gui.docking import docked
from napari_tomoflow.gui.keys import key_button
from napari_tomoflow.gui.telling import told
from napari_tomoflow.project import Project, record_edit
from napari_tomoflow.project.book import load_noun

_NOTHING_OPEN = "Double-click an average in the Tomoflow dock to open it here."
_SURFACE_SD = 3.0
"""Of a map, above its mean: where its surface is drawn at first."""


class AverageInspector(QWidget):
    """Look at an average, and leave out the particles that score too low.

    Parameters
    ----------
    napari_viewer
        Where the surface is shown.
    """

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = napari_viewer
        self.session: Session | None = None
        self._project: Project | None = None
        self._item, self._job = "", 0
        self._place = (0, 0, 0)
        self.about, self.choice, self.of_iteration = QLabel(_NOTHING_OPEN), QLabel(), QLabel()
        self.volume = QComboBox()
        self.volume.setToolTip("<p>What the slices and the surface are of.</p>")
        self.slices, self.fsc, self.convergence = SlicesView(), FscPlot(), ConvergencePlot()
        self.directions, self.scores = DirectionsPlot(), ScorePlot()
        self.surface_button = key_button("Surface in 3D", self.show_surface, does="show it in the viewer as a surface")
        self.save_button = key_button(
            "Save as a job", self.save, does="keep only the particles chosen; later stages go on with these"
        )
        self.volume.currentTextChanged.connect(lambda name: self._draw_slices())
        self.slices.moved.connect(self.go_to)
        self.convergence.chosen.connect(self.show_iteration)
        self.scores.moved.connect(self.choose_from)
        self._lay_out()
        self.refresh()

    def open_job(self, project: Project, item: str, job: int) -> None:
        """Open the maps a job made, with their particles where it made some.

        Raises
        ------
        TomoflowError
            Its files are gone or damaged.
        """
        kind = _kind_of(frozenset(project.job(job).items[item].outputs))
        self.show_maps(load_noun(kind, project.job_folder(job) / item))
        self._project, self._item, self._job = project, item, job
        self.refresh()

    def show_maps(self, shown: Shown) -> None:
        """Show an average, its classes or what it was finished to; a choice is saved only where a project is open."""
        self._project, self._item, self._job = None, "", 0
        session = self.session = Session.of(shown)
        nz, ny, nx = session.shape_zyx
        self._place = (nz // 2, ny // 2, nx // 2)
        with QSignalBlocker(self.volume):
            self.volume.clear()
            self.volume.addItems(list(session.volumes))
        self._draw_slices()
        for plot in (self.fsc, self.convergence, self.directions):
            plot.show_quality(session.quality)
        self.of_iteration.setText("Click on an iteration to compare its FSC with the last." if self._history else "")
        self.scores.show_scores(session.particles.score)
        self.refresh()

    def go_to(self, place_zyx: tuple[int, int, int]) -> None:
        """Cut the slices through a voxel."""
        self._place = place_zyx
        self._draw_slices()

    def show_iteration(self, index: int) -> None:
        """Draw the FSC of an iteration beside that of the average, and say what it came to."""
        session = self.session
        if session is None or not 0 <= index < len(self._history):
            return
        one = self._history[index]
        self.fsc.show_iteration(one, session.shape_zyx[-1] * session.voxel_ang)
        found = one["resolution_ang"]
        reached = "no resolution" if found is None else f"{found:.1f} Å"
        turned, moved = one["angular_change_deg"][1], one["shift_change_ang"][1]
        self.of_iteration.setText(
            f"Iteration {index + 1}: {one['search']} search, {reached}; half of the particles turned by more than "
            f"{turned:.2g}° and moved by more than {moved:.2g} Å."
        )

    def choose_from(self, lowest: float) -> None:
        """Choose the particles that score at least so much."""
        if self.session is not None:
            self.session.lowest = lowest
            self.refresh()

    def show_surface(self) -> None:
        """Show the volume in the viewer as a surface, in 3-D."""
        session, name = self.session, self.volume.currentText()
        if session is None:
            return
        volume = np.asarray(session.volumes[name], np.float32)
        level = float(volume.mean() + _SURFACE_SD * volume.std())
        called = f"{session.name} {name}"
        if called in self.viewer.layers:
            self.viewer.layers.remove(self.viewer.layers[called])
        corner = [-(n // 2) * session.voxel_ang for n in volume.shape]
        self.viewer.add_image(
            volume, name=called, scale=(session.voxel_ang,) * 3, translate=corner, units=("angstrom",) * 3,
            axis_labels=("z", "y", "x"), rendering="iso", iso_threshold=level,
        )  # fmt: skip
        self.viewer.dims.ndisplay = 3
        self.viewer.reset_view()

    def save(self) -> None:
        """Save the particles chosen as an edit of the job that made them."""
        session, project = self.session, self._project
        if session is None or project is None:
            return
        with told():
            kept, note = session.selected()
            record = record_edit(project, self._item, [kept], note=note, of_job=self._job)
            self.choice.setText(f"{note} Saved as job {record.number}.")

    def refresh(self) -> None:
        """Bring texts and buttons in step."""
        session = self.session
        self.surface_button.setEnabled(session is not None)
        self.save_button.setEnabled(session is not None and self._project is not None and session.has_choice)
        if session is None:
            self.about.setText(_NOTHING_OPEN)
            return
        self.about.setText(f"<b>{escape(session.name)}</b> · {session.words()}")
        chosen, count = int(session.chosen.sum()), len(session.particles)
        self.choice.setText(f"{chosen} of {count} particles chosen" if count else "There are no particles to choose.")

    @property
    def _history(self) -> list[dict[str, Any]]:
        return [] if self.session is None else list(self.session.quality.get("iterations", []))

    def _draw_slices(self) -> None:
        session, name = self.session, self.volume.currentText()
        if session is not None and name in session.volumes:
            self.slices.show_slices(session.slices(name, self._place), self._place, session.shape_zyx)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self.volume, 1)
        head.addWidget(self.surface_button)
        self.tabs = QTabWidget()
        for name, widgets in (
            ("FSC", (self.fsc, self.convergence, self.of_iteration)),
            ("Directions", (self.directions,)),
            ("Scores", (self.scores, self.choice, self.save_button)),
        ):
            page = QWidget()
            layout = QGridLayout(page)
            for row, widget in enumerate(widgets):
                layout.addWidget(widget, row, 0)
            self.tabs.addTab(page, name)
        for label in (self.about, self.choice, self.of_iteration):
            label.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.addWidget(self.about)
        layout.addLayout(head)
        layout.addWidget(self.slices, 2)
        layout.addWidget(self.tabs, 3)


def open_average_inspector(viewer: Any, project: Project, item: str, job: int) -> AverageInspector:
    """Open an average in the inspector of a viewer, which is docked if it is not yet there."""
    inspector = docked(viewer, "Averages inspector", AverageInspector)
    inspector.open_job(project, item, job)
    return inspector


def _kind_of(outputs: frozenset[str]) -> type[Shown]:
    """Choose what tells most of the maps an item holds."""
    for kind in (Classes, FinishedMap):
        if kind.__name__ in outputs:
            return kind
    return Average if ParticleSet.__name__ in outputs else DensityMap


MAPS = frozenset(kind.__name__ for kind in (Classes, DensityMap, FinishedMap))
"""Nouns that this inspector opens."""
