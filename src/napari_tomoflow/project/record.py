"""What is known of a job: one frozen record, one ``job.json``."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.files import write_text
from napari_tomoflow.project.migrations import JOB_STEPS, SCHEMA, migrate

ItemStatus = Literal["waiting", "running", "done", "failed", "cancelled"]
JobStatus = Literal["running", "done", "partial", "failed", "cancelled", "interrupted", "broken"]
"""`interrupted` and `broken` are never stored: they are what a reader finds."""

RECORD_NAME = "job.json"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Reference(_Model):
    """Where one input of an item came from: a result of another job, or a file outside the book.

    Attributes
    ----------
    kind : str
        Name of the noun.
    fingerprint : str
        What the input was when it was used.
    job : int or None
        The job that made it; None for a file.
    item : str
        The item of that job, where it is named otherwise than the one it goes into.
    path : str
        The file, relative to the project's folder when it lies inside or beside it.
    size, mtime_ns : int or None
        Of the file, bytes and nanoseconds.
    """

    kind: str
    fingerprint: str
    job: int | None = None
    item: str = ""
    path: str = ""
    size: int | None = None
    mtime_ns: int | None = None


class ItemRecord(_Model):
    """One item of a job, usually one tilt series.

    Attributes
    ----------
    status : ItemStatus
    error : str
        Why it failed, in one sentence.
    outputs : dict of str to str
        Name of the noun → file, relative to the item's folder.
    seconds : float or None
        Time it took.
    fingerprint : str
        Of stage, version, parameters and inputs; equal fingerprints mean equal results.
    part_of : str
        The item whose result this is a part of; empty for those worked on by themselves.
    """

    status: ItemStatus = "waiting"
    error: str = ""
    outputs: dict[str, str] = Field(default_factory=dict)
    seconds: float | None = None
    fingerprint: str = ""
    part_of: str = ""


class JobRecord(_Model):
    """One job: what was asked, from what, by whom, and how it ended.

    Attributes
    ----------
    params : dict of str to value
        All parameters, also those left at their defaults.
    seed : int or None
        The parameter of that name, for stages that use chance.
    from_job : int or None
        The job whose lineage the inputs were asked to come from.
    inputs : dict of str to dict of str to Reference
        Item → input → where it came from.
    items : dict of str to ItemRecord
    left_out : tuple of str
        Why series nobody asked for by name are not among the items, a sentence for each.
    status : JobStatus
    error : str
        The bug that ended it, or why its record cannot be read; people's errors are told per item.
    host, pid, process_started, attempt
        The process that wrote it last, when that process started (s since the epoch), and which
        process in turn it is to work on this job, from 1.
    peak_memory : int or None
        Largest resident memory of that process or of one of its workers, bytes.
    software : dict of str to str
        Name → version of what computed it.
    schema_number : int
        Stored as ``schema``.
    """

    number: int
    stage: str
    stage_version: int = 0
    params: dict[str, Any] = Field(default_factory=dict)
    seed: int | None = None
    from_job: int | None = None
    inputs: dict[str, dict[str, Reference]] = Field(default_factory=dict)
    items: dict[str, ItemRecord] = Field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    status: JobStatus
    error: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    host: str = ""
    pid: int = 0
    process_started: float = 0.0
    attempt: int = 1
    peak_memory: int | None = None
    software: dict[str, str] = Field(default_factory=dict)
    fingerprint: str = ""
    schema_number: int = Field(default=SCHEMA, alias="schema")

    @property
    def failures(self) -> dict[str, str]:
        """The sentence of every failed item."""
        return {name: item.error for name, item in self.items.items() if item.status == "failed"}

    def replace(self, **changes: Any) -> "JobRecord":
        """Return a copy with some fields changed."""
        return self.model_copy(update=changes)


def read_record(folder: Path) -> JobRecord:
    """Read the record of a job folder.

    Raises
    ------
    FileNotFoundError
        The folder holds no record.
    DataError
        The record cannot be understood, or is newer than this program.
    """
    path = folder / RECORD_NAME
    try:
        values = json.loads(path.read_text("utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it is not an object")
        return JobRecord.model_validate(migrate(values, path, JOB_STEPS))
    except (ValueError, ValidationError) as error:
        if isinstance(error, DataError):
            raise
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} cannot be read ({reason}); restore it from a copy or delete the job folder.") from None


def write_record(record: JobRecord, folder: Path) -> None:
    """Write the record of a job folder as a whole."""
    write_text(folder / RECORD_NAME, record.model_dump_json(by_alias=True, exclude_none=True, indent=1) + "\n")
