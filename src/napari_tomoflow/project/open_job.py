"""A job this process has the right to write: begun, continued, ended, every step on disk."""

import os
import shutil
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.io.files import PARTS_FOLDER
from napari_tomoflow.project.book import Project
from napari_tomoflow.project.claims import claim_again, claim_number, host, marker, process_started
from napari_tomoflow.project.files import plainly
from napari_tomoflow.project.fingerprint import fingerprint, item_fingerprints, stored_params
from napari_tomoflow.project.items import Outcome, Task, peak_memory
from napari_tomoflow.project.log import JobLog
from napari_tomoflow.project.plan import Plan, Request
from napari_tomoflow.project.record import ItemRecord, JobRecord, JobStatus, Reference, write_record
from napari_tomoflow.project.software import software
from napari_tomoflow.project.summary import write_summary


class OpenJob:
    """A job that this process works on.

    Attributes
    ----------
    folder : pathlib.Path
    record : JobRecord
        As last written.
    """

    def __init__(self, project: Project, folder: Path, record: JobRecord) -> None:
        self.folder = folder
        self.record = record
        self._project = project
        self._log = JobLog(folder)

    def tasks(self, request: Request, workers: int) -> list[Task]:
        """List what is left to do; a single item has all workers to itself."""
        left = [name for name, item in self.record.items.items() if item.status != "done"]
        return [self._task(request, name, workers if len(left) == 1 else 1) for name in left]

    def take_up(self) -> None:
        """Go on with a job that stopped: items that are done stay done, if their files are still there."""
        self._clear()
        damaged = {
            item.part_of or name for name, item in self.record.items.items() if not _is_whole(item, self.folder / name)
        }
        items = {
            name: ItemRecord(fingerprint=item.fingerprint) if name in damaged else item
            for name, item in self.record.items.items()
            if item.part_of not in damaged
        }
        self._write(items=items, status="running", error="", ended=None, **signature())
        self._log.add(f"taken up again by process {self.record.pid} on {self.record.host}")

    def begin_item(self, name: str) -> None:
        """Note that an item is being worked on."""
        self._log.add(f"{name} started")
        running = self.record.items[name].model_copy(update={"status": "running", "error": ""})
        self._write(items={**self.record.items, name: running})

    def end_item(self, name: str, outcome: Outcome) -> None:
        """Note how an item ended; only now do its files get their final name."""
        self.record = self.record.replace(peak_memory=max(self.record.peak_memory or 0, outcome.peak_memory))
        if outcome.bug is not None:
            self._log.add(f"{name} ended by a bug in the program; please report it with this file")
            self._log.add_trace(outcome.trace)
        elif outcome.error:
            self._log.add(f"{name} failed: {outcome.error}")
        else:
            self._publish(name, outcome.parts)
            self._log.add(f"{name} done in {outcome.seconds:.1f} s")
            if outcome.not_drawn:
                self._log.add(f"{name} has no pictures, or not all: {outcome.not_drawn}")
        ended = self.record.items[name].model_copy(
            update={
                "status": "failed" if outcome.error else "done",
                "error": outcome.error,
                "outputs": outcome.outputs,
                "seconds": round(outcome.seconds, 3),
            }
        )
        items, inputs = self._parts_of(name, ended, outcome.parts)
        self._write(items={**self.record.items, name: ended, **items}, inputs={**self.record.inputs, **inputs})

    def end(self, status: JobStatus | None = None, error: str = "") -> JobRecord:
        """Note how the job ended; without a status, as its items did. `error` tells of a bug."""
        self._clear()
        items = {name: _ended(item, status) for name, item in self.record.items.items()}
        done = sum(item.status == "done" for item in items.values())
        if status is None:
            status = "done" if done == len(items) else "partial" if done else "failed"
        self._write(
            items=items,
            status=status,
            error=error,
            ended=datetime.now(UTC),
            peak_memory=max(self.record.peak_memory or 0, peak_memory()),
        )
        write_summary(self.record, self.folder)
        self._log.add(f"{status}: {done} of {len(items)} done")
        return self.record

    def _task(self, request: Request, name: str, workers: int) -> Task:
        inputs = self.record.inputs[name]
        return Task(
            name=name,
            stage=request.stage,
            params=request.params,
            project=self._project.folder,
            inputs=inputs,
            input_folders={
                given: self._project.job_folder(reference.job) / (reference.item or name)
                for given, reference in inputs.items()
                if reference.job is not None
            },
            folder=self._partial(name),
            steps=self.folder / f"{name}.steps",
            workers=workers,
        )

    def _partial(self, name: str) -> Path:
        return self.folder / f"{name}.partial"

    def _publish(self, name: str, parts: Collection[str]) -> None:
        # A process killed after a step and before its record leaves a result nobody refers to.
        for part in parts:
            _put(self._partial(name) / PARTS_FOLDER / part, self.folder / part)
        if parts:
            (self._partial(name) / PARTS_FOLDER).rmdir()
        _put(self._partial(name), self.folder / name)

    def _parts_of(
        self, whole: str, made: ItemRecord, parts: Mapping[str, dict[str, str]]
    ) -> tuple[dict[str, ItemRecord], dict[str, dict[str, Reference]]]:
        """Record the items that parts of a result belong to, and what each was made from: what concerns it."""
        items, inputs = {}, {}
        given = self.record.inputs[whole]
        for name, outputs in parts.items():
            own = {key: one for key, one in given.items() if one.item == name}
            is_series = TiltSeries.__name__ in {one.kind for one in own.values()}
            inputs[name] = own if is_series else given
            digest = fingerprint([made.fingerprint, name])
            items[name] = ItemRecord(status="done", outputs=outputs, fingerprint=digest, part_of=whole)
        return items, inputs

    def _clear(self) -> None:
        """Remove what unfinished items have left."""
        for name in self.record.items:
            shutil.rmtree(self._partial(name), ignore_errors=True)

    def _write(self, **changes: Any) -> None:
        self.record = self.record.replace(**changes)
        write_record(self.record, self.folder)


