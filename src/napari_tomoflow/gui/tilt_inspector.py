"""What all inspectors of tilts have in common: open, leave, take back, work in the background, save as a job."""

from collections.abc import Callable
from typing import Any, ClassVar

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QMessageBox, QWidget

from napari_tomoflow.gui.background import Background, Work
from napari_tomoflow.project import JobRecord, Project, record_edit

_BUSY = "Something is being computed; wait for it or cancel it."


class TiltInspector(QWidget):
    """Base of the inspectors: a panel beside the tilts through which a result of the project is changed.

    Parameters
    ----------
    viewer
        Where the tilts are shown.

    Attributes
    ----------
    scene : TiltScene or None
        The layers of what is open; its ``session`` is a `History`.
    """

    saved = Signal(object)
    """The `JobRecord` of an edit that was saved."""

    subject: ClassVar[str]
    """What is inspected, in a sentence: ``alignment``."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.scene: Any = None
        self.background = Background()
        self.background.ended.connect(self.refresh)
        self._project: Project | None = None
        self._of_job = 0

    @property
    def session(self) -> Any:
        """The work on the series that is open; None where nothing is."""
        return self.scene.session if self.scene else None

    def open_job(self, project: Project, series: str, job: int) -> None:
        """Open what a job made of a series.

        Raises
        ------
        TomoflowError
            Files are gone or damaged.
        """
        raise NotImplementedError

    def refresh(self) -> None:
        """Bring buttons and texts in step."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw everything as it now is, after a change."""
        raise NotImplementedError

    def may_leave(self) -> bool:
        """Ask whether changes that were not saved may be lost; nothing is asked where there are none."""
        if self.session is None or not self.session.notes:
            return True
        asked = f"Changes to the {self.subject} of {self.session.series.name} are not saved. Drop them?"
        buttons = QMessageBox.StandardButton.Discard | QMessageBox.StandardButton.Cancel
        title = f"{self.subject[0].upper()}{self.subject[1:]} inspector"
        answer = QMessageBox.question(self, title, asked, buttons, QMessageBox.StandardButton.Cancel)
        return bool(answer == QMessageBox.StandardButton.Discard)

    def toggle_tilt(self) -> None:
        """Leave the tilt in view out, or take it in."""
        self.change(lambda session: session.toggle_tilt(self.scene.tilt))

    def undo(self) -> None:
        """Take the last change back."""
        self.change(lambda session: session.undo())

    def redo(self) -> None:
        """Make the change again that was taken back last."""
        self.change(lambda session: session.redo())

    def change(self, act: Callable[[Any], None]) -> None:
        """Change the session, unless something is being computed from it."""
        if self.session is not None and not self.background.is_busy:
            act(self.session)
            self.redraw()

    def begin(self, work: Work, take: Callable[[Any], None]) -> None:
        """Do something in the background and take what comes of it, unless it was overtaken by other changes."""
        scene, state = self.scene, self.session.now if self.session else None

        def take_if_still_true(result: Any) -> None:
            if self.scene is not scene or self.session is None:
                return
            if self.session.now is state:
                take(result)
                self.redraw()
            else:
                show_error(f"The {self.subject} was changed meanwhile; do it again.")

        if not self.background.start(work, take_if_still_true):
            show_error(_BUSY)
        self.refresh()

    def save(self) -> None:
        """Save the changes as a job of the project."""
        session, project = self.session, self._project
        if session is None or project is None or self.obstacle_to_saving():
            return
        nouns, note, of_job = session.changed(), "\n".join(session.notes), self._of_job
        name = session.series.name

        def take(record: JobRecord) -> None:
            show_info(f"Saved as job {record.number}; later stages take it.")
            tilt = self.scene.tilt if self.scene else None
            self.open_job(project, name, record.number)
            if tilt is not None:
                self.scene.go_to_tilt(tilt)
            self.saved.emit(record)

        self.begin(lambda report: record_edit(project, name, nouns, note=note, of_job=of_job), take)

    def obstacle_to_saving(self) -> str:
        """Say why nothing can be saved now; empty where it can."""
        if self.session is None or not self.session.notes:
            return "Nothing was changed."
        if self._project is None:
            return f"The {self.subject} was not opened from a project."
        return _BUSY if self.background.is_busy else ""

    def title_text(self, nothing_open: str, state: str = "") -> str:
        """Name the series and the job that is open, and how things stand with it."""
        if self.session is None:
            return nothing_open
        where = f" · job {self._of_job}" if self._of_job else ""
        changed = " · changed" if self.session.notes else ""
        return f"<b>{self.session.series.name}</b>{where}{state or changed}"
