"""One job in a thread of the viewer, and jobs in processes that outlive it."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal

from napari_tomoflow.core.errors import Cancelled, TomoflowError
from napari_tomoflow.core.params import Params
from napari_tomoflow.core.report import Gauge, Report
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.project import JobRecord, Project, run


@dataclass(frozen=True)
class Request:
    """A stage with its parameters, on some series or files of a project."""

    project: Project
    stage: Stage
    params: Params
    series: tuple[str, ...] = ()
    sources: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Ending:
    """How a job ended: its record, or the sentence that says why there is none."""

    record: JobRecord | None = None
    problem: str = ""
    is_bug: bool = False


class RunningJob(QObject):
    """A job in a worker thread. It belongs to the program, not to a widget: a dock may close and come back."""

    ended = Signal(object)
    current: ClassVar["RunningJob | None"] = None
    """There is one lane for computing per process, so at most one."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request
        self.gauge = Gauge()
        self.is_cancelled = False
        self._started_s = time.monotonic()
        connect = {"returned": self._end, "errored": self._bug, "finished": self._finish}
        self._worker = create_worker(_run, request, self._report, _connect=connect, _start_thread=False)

    def start(self) -> None:
        """Begin."""
        RunningJob.current = self
        self._worker.start()

    def cancel(self) -> None:
        """Ask the job to stop; its finished series stay."""
        self.is_cancelled = True
        self.gauge.cancel()

    @property
    def elapsed_s(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._started_s

    def _report(self, done: int, total: int, doing: str) -> None:
        """Take progress; stop as well when napari, about to close, waits for its workers."""
        if self._worker.abort_requested:
            self.gauge.cancel()
        self.gauge(done, total, doing)

    def _end(self, ending: Ending) -> None:
        RunningJob.current = None
        self.ended.emit(ending)

    def _bug(self, error: Exception) -> None:
        self._end(Ending(problem=f"{type(error).__name__}: {error}", is_bug=True))

    def _finish(self) -> None:
        """Note the end of a worker that napari stopped: it returns nothing."""
        if RunningJob.current is self:
            self._end(Ending())


class DetachedJob:
    """The same job as a program of its own, which goes on when the viewer closes."""

    alive: ClassVar["set[DetachedJob]"] = set()
    """Programs not yet known to have ended; they are kept here, not by a dock, so that all are waited for."""

    def __init__(self, words: Sequence[str]) -> None:
        self._problem: str | None = None
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the program writes to it as long as it runs
        self._process = subprocess.Popen(
            [sys.executable, "-m", "napari_tomoflow.cli.main", *words[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            start_new_session=True,
        )
        self.alive.add(self)

    def problem(self) -> str | None:
        """Say what went wrong; empty when all went well, None while it runs."""
        code = self._process.poll()
        if code is None or self._said.closed:
            return self._problem
        self.alive.discard(self)
        with self._said:
            self._said.seek(0)
            lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        self._problem = "" if code == 0 else (lines[-1] if lines else f"The program ended with exit code {code}.")
        return self._problem


def _run(request: Request, report: Report) -> Ending:
    """Run the job in the worker's thread; only bugs leave as exceptions."""
    try:
        record = run(
            request.project,
            request.stage,
            request.params,
            series=request.series,
            sources=request.sources,
            report=report,
        )
    except TomoflowError as error:
        return Ending(problem=str(error))
    except Cancelled:
        return Ending()
    return Ending(record)
