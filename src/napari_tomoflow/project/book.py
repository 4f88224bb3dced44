"""A project: a folder of jobs, read as a book. There is no index; everything is computed from the records."""

import json
import re
from collections.abc import Container, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from napari_tomoflow import __version__
from napari_tomoflow.core.errors import DataError, MissingError, ParamError
from napari_tomoflow.core.model import Noun
from napari_tomoflow.io.files import write_text
from napari_tomoflow.project.claims import is_held
from napari_tomoflow.project.files import plain, plainly
from napari_tomoflow.project.lineage import Lineage
from napari_tomoflow.project.migrations import PROJECT_STEPS, SCHEMA, migrate
from napari_tomoflow.project.record import RECORD_NAME, ItemRecord, JobRecord, read_record

PROJECT_FILE = "tomoflow.json"
_JOB_FOLDER = re.compile(r"(\d{4,})-(.+)")

_SERIES = {"TiltSeries", "Movies"}
"""Nouns that a series begins with."""

N = TypeVar("N", bound=Noun)


@dataclass(frozen=True)
class Cell:
    """Where one series stands in one stage, according to the newest job that took it up.

    Attributes
    ----------
    status : str
        An item's status; `interrupted` when its process died at it or before it.
    job : int
    stale : bool
        Something upstream was run again since.
    error : str
        Why it failed.
    folder : pathlib.Path
        Where its results lie, once it is done.
    """

    status: str
    job: int
    stale: bool
    error: str
    folder: Path

    @property
    def quality(self) -> dict[str, Any]:
        """What the stage said of its result; read on demand, empty when there is none."""
        from napari_tomoflow.io.results import load_quality  # costs pandas

        with suppress(DataError):
            return load_quality(self.folder)
        return {}


