"""The *Tomoflow* dock: a project at a glance, and every stage one form away."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from napari.utils.notifications import show_error
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSplitter,
    QTabWidget,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from napari_tomoflow.core.errors import TomoflowError
from napari_tomoflow.core.model import Alignment, CtfSeries, MappedBack, ParticleSet, Polished, Tomogram
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.core.stages import STAGES
from napari_tomoflow.gui.average_inspector.inspector import MAPS, open_average_inspector
from napari_tomoflow.gui.canvas import attend
from napari_tomoflow.gui.ctf_inspector.inspector import open_ctf_inspector
from napari_tomoflow.gui.inspector.inspector import open_inspector
from napari_tomoflow.gui.opening import open_result
from napari_tomoflow.gui.project_table import ProjectTable, bold, describe_fully
from napari_tomoflow.gui.run_panel import RunPanel
from napari_tomoflow.gui.running import Ending
from napari_tomoflow.project import Project

_POLL_MS = 1000
_LOG_TAIL_BYTES = 64_000
_LOG_NAME = "log.txt"


class TomoflowDock(QWidget):
    """Project table, generated forms, run and cancel, log. It holds no truth: everything is read from the project.

    A class of its own for every stage, with the same project and that one form, is found in this module by
    the name of the stage's function: ``dock.reconstruct``.

    Parameters
    ----------
    napari_viewer
        Where results are opened.
    project
        Folder of the project to open at once.
    """

    stages: ClassVar[Sequence[Stage]] = STAGES

    def __init__(self, napari_viewer: Any, project: Path | str | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = napari_viewer
        self.project: Project | None = None
        self._details_shown = ""
        attend(napari_viewer)
        self._make_widgets()
        self._lay_out()
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self.poll)
        self._timer.start()
        project = project or project_open_in(napari_viewer)
        if project is not None:
            self.open_project(project)

    def open_project(self, folder: Path | str) -> None:
        """Show another project; one that cannot be opened is told and changes nothing."""
        self._take(Project.open, folder)

    def new_project(self, folder: Path | str) -> None:
        """Make a project in a folder and show it."""
        self._take(Project.create, folder)

    def poll(self) -> None:
        """Bring the table in step with the job folders, whoever wrote them."""
        if self.project is None or not self.isVisible():
            return
        self.refresh()

    def refresh(self) -> None:
        """Read the project again."""
        if self.project is None:
            return
        try:
            self.table.rows.show_rows(self.project.table())
        except TomoflowError as error:
            self.panel.status.setText(str(error))
            return
        self.panel.refresh()
        self._show_details()

    def open_cell(self, series: str, stage: str) -> None:
        """Open the result of a cell: in its inspector, if there is one for it, or as layers."""
        if self.project is None:
            return
        job = self.project.table()[series][stage].job
        try:
            items = self.project.job(job).items
            if Polished.__name__ in items[series].outputs:  # what it holds lies in other items; averages tell most
                series = next((name for name, item in items.items() if MAPS & item.outputs.keys()), series)
            outputs = items[series].outputs
            if Alignment.__name__ in outputs:
                open_inspector(self.viewer, self.project, series, job)
            elif CtfSeries.__name__ in outputs:
                open_ctf_inspector(self.viewer, self.project, series, job)
            elif MAPS & outputs.keys():
                open_average_inspector(self.viewer, self.project, series, job)
            elif MappedBack.__name__ in outputs:
                from napari_tomoflow.gui.map_back.opening import open_map_back  # which looks for this dock

                open_map_back(self.viewer, self.project, series, job)
            elif ParticleSet.__name__ in outputs and self.project.find(Tomogram, series) is not None:
                from napari_tomoflow.gui.picker.opening import open_picker  # which looks for this dock

                open_picker(self.viewer, self.project, series, job)
            else:
                open_result(self.viewer, self.project, series, job)
        except TomoflowError as error:
            show_error(str(error))

    def _take(self, open_or_create: Any, folder: Path | str) -> None:
        try:
            self.project = open_or_create(folder)
        except TomoflowError as error:
            show_error(str(error))
            return
        self.title.setText(self.project.name)
        self.title.setToolTip(str(self.project.folder))
        self.panel.set_project(self.project)
        self.refresh()

    def _select(self) -> None:
        self.panel.set_series(self.table.selected_series())
        self._show_details()

    def _show_details(self) -> None:
        """Show quality, error and log of the cell under the cursor, or of the newest job."""
        current = self.table.current()
        if current is not None:
            self._set_details(describe_fully(*current))
            job = current[2].job
        else:
            jobs = self.project.jobs() if self.project else ()
            job = jobs[-1].number if jobs else 0
        self._show_log(job)

    def _set_details(self, text: str) -> None:
        """Change the details only when they differ, so that a poll does not scroll them back."""
        if text != self._details_shown:
            self._details_shown = text
            self.details.setHtml(text)

    def _show_log(self, job: int) -> None:
        if self.project is None or job == 0 or not self.log.isVisible():
            return
        text = _tail(self.project.job_folder(job) / _LOG_NAME)
        if text != self.log.toPlainText():
            self.log.setPlainText(text)
            self.log.verticalScrollBar().setValue(self.log.verticalScrollBar().maximum())

    def _end(self, ending: Ending) -> None:
        """Show what a job made, if it made one thing to look at."""
        self.refresh()
        record = ending.record
        if record is None or self.project is None:
            return
        done = [name for name, item in record.items.items() if item.status == "done"]
        if done:
            self.open_cell(done[0], record.stage)

    def _ask_open(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Open a project: choose its folder", str(Path.cwd()))
        if folder:
            self.open_project(folder)

    def _ask_new(self) -> None:
        folder, _ = QFileDialog.getSaveFileName(self, "New project: name its folder", str(Path.cwd() / "my_project"))
        if folder:
            self.new_project(folder)

    def _make_widgets(self) -> None:
        self.title = QLabel("No project")
        self.title.setFont(bold(self.title.font()))
        self.open_button, self.new_button = QPushButton("Open…"), QPushButton("New…")
        self.open_button.clicked.connect(lambda checked=False: self._ask_open())
        self.new_button.clicked.connect(lambda checked=False: self._ask_new())
        self.table = ProjectTable()
        self.table.cell_opened.connect(self.open_cell)
        self.table.selectionModel().selectionChanged.connect(lambda *_: self._select())
        self.panel = RunPanel(self.stages)
        self.panel.started.connect(self.refresh)
        self.panel.ended.connect(self._end)
        self.details = QTextBrowser()
        self.details.setPlaceholderText("Select a cell of the table to see how its stage went.")
        self.log = QPlainTextEdit(readOnly=True)
        self.log.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        self.log.setPlaceholderText("The log of the selected job, or of the newest one, comes here.")

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.open_button)
        head.addWidget(self.new_button)
        self.tabs = QTabWidget()
        for widget, name in ((self.panel, "Run"), (self.details, "Details"), (self.log, "Log")):
            self.tabs.addTab(widget, name)
        self.tabs.currentChanged.connect(lambda *_: self._show_details())
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.addWidget(self.table)
        parts.addWidget(self.tabs)
        parts.setStretchFactor(1, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(head)
        layout.addWidget(parts, 1)


def __getattr__(name: str) -> type[TomoflowDock]:
    """Make the dock of one stage. napari fills in the viewer of classes only, so a function would not do."""
    for stage in STAGES:
        if stage.function.__name__ == name:
            return type(f"{stage.name.title()}Dock", (TomoflowDock,), {"stages": (stage,), "__doc__": stage.summary})
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def project_open_in(viewer: Any) -> Path | None:
    """Find the project another dock of this viewer shows."""
    docks = [dock for dock in viewer.window.dock_widgets.values() if isinstance(dock, TomoflowDock)]
    return next((dock.project.folder for dock in docks if dock.project is not None), None)


def _tail(path: Path) -> str:
    """Read the end of a text file; empty while there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
