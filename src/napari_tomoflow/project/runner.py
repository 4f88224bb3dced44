"""The runner: works through the items of a job and records every ending."""

import shutil
import time
import traceback
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from napari_tomoflow.core.errors import Cancelled, MissingError, ParamError, TomoflowError
from napari_tomoflow.core.params import Params
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.project.book import Project
from napari_tomoflow.project.claims import Heartbeat
from napari_tomoflow.project.files import plain
from napari_tomoflow.project.fingerprint import fingerprint, item_fingerprints, stored_params
from napari_tomoflow.project.items import Outcome, Task, draw, make, peak_memory
from napari_tomoflow.project.open_job import OpenJob, begin_job, resume_job
from napari_tomoflow.project.plan import Request, make_plan
from napari_tomoflow.project.record import JobRecord
from napari_tomoflow.project.workers import outcomes

_UNFINISHED = ("interrupted", "cancelled", "partial", "failed")


def run(
    project: Project,
    stage: Stage,
    params: Params,
    *,
    series: Sequence[str] = (),
    sources: Sequence[Path | str] = (),
    from_job: int | None = None,
    workers: int = 1,
    report: Report = silent,
) -> JobRecord:
    """Run a stage as a job of a project, and write its record whatever happens.

    The same work asked for again while its newest job is unfinished goes on with that job, at the
    first item that is not done.

    Parameters
    ----------
    project, stage, params
        What to do, where.
    series
        Tilt series to work on; all that have the inputs when empty.
    sources
        Files, for a stage that starts series from files.
    from_job
        Take inputs from this job and those it was made from, instead of the newest finished ones.
    workers
        How many items to work on at a time, each in a process of its own. Does not change the results.
    report
        Told the progress of the whole job; may raise `Cancelled`.

    Returns
    -------
    JobRecord
        Its status tells how the job ended; `failures` has a sentence for each failed item.

    Raises
    ------
    TomoflowError
        The job cannot begin, or its record cannot be written.
    Exception
        A bug of the program; its traceback is in the job's log as well.
    """
    if workers < 1:
        raise ParamError(f"workers cannot be {workers}; give at least 1.")
    request = Request(stage, params, tuple(series), tuple(map(Path, sources)), from_job)
    job = _take_up_unfinished(project, request) or begin_job(project, request, make_plan(project, request))
    with Heartbeat(job.folder, job.record.attempt):
        return _work(job, request, workers, report)


def _take_up_unfinished(project: Project, request: Request) -> OpenJob | None:
    """Take up the newest job that did the very same, if it did not finish."""
    params = stored_params(request.params, project.folder)
    asked = (request.stage.name, request.stage.version, params)
    for record in reversed(project.jobs()):
        if (record.stage, record.stage_version, record.params) != asked:
            continue
        try:
            plan = make_plan(project, request, but_job=record.number)
        except MissingError:
            continue
        if fingerprint(item_fingerprints(request.stage, params, plan.items)) == record.fingerprint:
            return resume_job(project, record.number) if record.status in _UNFINISHED else None
    return None


def work_on(task: Task, report: Report) -> Outcome:
    """Work on an item and leave its files in the task's folder, or nothing; called by `workers`, in any process.

    Raises
    ------
    Cancelled
        The report asked for it.
    """
    begun_s = time.monotonic()
    outputs: dict[str, str] = {}
    parts: dict[str, dict[str, str]] = {}
    error, bug, trace = "", None, ""
    try:
        outputs, parts = make(task, report)
    except Cancelled:
        raise
    except TomoflowError as mendable:
        error = str(mendable)
    except OSError as refused:
        error = str(plain(refused, task.folder))
    except MemoryError as full:
        error = f"{task.name} does not fit into memory ({full}); close other programs or work on smaller data."
    except Exception as unforeseen:
        error, bug, trace = f"{type(unforeseen).__name__}: {unforeseen}", unforeseen, traceback.format_exc()
    finally:
        if not outputs:
            shutil.rmtree(task.folder, ignore_errors=True)
    not_drawn = _draw(task) if outputs else ""
    return Outcome(time.monotonic() - begun_s, peak_memory(), outputs, parts, error, bug, trace, not_drawn)


def _draw(task: Task) -> str:
    """Draw a result and return why that failed: a picture is not worth losing hours of work for."""
    try:
        draw(task)
    except Exception as trouble:
        return f"{type(trouble).__name__}: {trouble}"
    return ""


def _work(job: OpenJob, request: Request, workers: int, report: Report) -> JobRecord:
    try:
        with closing(outcomes(work_on, job.tasks(request, workers), workers, job.begin_item, report)) as endings:
            for name, outcome in endings:
                job.end_item(name, outcome)
                if outcome.bug is not None:
                    raise outcome.bug
    except Cancelled:
        return job.end("cancelled")
    except KeyboardInterrupt:
        job.end("cancelled")
        raise
    except TomoflowError:
        with suppress(TomoflowError):  # the record may be what cannot be written
            job.end("failed")
        raise
    except Exception as bug:
        job.end("failed", f"{type(bug).__name__}: {bug}".splitlines()[0])
        raise
    record = job.end()
    with suppress(Cancelled):  # too late: everything is done
        report(1, 1, "Done")
    return record