class Project:
    """A folder of jobs.

    Attributes
    ----------
    folder : pathlib.Path
        Absolute.
    name : str
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self._read: dict[Path, tuple[tuple[int, int, int], JobRecord]] = {}

    @classmethod
    def create(cls, folder: Path | str, name: str | None = None) -> Self:
        """Start a project in a new folder, or in one that holds none yet."""
        folder = Path(folder).expanduser().resolve()
        name = name or folder.name
        if (folder / PROJECT_FILE).exists():
            raise ParamError(f"{folder} is a project already; open it, or choose another folder.")
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        values = {
            "schema": SCHEMA,
            "name": name,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "made_by": f"napari-tomoflow {__version__}",
        }
        with ExitStack() as undo:
            undo.callback(_remove_empty, made)
            with plainly(folder):
                folder.mkdir(parents=True, exist_ok=True)
            write_text(folder / PROJECT_FILE, json.dumps(values, indent=1) + "\n")
            undo.pop_all()
        return cls(folder, name)

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Open a project.

        Raises
        ------
        MissingError, DataError
            There is none, its file is garbled, or a newer program made it.
        """
        folder = Path(folder).expanduser().resolve()
        path = folder / PROJECT_FILE
        try:
            with plainly(path):
                if not path.is_file():
                    raise MissingError(
                        f"{folder} is no project: it has no {path}; make one with `tomoflow new {folder}`."
                    )
                values = json.loads(path.read_text("utf-8"))
            name = str(migrate(values, path, PROJECT_STEPS)["name"])
        except (json.JSONDecodeError, UnicodeDecodeError, AttributeError, KeyError, TypeError) as error:
            raise DataError(
                f"{path} is garbled ({type(error).__name__}: {error}); delete it and make it again with "
                f"`tomoflow new {folder}`: the jobs stay."
            ) from None
        return cls(folder, name)

    @property
    def jobs_folder(self) -> Path:
        """The folder that holds one folder per job."""
        return self.folder / "jobs"

    def jobs(self) -> tuple[JobRecord, ...]:
        """Return the records of all jobs, by rising number."""
        return tuple(record for _, record in self._numbered())

    def job(self, number: int) -> JobRecord:
        """Return the record of one job."""
        return self._record(self.job_folder(number))

    def job_folder(self, number: int) -> Path:
        """Find the folder of a job."""
        for folder in self.jobs_folder.glob(f"{number:04d}-*"):
            return folder
        raise MissingError(f"There is no job {number} in {self.folder}; `tomoflow status` lists the jobs.")

    def lineage(self) -> Lineage:
        """Take the graph of jobs as it is now."""
        return Lineage(self.jobs())

    def series(self) -> tuple[str, ...]:
        """Return the names of all tilt series, in the order they came."""
        results = self.lineage().finished()
        return tuple(dict.fromkeys(result.series for result in results if _SERIES & result.item.outputs.keys()))

    def find(self, kind: type[Noun], series: str, from_job: int | None = None) -> Path | None:
        """Find the folder of the newest finished result that holds a noun.

        Parameters
        ----------
        kind
            The noun.
        series
            Name of the tilt series.
        from_job
            Look only at this job and those it was made from.
        """
        lineage = self.lineage()
        if from_job is None:
            result = lineage.newest(kind.__name__, series)
        else:
            result = lineage.in_ancestry(kind.__name__, series, from_job)
        return self.job_folder(result.job.number) / series if result else None

    def load(self, kind: type[N], series: str, from_job: int | None = None) -> N:
        """Load a noun from its newest finished result; big arrays stay on disk."""
        folder = self.find(kind, series, from_job)
        if folder is None:
            raise MissingError(missing(kind, series, from_job, self.lineage().kinds(series)))
        return load_noun(kind, folder)

    def table(self) -> dict[str, dict[str, Cell]]:
        """Return series → stage → where it stands."""
        numbered = self._numbered()
        stale = Lineage([record for _, record in numbered]).stale
        newest = {(name, record.stage): (folder, record) for folder, record in numbered for name in record.items}
        rows: dict[str, dict[str, Cell]] = {}
        for (name, stage), (folder, record) in newest.items():
            item = record.items[name]
            rows.setdefault(name, {})[stage] = Cell(
                status=_standing(record, item),
                job=record.number,
                stale=(record.number, name) in stale,
                error=item.error,
                folder=folder / name,
            )
        return rows

    def _numbered(self) -> list[tuple[Path, JobRecord]]:
        """Read all job folders, by rising number; a folder that goes while we look is left out."""
        found = []
        if self.jobs_folder.is_dir():
            with plainly(self.jobs_folder):
                folders = [path for path in self.jobs_folder.iterdir() if _JOB_FOLDER.fullmatch(path.name)]
            for folder in folders:
                with suppress(FileNotFoundError):
                    found.append((folder, self._record(folder)))
        return sorted(found, key=lambda pair: pair[1].number)

    def _record(self, folder: Path) -> JobRecord:
        """Read a record and find out what became of a job that says it is running."""
        try:
            record = self._stored(folder)
            if record.status == "running" and not is_held(record, folder):
                record = self._stored(folder)  # it may have ended between the two looks
                return record.replace(status="interrupted") if record.status == "running" else record
            return record
        except DataError as error:
            return _broken(folder, str(error))
        except FileNotFoundError:
            if not folder.exists():
                raise
            return _broken(folder, f"{folder} holds no {RECORD_NAME}; restore it from a copy or delete the job folder.")
        except OSError as error:
            return _broken(folder, str(plain(error, folder)))

    def _stored(self, folder: Path) -> JobRecord:
        """Read a record, from memory if its file has not changed."""
        stat = (folder / RECORD_NAME).stat()
        stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        known = self._read.get(folder)
        if known is None or known[0] != stamp:
            known = self._read[folder] = (stamp, read_record(folder))
        return known[1]


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders, the innermost first, as far as they are there and empty."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _broken(folder: Path, error: str) -> JobRecord:
    """Stand in for a record that cannot be read."""
    found = _JOB_FOLDER.fullmatch(folder.name)
    number, stage = (int(found[1]), found[2]) if found else (0, folder.name)
    return JobRecord(number=number, stage=stage, status="broken", error=error)


def _standing(record: JobRecord, item: ItemRecord) -> str:
    """Tell where an item stands: one that never ended shares the fate of its job."""
    if item.status in ("waiting", "running") and record.status != "running":
        return record.status
    return item.status


def load_noun(kind: type[N], folder: Path) -> N:
    """Load a noun from the folder of an item."""
    from napari_tomoflow.io.results import load  # costs pandas

    return load(kind, folder)


def missing(kind: type, series: str, from_job: int | None = None, has: Container[str] = ()) -> str:
    """Say that a series lacks a noun, and which stage makes it, of several the one whose inputs it `has`."""
    from napari_tomoflow.core.stages import STAGES

    makers = [stage for stage in STAGES if stage.result is kind]
    makers.sort(key=lambda stage: not all(needed.kind.__name__ in has for needed in stage.inputs.values()))
    remedy = f"run `tomoflow {makers[0].name}` first" if makers else "make or import one first"
    where = f" among the ancestors of job {from_job}" if from_job is not None else ""
    return f"{series} has no finished {kind.__name__}{where}; {remedy}."
