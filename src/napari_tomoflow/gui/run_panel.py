"""Choose a stage, fill its form, run it: the part of the dock that starts and stops work."""

from collections.abc import Callable, Sequence
from typing import Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_tomoflow.core.errors import ParamError
from napari_tomoflow.core.model import RawStack
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.gui.command_text import command_text, command_words
from napari_tomoflow.gui.file_list import FileList
from napari_tomoflow.gui.project_table import names_text
from napari_tomoflow.gui.running import DetachedJob, Ending, Request, RunningJob
from napari_tomoflow.gui.stage_widget import StageWidget
from napari_tomoflow.project import Project

_POLL_MS = 50
_DETACHED_POLL_MS = 500
_BAR_STEPS = 1000
_FAILURES_TOLD = 3


class RunPanel(QWidget):
    """Form of a stage with its buttons, its progress and the command that does the same.

    Parameters
    ----------
    stages
        What can be chosen; with a single one there is nothing to choose.
    """

    started = Signal()
    ended = Signal(object)
    """Emitted with the `Ending` of a job this program ran."""

    def __init__(self, stages: Sequence[Stage], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.project: Project | None = None
        self.forms = {stage.name: StageWidget(stage) for stage in stages}
        self._series: tuple[str, ...] = ()
        self._detached: DetachedJob | None = None
        self._make_widgets()
        self._lay_out()
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._poll)
        self._detached_timer = QTimer(self)
        self._detached_timer.setInterval(_DETACHED_POLL_MS)
        self._detached_timer.timeout.connect(self._poll_detached)
        self._adopt(RunningJob.current)
        self.refresh()

    @property
    def form(self) -> StageWidget:
        """The form in view."""
        return self.forms[self.chooser.currentData()]

    @property
    def stage(self) -> Stage:
        """The stage chosen."""
        return self.form.stage

    def choose(self, stage_name: str) -> None:
        """Bring the form of a stage into view."""
        self.chooser.setCurrentIndex(self.chooser.findData(stage_name))

    def set_project(self, project: Project | None) -> None:
        """Work on this project from now on."""
        self.project = project
        self._series = ()
        self.refresh()

    def set_series(self, series: Sequence[str]) -> None:
        """Work on these series; on all when empty."""
        self._series = tuple(series)
        self.refresh()

    def obstacle(self) -> str:
        """Say why the form cannot run now; empty when it can."""
        if self.project is None:
            return "Open or make a project first."
        if _takes_files(self.stage) and not self.files.paths():
            return "Add at least one stack of tilt images."
        return self.form.problem()

    def request(self) -> Request:
        """Put together what the form asks for."""
        if problem := self.obstacle():
            raise ParamError(problem)
        files = self.files.paths() if _takes_files(self.stage) else ()
        return Request(self.project, self.stage, self.form.values(), self._asked_series(), files)  # type: ignore[arg-type]

    def words(self) -> list[str]:
        """Write the form as words of a command line."""
        asked = self.request()
        return command_words(
            asked.stage, asked.project.folder, asked.params, series=asked.series, sources=asked.sources
        )

    def run(self) -> None:
        """Start the job in a thread of the viewer."""
        job = RunningJob(self.request())
        self._adopt(job)
        job.start()
        self.refresh()
        self.started.emit()

    def cancel(self) -> None:
        """Ask the running job to stop."""
        if RunningJob.current is not None:
            RunningJob.current.cancel()
            self.refresh()

    def run_detached(self) -> None:
        """Start the job as a program that goes on when the viewer closes."""
        self._detached = DetachedJob(self.words())
        self._detached_timer.start()
        self.status.setText("Started as a program of its own; the table shows how it goes.")

    def copy_command(self) -> None:
        """Put the command that does the same on the clipboard."""
        text = command_text(self.words())
        QApplication.clipboard().setText(text)
        self.status.setText(f"Copied: {text}")

    def refresh(self) -> None:
        """Bring labels and buttons in step with form, project and running job."""
        obstacle = self.obstacle()
        running = RunningJob.current
        self.summary.setText(self.stage.summary)
        self.files.setVisible(_takes_files(self.stage))
        self.works_on.setText(self._works_on())
        busy = "A job is running; wait for it or cancel it." if running else ""
        _enable(self.run_button, busy or obstacle, "Run the stage here; the viewer stays usable.")
        _enable(self.detach_button, obstacle, "Run it as a program of its own that goes on when napari closes.")
        _enable(self.copy_button, obstacle, "Copy the command line that does exactly this.")
        _enable(
            self.cancel_button,
            "Nothing is running." if running is None else "It is stopping." if running.is_cancelled else "",
            "Stop the running job; series that are done stay done, and running it again goes on with the others.",
        )

    def _asked_series(self) -> tuple[str, ...]:
        works_on_series = self.stage.inputs and not _takes_files(self.stage)
        return self._series if works_on_series else ()

    def _works_on(self) -> str:
        if self.project is None:
            return "No project is open."
        if _takes_files(self.stage):
            n_files = len(self.files.paths())
            return f"Makes one series of each file: {n_files}." if n_files else "Makes one series of each file."
        if not self.stage.inputs:
            return "Makes a new series."
        names = self._series or self.project.series()
        chosen = "Works on the selected series" if self._series else "Works on all series"
        return f"{chosen}: {names_text(names)}" if names else "The project has no series yet; import or simulate one."

    def _adopt(self, job: RunningJob | None) -> None:
        """Show the progress of a job, perhaps one started from a dock that is gone."""
        if job is not None:
            job.ended.connect(self._end)
            self._timer.start()
            self.bar.setVisible(True)

    def _poll(self) -> None:
        job = RunningJob.current
        if job is None:
            return
        done, total, doing = job.gauge.read()
        self.bar.setValue(_BAR_STEPS * done // max(total, 1))
        verb = "Stopping" if job.is_cancelled else doing or "Starting"
        self.status.setText(f"{verb} · {_duration(job.elapsed_s)}")

    def _end(self, ending: Ending) -> None:
        self._timer.stop()
        self.bar.setVisible(False)
        self.status.setText(_ending_text(ending))
        _notify(ending)
        self.refresh()
        self.ended.emit(ending)

    def _poll_detached(self) -> None:
        problem = self._detached.problem() if self._detached else ""
        if problem is None:
            return
        self._detached_timer.stop()
        self._detached = None
        if problem:
            self.status.setText(problem)
            show_error(problem)

    def _make_widgets(self) -> None:
        self.chooser = QComboBox()
        for name in self.forms:
            self.chooser.addItem(name.replace("-", " ").capitalize(), name)
        self.chooser.setVisible(len(self.forms) > 1)
        self.summary, self.works_on, self.status = (_wrapped_label() for _ in range(3))
        self.files = FileList()
        self._stack = QStackedWidget()
        for form in self.forms.values():
            self._stack.addWidget(form)
            form.changed.connect(self.refresh)
        self.run_button = _button("Run", self.run)
        self.cancel_button = _button("Cancel", self.cancel)
        self.detach_button = _button("Run detached", self.run_detached)
        self.copy_button = _button("Copy as command", self.copy_command)
        self.bar = QProgressBar()
        self.bar.setRange(0, _BAR_STEPS)
        self.bar.setVisible(False)
        self.chooser.currentIndexChanged.connect(self._stack.setCurrentIndex)
        self.chooser.currentIndexChanged.connect(self.refresh)
        self.files.changed.connect(self.refresh)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        if len(self.forms) > 1:
            head.addWidget(QLabel("Stage"))
        head.addWidget(self.chooser, 1)
        buttons = QGridLayout()
        for place, button in enumerate((self.run_button, self.cancel_button, self.detach_button, self.copy_button)):
            buttons.addWidget(button, place // 2, place % 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(head)
        layout.addWidget(self.summary)
        layout.addWidget(self.files)
        layout.addWidget(self._stack, 1)
        layout.addWidget(self.works_on)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)


def _takes_files(stage: Stage) -> bool:
    return any(needed.kind is RawStack for needed in stage.inputs.values())


def _enable(button: QPushButton, obstacle: str, purpose: str) -> None:
    """Enable a button, or let it say why it is not."""
    button.setEnabled(not obstacle)
    button.setToolTip(f"<p>{obstacle or purpose}</p>")


def _button(text: str, act: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    button.clicked.connect(lambda checked=False: act())
    return button


def _wrapped_label() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


def _ending_text(ending: Ending) -> str:
    if ending.is_bug:
        return f"A bug stopped the job ({ending.problem}); please report it with the job's log, shown under Log."
    record = ending.record
    if record is None:
        return ending.problem or "Cancelled."
    done = sum(item.status == "done" for item in record.items.values())
    return f"Job {record.number}, {record.stage}: {record.status}; {done} of {len(record.items)} series done."


def _notify(ending: Ending) -> None:
    """Tell what a person can mend; a bug is told by napari itself, traceback and all."""
    if ending.is_bug:
        return
    if ending.record is None:
        if ending.problem:
            show_error(ending.problem)
        return
    failures: dict[str, Any] = ending.record.failures
    for name, sentence in list(failures.items())[:_FAILURES_TOLD]:
        show_error(f"{name}: {sentence}")
    if not failures and ending.record.status == "done":
        show_info(_ending_text(ending))
