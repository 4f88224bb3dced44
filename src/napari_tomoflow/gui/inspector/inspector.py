"""The alignment inspector: a panel beside the tilts, with plot, buttons, keys and the way to save."""

from collections.abc import Callable
from typing import Any

import numpy as np
from qtpy.QtWidgets import QDoubleSpinBox, QLabel, QVBoxLayout, QWidget

from napari_tomoflow.core.alignment.follow import follow
from napari_tomoflow.core.alignment.mend import resolve
from napari_tomoflow.core.model import Alignment, TiltSeries, Tomogram
from napari_tomoflow.gui.docking import docked
from napari_tomoflow.gui.inspector.controls import KEYS, quality_text
from napari_tomoflow.gui.inspector.plot import ResidualPlot
from napari_tomoflow.gui.inspector.preview import Preview, Which, preview_tomogram
from napari_tomoflow.gui.inspector.scene import Scene
from napari_tomoflow.gui.inspector.session import Session, State
from napari_tomoflow.gui.keys import key_button, keys_label
from napari_tomoflow.gui.rows import grid_of, saving_line, show_obstacle
from napari_tomoflow.gui.tilt_inspector import TiltInspector
from napari_tomoflow.project import Project

_NOTHING_OPEN = "Double-click an alignment in the Tomoflow dock to open it here."


