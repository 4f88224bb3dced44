"""The picker: particles marked by hand in linked slices of one tomogram after the other."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QSizePolicy, QWidget

from napari_tomoflow.core.model import Tomogram
from napari_tomoflow.core.ops.poses import matrices_from_quaternions
from napari_tomoflow.gui.dock import project_open_in
from napari_tomoflow.gui.keys import bind_shortcuts
from napari_tomoflow.gui.picker.acts import acts_of
from napari_tomoflow.gui.picker.board import Board
from napari_tomoflow.gui.picker.controls import CANVAS_KEYS, Panel, board_with_keys, side_by_side
from napari_tomoflow.gui.picker.dropping import TableDrops
from napari_tomoflow.gui.picker.gestures import Gesture
from napari_tomoflow.gui.picker.layer_picks import LayerPicks
from napari_tomoflow.gui.picker.oblique_plane import ObliquePlane
from napari_tomoflow.gui.picker.picks import CENTERS, IS_THERE, QUATERNIONS, SCORE, TYPE, Rows
from napari_tomoflow.gui.picker.project_picks import ProjectPicks
from napari_tomoflow.gui.picker.room import Room
from napari_tomoflow.gui.picker.scene import Scene, timer
from napari_tomoflow.gui.picker.session import Session, turned
from napari_tomoflow.gui.picker.snapping import snap
from napari_tomoflow.gui.picker.statistics import summing_up
from napari_tomoflow.gui.picker.tools import Tool, Tools
from napari_tomoflow.gui.telling import told
from napari_tomoflow.gui.tomogram_view.drawing import Drawing
from napari_tomoflow.project import Project

_NOTHING_OPEN = "Open a project whose series have tomograms, or drop the file of a tomogram on the viewer."


class Picker(QWidget):
    """Pick particles by hand: four linked panes, any number of types, every change undone at will.

    What is done is told to a log in the project before it happens, so nothing is lost however the program ends;
    *Save as jobs* makes it particles for later stages.

    Parameters
    ----------
    napari_viewer
        Shows the tomogram and its picks, too.
    project
        Folder of the project to open at once; without one, that of the Tomoflow dock.
    """

    saved = Signal(object)
    """The records of the jobs that were saved, by tomogram."""

    changed = Signal()
    """Picks, types or the tomogram are others than before."""

    selected = Signal()
    """Other picks are selected."""

    def __init__(self, napari_viewer: Any, project: Path | str | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = napari_viewer
        self.picks: ProjectPicks | LayerPicks | None = None
        self.tomogram: Tomogram | None = None
        self.session = Session()
        self.tools = Tools(self.session)
        self._shown = ""
        self.board = Board(self._handle)
        self.seen = board_with_keys(self.board)
        acts = acts_of(self)
        self.panel = Panel(acts)
        self.scene = Scene(napari_viewer, self.board, self.panel.look, self.tools, acts, CANVAS_KEYS)
        self.oblique = ObliquePlane(self.panel, self.scene)
        self._statistics = Drawing(
            lambda: summing_up(self.session) if self.session.tomogram else None,
            lambda what, text: self.panel.statistics.setText(text),
            self,
        )
        self._list_timer = timer(self, 0, self._list_tomograms)
        self.room = Room(self, self.seen, self.panel, napari_viewer)
        self._listen()
        self._lay_out()
        bind_shortcuts(self, acts)
        TableDrops(self)
        # What outlives the widget must not be a method of it: Qt would not call that any more.
        self._held = ExitStack()
        self._held.callback(self.scene.close)
        self.destroyed.connect(self._held.close)
        self.set_tool("select")
        napari_viewer.layers.events.inserted.connect(self._look_round)
        self._held.callback(lambda: napari_viewer.layers.events.inserted.disconnect(self._look_round))
        folder = project or project_open_in(napari_viewer)
        if folder is not None:
            self.open_project(folder)
        else:
            self._look_round()

    def showEvent(self, event: Any) -> None:
        """Take the room there is, the first time."""
        super().showEvent(event)
        self.room.take()

    @property
    def is_settled(self) -> bool:
        """Whether nothing is being drawn, counted or computed."""
        is_done = self.scene.is_drawn and self._statistics.is_done and self.room.is_settled
        return is_done and not self.panel.background.is_busy

    def open_project(self, folder: Path | str) -> None:
        """Pick in the tomograms of a project, going on where a session that was not saved ended."""
        with told():
            project = Project.open(folder)
            if not isinstance(self.picks, ProjectPicks) or self.picks.project.folder != project.folder:
                self._take_picks(ProjectPicks(project))
            self._list_tomograms()
        self.refresh()

    def close_project(self) -> None:
        """Let others pick in the project; nothing is lost."""
        if self.picks is not None:
            self.picks.close()
            self.picks = None

    def open_tomogram(self, name: str, job: int | None = None) -> None:
        """Bring a tomogram into view, with the picks as they were left, or those of a job."""
        if self.picks is not None and not self.tools.is_dragging:
            with told():
                self.picks.open(name, job)

    def step_tomogram(self, step: int) -> None:
        """Go to the next tomogram, or the one before; at the end there is none."""
        at = self.panel.tomograms.currentIndex() + step
        if 0 <= at < self.panel.tomograms.count():
            self.panel.tomograms.setCurrentIndex(at)

    def set_tool(self, tool: Tool) -> None:
        """Let the mouse do something else."""
        self.tools.tool = tool
        self.panel.tools[tool].setChecked(True)
        self.board.show_brush(None)

    def snap_picks(self, rows: Rows) -> None:
        """Move picks to the local centre, none farther than its radius."""
        tomogram, session = self.tomogram, self.session
        if tomogram is None or not len(rows) or self.tools.is_dragging:
            return
        centers = session.picks[CENTERS][rows].copy()
        diameters = np.array([one.diameter_ang for one in session.types])[session.picks[TYPE][rows]]
        method = self.panel.method.currentText()
        name = session.tomogram

        def take(found: Any) -> None:
            # Meanwhile the person may have gone on: only what still is where it was is moved.
            if self.session is session and session.tomogram == name:
                still = (session.picks[CENTERS][rows] == centers).all(axis=1)
                with told():
                    session.move(rows[still], found[still], verb="Snapped")

        if len(rows) == 1:
            take(snap(tomogram, centers, diameters, method))
        elif not self.panel.background.start(lambda report: snap(tomogram, centers, diameters, method, report), take):
            show_error("Something is being computed; wait for it or cancel it.")

    def delete_picks(self, rows: Rows | None = None) -> None:
        """Delete picks, unless others are named the selected ones."""
        self._do(lambda: self.session.delete(self.session.selection if rows is None else rows))

    def retype_picks(self, rows: Rows, index: int) -> None:
        """Make picks be of another type."""
        self._do(lambda: self.session.retype(rows, index))

    def select_all(self) -> None:
        """Select all picks in view."""
        self._do(lambda: self.session.select(self.session.shown()))

    def choose_type(self, number: int) -> None:
        """Make new picks, and the selected ones, be of the type in a row of the table, counted from 1."""
        present = [index for index, one in enumerate(self.session.types) if one.is_present]
        if number <= len(present):
            self._make_active(present[number - 1])
            self.retype_picks(self.session.selection, present[number - 1])

    def undo(self) -> None:
        """Take the last change back, and look where it was."""
        self._do(self.session.undo)

    def redo(self) -> None:
        """Make the change again that was taken back last."""
        self._do(self.session.redo)

    def walk(self, step: int) -> None:
        """Go to the next pick in view, or the one before."""
        rows = self.session.shown() if self.session.tomogram else np.zeros(0, np.int64)
        if len(rows):
            selection = self.session.selection
            at = np.searchsorted(rows, selection[0]) if len(selection) else -1 if step > 0 else 0
            self.go_to_pick(int(rows[(at + step) % len(rows)]))

    def look_at_pick(self, row: int) -> None:
        """Look at a pick, whatever is selected."""
        self.scene.go_to(self.session.picks[CENTERS][row])

    def go_to_pick(self, row: int) -> None:
        """Select a pick and look at it."""
        self.session.select([row])
        self.look_at_pick(row)

    def turn_selected(self, axis: int, angle_deg: float) -> None:
        """Turn the selected picks about an axis of their own."""
        rows = self.session.selection
        if len(rows):
            turns = turned(self.session.picks[QUATERNIONS][rows], np.eye(3)[axis], angle_deg, own=True)
            self._do(lambda: self.session.turn(rows, turns))

    def lay_into_pick(self) -> None:
        """Lay the oblique plane into the x-y plane of the selected pick."""
        rows = self.session.selection
        if len(rows):
            self.oblique.lay(matrices_from_quaternions(self.session.picks[QUATERNIONS][rows[:1]])[0])

    def toggle_tilts(self) -> None:
        """Show the picks on the raw tilt images, or in the tomogram again."""
        if self.scene.tilts is not None:
            self.scene.hide_tilts()
        elif self.picks is not None and self.session.tomogram:
            with told():
                self.scene.show_tilts(*self.picks.tilts(self.session.tomogram))
        self.panel.tilts.setChecked(self.scene.tilts is not None)
        self.room.show_panes(self.scene.tilts is None)

    def save(self) -> None:
        """Save the picks of all tomograms that have changed, each as a job; without a project, as layers."""
        picks = self.picks
        if picks is None or not self.session.unsaved() or self.tools.is_dragging:
            return
        if isinstance(picks, LayerPicks):
            picks.to_layers()
            show_info("The picks are layers now; File → Save writes them in any format.")
            return

        def take(records: dict[str, Any]) -> None:
            with told():
                picks.note_saved(records)
            jobs = ", ".join(str(record.number) for record in records.values())
            show_info(f"Saved as job {jobs}; later stages take it.")
            self.saved.emit(records)

        with told():
            drafts = picks.drafts(self.session.unsaved())
            if not self.panel.background.start(lambda report: picks.save(drafts, report), take):
                show_error("Something is being computed; wait for it or cancel it.")

    def refresh(self) -> None:
        """Bring everything in step with the session."""
        session, panel = self.session, self.panel
        panel.types.show_session(session)
        panel.last.setText(session.last_note)
        panel.undo.setEnabled(session.can_undo)
        panel.redo.setEnabled(session.can_redo)
        unsaved = session.unsaved()
        panel.show_saving(unsaved, in_project=isinstance(self.picks, ProjectPicks))
        if self.picks is None or not session.tomogram:
            panel.title.setText(_NOTHING_OPEN)
            return
        state = " · changed" if session.tomogram in unsaved else ""
        panel.title.setText(f"<b>{self.picks.title}</b> · {session.tomogram}{state}")
        of_type = session.picks[IS_THERE] & (session.picks[TYPE] == session.active_type)
        panel.scores.show_scores(session.picks[SCORE][of_type], session.threshold(session.active_type))
        panel.drop_hidden.setEnabled(len(session.below_threshold(session.active_type)) > 0)
        self.scene.show_picks()
        self._statistics.ask()

    def _look_round(self, event: Any = None) -> None:
        """Without a project, pick in the tomograms that are open, as soon as there is one."""
        if self.picks is None:
            found = LayerPicks(self.viewer)
            if found.names():
                self._take_picks(found)
        if isinstance(self.picks, LayerPicks):
            self.picks.look_round()
            self._list_timer.start()  # napari is not done with the layer yet

    def _list_tomograms(self) -> None:
        """Offer the tomograms there are; the first time, open the one that was picked last."""
        if self.picks is None:
            return
        names = self.picks.names()
        with QSignalBlocker(self.panel.tomograms):
            self.panel.tomograms.clear()
            self.panel.tomograms.addItems(names)
            self.panel.tomograms.setCurrentText(self.session.tomogram)
        if names and not self.session.tomogram:
            last = self.session.last_tomogram
            self.open_tomogram(last if last in names else names[0])

    def _take_picks(self, picks: ProjectPicks | LayerPicks) -> None:
        self.close_project()
        self.picks = picks
        self._held.callback(picks.close)
        session = picks.session
        self.session = self.tools.session = session
        self._shown = ""
        session.changed.connect(self._take_change)
        session.selected.connect(self._take_selection)

    def _take_change(self) -> None:
        """Show the session as it now is; undoing may have led to another tomogram."""
        name = self.session.tomogram
        if self.picks is not None and name != self._shown:
            with told():
                self.tomogram = self.picks.tomogram(name)
                self._shown = name
                self.scene.show_tomogram(self.tomogram)
            with QSignalBlocker(self.panel.tomograms):
                self.panel.tomograms.setCurrentText(name)
        self.refresh()
        self.changed.emit()

    def _take_selection(self) -> None:
        if self.panel.follows.isChecked():
            self.lay_into_pick()
        self.scene.show_picks()
        self.selected.emit()

    def _take_added(self, rows: Rows) -> None:
        """Look at what was clicked, in its middle if that is wanted."""
        if self.panel.snaps.isChecked():
            self.snap_picks(rows)
        self.scene.go_to(self.session.picks[CENTERS][rows[0]])

    def _handle(self, gesture: Gesture) -> bool:
        """Take what the mouse does in a pane."""
        if gesture.phase == "step":
            self.scene.step(gesture)
            return True
        if gesture.phase == "hover":
            self.board.show_brush(gesture if self.tools.tool == "erase" else None, self.tools.brush_ang)
            return False
        with told():
            return self.tools.handle(gesture)
        return True

    def _do(self, command: Callable[[], object]) -> None:
        """Do something to picks, unless the mouse is just doing something to them."""
        if self.session.tomogram and not self.tools.is_dragging:
            with told():
                command()

    def _change_type(self, index: int, values: dict[str, Any]) -> None:
        with told():
            self.session.change_type(index, **values)
        self.refresh()  # a value that was refused is shown as it was

    def _show_as(self) -> None:
        self.tools.shape = self.panel.shape.currentText()
        self.scene.arrows = self.panel.arrows.isChecked()
        self.tools.brush_ang = self.panel.brush.value() / 2.0
        self.scene.show_picks()

    def _ask_open(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Open a project: choose its folder", str(Path.cwd()))
        if folder:
            self.open_project(folder)

    def _listen(self) -> None:
        panel, tools = self.panel, self.tools
        tools.looked_at.connect(self.scene.go_to)
        tools.added.connect(self._take_added)
        tools.drafted.connect(self.scene.show_picks)
        panel.tomograms.currentTextChanged.connect(self.open_tomogram)
        panel.types.chosen.connect(self._make_active)
        panel.types.changed.connect(self._change_type)
        panel.add_type.clicked.connect(lambda checked=False: self._do(self.session.add_type))
        panel.remove_type.clicked.connect(
            lambda checked=False: self._do(lambda: self.session.remove_type(self.session.active_type))
        )
        panel.scores.threshold_moved.connect(lambda score: self.session.set_threshold(self.session.active_type, score))
        panel.drop_hidden.clicked.connect(
            lambda checked=False: self.delete_picks(self.session.below_threshold(self.session.active_type))
        )
        panel.brush.valueChanged.connect(lambda value: self._show_as())
        panel.shape.currentTextChanged.connect(lambda text: self._show_as())
        panel.arrows.toggled.connect(lambda checked: self._show_as())
        panel.follows.toggled.connect(lambda checked: self._take_selection())
        panel.open.clicked.connect(lambda checked=False: self._ask_open())
        panel.save.clicked.connect(lambda checked=False: self.save())
        panel.background.ended.connect(self.refresh)

    def _make_active(self, index: int) -> None:
        self.session.active_type = index
        self.refresh()

    def _lay_out(self) -> None:
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(side_by_side(self.seen, self.panel))
        # napari would put a stretch beside what does not ask for all the height.
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
