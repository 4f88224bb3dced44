"""Edits by hand are jobs too: what was changed, of which result, and the result that follows from it."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from napari_tomoflow.core.errors import MissingError, ParamError
from napari_tomoflow.core.model import Noun, TiltSeries
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.project.book import Project
from napari_tomoflow.project.claims import claim_number
from napari_tomoflow.project.files import plainly
from napari_tomoflow.project.fingerprint import fingerprint
from napari_tomoflow.project.lineage import EDIT
from napari_tomoflow.project.log import JobLog
from napari_tomoflow.project.open_job import signature
from napari_tomoflow.project.record import ItemRecord, JobRecord, Reference, write_record

_VERSION = 1


class EditParams(Params):
    """What a person changed."""

    note: str = param("", help="What was changed, in words and numbers, a line for each change.")


def record_edit(project: Project, series: str, nouns: Sequence[Noun], *, note: str, of_job: int) -> JobRecord:
    """Write a finished job that holds nouns as a person has changed them.

    Later stages take them by default, like the results of any job. The job appears whole or not at all.

    Parameters
    ----------
    project, series
        Where they belong.
    nouns
        The changed ones, each of another kind; the quality of the last is that of the job.
    note
        What was changed, in words and numbers.
    of_job
        The job whose result, with what that was made from, was changed.

    Raises
    ------
    ParamError, MissingError
        There is no note, or nothing of the kind descends from that job.
    DataError
        The disk refuses.
    """
    if not note.strip():
        raise ParamError(f"An edit of {series} cannot be recorded with the note {note!r}; say what was changed.")
    inputs = _inputs(project, series, nouns, of_job)
    started = datetime.now(UTC)
    with plainly(project.jobs_folder):
        number, hidden = claim_number(project.jobs_folder)
    folder = project.jobs_folder / f"{number:04d}-{EDIT}"
    with ExitStack() as undo, plainly(hidden):
        undo.callback(shutil.rmtree, hidden, ignore_errors=True)
        outputs = _save(nouns, hidden / series)
        params = EditParams(note=note)
        digest = fingerprint([EDIT, _VERSION, _content(hidden / series), _fingerprints(inputs)])
        record = JobRecord(
            number=number,
            stage=EDIT,
            stage_version=_VERSION,
            params=params.model_dump(),
            from_job=of_job,
            inputs={series: inputs},
            items={series: ItemRecord(status="done", outputs=outputs, fingerprint=digest)},
            status="done",
            started=started,
            ended=datetime.now(UTC),
            fingerprint=digest,
            **signature(),
        )
        write_record(record, hidden)
        JobLog(hidden).begin(record, params)
        os.rename(hidden, folder)
        undo.pop_all()
    return record


def _inputs(project: Project, series: str, nouns: Sequence[Noun], of_job: int) -> dict[str, Reference]:
    """Refer to what was changed, by the name of its kind, and to the tilt series it belongs to."""
    lineage = project.lineage()
    found = {}
    for kind in dict.fromkeys((*(type(noun) for noun in nouns), TiltSeries)):
        result = lineage.in_ancestry(kind.__name__, series, of_job)
        if result is not None:
            found[kind.__name__] = result.reference(kind.__name__)
    if not found:
        raise MissingError(f"Job {of_job} of {project.folder} holds nothing of {series} to change; name another job.")
    return found


def _save(nouns: Sequence[Noun], folder: Path) -> dict[str, str]:
    from napari_tomoflow.io.results import save  # costs pandas

    return {name: file for noun in nouns for name, file in save(noun, folder).items()}


def _content(folder: Path) -> str:
    """Digest the files of an edit: it is what they hold, however its note is worded."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _fingerprints(inputs: dict[str, Reference]) -> dict[str, str]:
    return {name: reference.fingerprint for name, reference in inputs.items()}