def _put(made: Path, final: Path) -> None:
    with plainly(final):
        shutil.rmtree(final, ignore_errors=True)
        os.rename(made, final)


def begin_job(project: Project, request: Request, plan: Plan) -> OpenJob:
    """Make a new job; on failure nothing is left behind."""
    params = stored_params(request.params, project.folder)
    digests = item_fingerprints(request.stage, params, plan.items)
    with plainly(project.jobs_folder):
        number, hidden = claim_number(project.jobs_folder)
    record = JobRecord(
        number=number,
        stage=request.stage.name,
        stage_version=request.stage.version,
        params=params,
        seed=params.get("seed"),
        from_job=request.from_job,
        inputs=plan.items,
        items={name: ItemRecord(fingerprint=digest) for name, digest in digests.items()},
        left_out=plan.left_out,
        status="running",
        started=datetime.now(UTC),
        fingerprint=fingerprint(digests),
        **signature(),
    )
    folder = project.jobs_folder / f"{number:04d}-{request.stage.name}"
    with ExitStack() as undo, plainly(folder):
        undo.callback(shutil.rmtree, hidden, ignore_errors=True)
        marker(hidden, record.attempt).mkdir()
        write_record(record, hidden)
        JobLog(hidden).begin(record, request.params)
        os.rename(hidden, folder)
        undo.pop_all()
    return OpenJob(project, folder, record)


def resume_job(project: Project, number: int) -> OpenJob | None:
    """Take up a job that did not finish; None when another process was faster."""
    folder = project.job_folder(number)
    with plainly(folder):
        record = claim_again(folder)
    if record is None:
        return None
    job = OpenJob(project, folder, record)
    with ExitStack() as undo:
        undo.callback(marker(folder, record.attempt).rmdir)
        job.take_up()
        undo.pop_all()
    return job


def _is_whole(item: ItemRecord, folder: Path) -> bool:
    return item.status == "done" and all((folder / file).exists() for file in item.outputs.values())


def signature() -> dict[str, Any]:
    """Name this process and its software, as a record does."""
    return {"host": host(), "pid": os.getpid(), "process_started": process_started(), "software": software()}


def _ended(item: ItemRecord, status: JobStatus | None) -> ItemRecord:
    """Give an item that was being worked on the end its job came to."""
    if item.status != "running":
        return item
    return item.model_copy(update={"status": "cancelled" if status == "cancelled" else "waiting"})