class AlignmentInspector(TiltInspector):
    """Look at an alignment tilt by tilt, mend it, and save it as an edit.

    Parameters
    ----------
    napari_viewer
        Where the tilts are shown.
    """

    subject = "alignment"

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, parent)
        self.scene: Scene | None = None
        self.preview = Preview(napari_viewer)
        self._walked = -1
        self._drawn: State | None = None
        self._make_widgets()
        self._lay_out()
        self.refresh()

    @property
    def session(self) -> Session | None:
        """The work on the series that is open."""
        return self.scene.session if self.scene else None

    def open_job(self, project: Project, series: str, job: int) -> None:
        """Open the alignment a job made, with the series it was made from.

        Raises
        ------
        TomoflowError
            Files of either are gone or damaged.
        """
        tilts = project.load(TiltSeries, series, from_job=job)
        alignment = project.load(Alignment, series, from_job=job)
        self.show_alignment(tilts, alignment)
        self._project, self._of_job = project, job
        self.refresh()

    def show_alignment(self, series: TiltSeries, alignment: Alignment) -> None:
        """Show an alignment; without a project there is nowhere to save it."""
        self.close_alignment()
        self._project, self._of_job, self._walked = None, 0, -1
        self.preview = Preview(self.viewer)
        scene = self.scene = Scene(self.viewer, Session(series, alignment))
        scene.tilt_shown.connect(self._show_tilt)
        scene.pointed.connect(self.follow)
        scene.edited.connect(self.redraw)
        scene.closed.connect(self._note_closed)
        self.destroyed.connect(scene.close)
        keys: dict[str, Callable[[], None]] = {
            "M": self.mark, "N": self.next_residual, "B": self.previous_residual, "X": self.toggle_tilt,
            "Shift-D": self.delete_landmark, "R": self.solve, "T": self.toggle_preview,
            "Control-Z": self.undo, "Control-Shift-Z": self.redo,
        }  # fmt: skip
        scene.bind_keys(keys)
        self.arrows.setValue(scene.factor)
        self.redraw()

    def close_alignment(self) -> None:
        """Take the layers away; changes that were not saved are lost."""
        self.background.cancel()
        if self.scene is not None:
            self.preview.show(None)
            self.scene.close()

    def mark(self) -> None:
        """Take the next click on the tilt as a landmark to be followed."""
        if self.scene is not None and not self.background.is_busy:
            self.show_tilts()
            self.scene.activate("add")
            self.last.setText("Click on a bead or feature; it is followed through all tilts.")

    def follow(self, tilt: int, position_ang_yx: Any) -> None:
        """Follow what lies at one place of one tilt through all, as a new landmark."""
        session = self.session
        if session is None:
            return
        series, alignment = session.series, session.alignment
        self.begin(lambda report: follow(series, alignment, tilt, position_ang_yx, report), session.take_landmark)

    def delete_landmark(self) -> None:
        """Delete the landmarks of the selected measurements."""
        session = self.session
        if session is None or self.scene is None or session.landmarks is None or self.background.is_busy:
            return
        for point in np.unique(session.landmarks.point[self.scene.selected]):
            session.delete_point(int(point))
        self.redraw()

    def next_residual(self) -> None:
        """Go to the next largest residual."""
        self._walk(1)

    def previous_residual(self) -> None:
        """Go back to the larger residual before."""
        self._walk(-1)

    def solve(self) -> None:
        """Solve the alignment again from the landmarks and tilts as they now are."""
        session = self.session
        if session is None or session.landmarks is None:
            return
        opened, landmarks, kept = session.opened, session.landmarks, session.alignment.kept
        self.begin(lambda report: resolve(opened, landmarks, kept, report), session.take_solution)

    def show_tilts(self) -> None:
        """Leave the preview."""
        if self.scene is not None and self.preview.shown is not None:
            self.preview.show(None)
            self.scene.set_visible(True)
            self.refresh()

    def show_preview(self, which: Which) -> None:
        """Show the tomogram before or after the changes; made now if it was not yet."""
        session = self.session
        if session is None or self.scene is None:
            return
        if self.preview.has(which):
            self._show_preview(which)
            return
        alignment = session.opened if which == "before" else session.alignment

        def take(tomogram: Tomogram) -> None:
            self.preview.take(which, tomogram)
            self._show_preview(which)

        self.begin(lambda report: preview_tomogram(session.series, alignment, report), take)

    def toggle_preview(self) -> None:
        """Show the tomogram after the changes, or the one before if that is in view."""
        self.show_preview("before" if self.preview.shown == "after" else "after")

    def refresh(self) -> None:
        """Bring buttons and texts in step."""
        session = self.session
        is_open, landmarks = session is not None, session.landmarks if session else None
        free = is_open and not self.background.is_busy
        state = " · changed, not solved yet" if session and session.needs_solving else ""
        self.title.setText(self.title_text(_NOTHING_OPEN, state))
        self.quality.setText(quality_text(session) if session else "")
        has_points = landmarks is not None and len(landmarks.tilt) > 0
        for button in (self.next_button, self.previous_button, self.delete_button, self.arrows):
            button.setEnabled(is_open and has_points)
        for button in (self.mark_button, self.tilt_button, self.before_button, self.after_button):
            button.setEnabled(free)
        self.tilts_button.setEnabled(is_open)
        self.solve_button.setEnabled(free and has_points)
        self.undo_button.setEnabled(free and bool(session and session.notes))
        self.redo_button.setEnabled(free and bool(session and session.can_redo))
        show_obstacle(self.save_button, self.obstacle_to_saving())
        self.last.setText(session.notes[-1] if session and session.notes else "")
        self._mark_shown()

    def _walk(self, step: int) -> None:
        session = self.session
        if session is None or self.scene is None:
            return
        worst = session.largest_residuals()
        if len(worst):
            self.show_tilts()
            self._walked = int(np.clip(self._walked + step, 0, len(worst) - 1))
            self.scene.go_to(int(worst[self._walked]))
            residual_nm = float(np.linalg.norm(session.residuals_ang()[worst[self._walked]])) / 10.0
            point = session.landmarks.point[worst[self._walked]] if session.landmarks else 0
            place = f"Residual {self._walked + 1} of {len(worst)}: {residual_nm:.2f} nm, landmark {point}"
            self.last.setText(place)

    def redraw(self) -> None:
        """Draw everything as it now is; a preview of what was before the change no longer holds."""
        if self.scene is None or self.session is None:
            return
        if self._drawn is not self.session.now:
            if self.preview.shown == "after":
                self.show_tilts()
            self.preview.forget("after")
            self._drawn = self.session.now
        self.scene.refresh()
        self.plot.show_session(self.session)
        self._show_tilt(self.scene.tilt)
        self.refresh()

    def _show_preview(self, which: Which) -> None:
        if self.scene is None:
            return
        if self.preview.shown is None:
            self.scene.set_visible(False)
        self.preview.show(which)
        self.refresh()

    def _show_tilt(self, tilt: int) -> None:
        if self.scene is not None and self.session is not None:
            self.plot.show_tilt(tilt)
            alignment = self.session.alignment
            verb = "Leave out" if alignment.kept[tilt] else "Take in"
            self.tilt_button.setText(f"{verb} {alignment.tilt_deg[tilt]:+.1f}°")

    def _go_to_tilt(self, tilt: int) -> None:
        if self.scene is not None:
            self.show_tilts()
            self.scene.go_to_tilt(tilt)

    def _set_factor(self, factor: float) -> None:
        if self.scene is not None:
            self.scene.set_factor(factor)

    def _note_closed(self) -> None:
        self.scene = None
        self.preview.show(None)
        self.background.cancel()
        self.refresh()

    def obstacle_to_saving(self) -> str:
        """Say why nothing can be saved now; empty where it can."""
        obstacle = super().obstacle_to_saving()
        if obstacle or self.session is None or not self.session.needs_solving:
            return obstacle
        return "Solve again first: the geometry is that of other landmarks."

    def _mark_shown(self) -> None:
        """Press the button of what is in view."""
        shown = {self.tilts_button: None, self.before_button: "before", self.after_button: "after"}
        for button, which in shown.items():
            button.setChecked(self.scene is not None and self.preview.shown == which)

    def _make_widgets(self) -> None:
        self.title, self.quality, self.last = QLabel(), QLabel(), QLabel()
        for label in (self.title, self.quality, self.last):
            label.setWordWrap(True)
        self.plot = ResidualPlot()
        self.plot.tilt_chosen.connect(self._go_to_tilt)
        self.tilt_button = key_button("Leave out", self.toggle_tilt, "X", KEYS["X"])
        self.mark_button = key_button("Mark landmark", self.mark, "M", KEYS["M"])
        self.delete_button = key_button("Delete landmark", self.delete_landmark, "Shift-D", KEYS["Shift-D"])
        self.next_button = key_button("Next residual", self.next_residual, "N", KEYS["N"])
        self.previous_button = key_button("Back", self.previous_residual, "B", KEYS["B"])
        self.solve_button = key_button("Solve again", self.solve, "R", KEYS["R"])
        self.undo_button = key_button("Undo", self.undo, "Control-Z", KEYS["Control-Z"])
        self.redo_button = key_button("Redo", self.redo, "Control-Shift-Z", KEYS["Control-Shift-Z"])
        self.tilts_button = key_button("Tilts", self.show_tilts)
        self.before_button = key_button("Before", lambda: self.show_preview("before"), "T", KEYS["T"])
        self.after_button = key_button("After", lambda: self.show_preview("after"), "T", KEYS["T"])
        self.save_button = key_button("Save as a job", self.save)
        for button in (self.tilts_button, self.before_button, self.after_button):
            button.setCheckable(True)
        self.arrows = QDoubleSpinBox(minimum=1.0, maximum=10000.0, decimals=0)
        self.arrows.setPrefix("arrows × ")
        self.arrows.setToolTip("How many times longer than it is a residual is drawn.")
        self.arrows.valueChanged.connect(self._set_factor)

    def _lay_out(self) -> None:
        buttons = (
            (self.tilt_button, self.mark_button, self.delete_button),
            (self.previous_button, self.next_button, self.arrows),
            (self.undo_button, self.redo_button, self.solve_button),
            (self.tilts_button, self.before_button, self.after_button),
        )
        layout = QVBoxLayout(self)
        layout.addWidget(self.title)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.quality)
        layout.addLayout(grid_of(buttons))
        layout.addLayout(saving_line(self.last, self.save_button))
        layout.addWidget(self.background)
        layout.addWidget(keys_label(KEYS))


def open_inspector(viewer: Any, project: Project, series: str, job: int) -> AlignmentInspector:
    """Open an alignment in the inspector of a viewer, which is docked if it is not yet there.

    Where that holds changes that were not saved, the person is asked first.
    """
    inspector = docked(viewer, "Alignment inspector", AlignmentInspector)
    if inspector.may_leave():
        inspector.open_job(project, series, job)
    return inspector
