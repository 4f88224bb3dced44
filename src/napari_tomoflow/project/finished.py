"""Jobs that hold what no stage of ours has made: they appear finished, whole or not at all."""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from napari_tomoflow.core.model import Noun
from napari_tomoflow.core.params import Params
from napari_tomoflow.project.book import Project
from napari_tomoflow.project.claims import claim_number
from napari_tomoflow.project.files import plainly
from napari_tomoflow.project.fingerprint import fingerprint, stored_params
from napari_tomoflow.project.log import JobLog
from napari_tomoflow.project.open_job import signature
from napari_tomoflow.project.record import ItemRecord, JobRecord, Reference, write_record


@dataclass(frozen=True)
class Made:
    """What a finished job holds of one series.

    Attributes
    ----------
    nouns : sequence of Noun
        Each of another kind; the quality of the last is that of the item.
    inputs : mapping of str to Reference
        What they come from.
    """

    nouns: Sequence[Noun]
    inputs: Mapping[str, Reference]


def record_finished(
    project: Project,
    kind: str,
    version: int,
    params: Params,
    made: Mapping[str, Made],
    *,
    from_job: int | None = None,
) -> JobRecord:
    """Write a finished job; later stages take its results by default, like those of any job.

    Parameters
    ----------
    project
        Where it belongs.
    kind, version
        In place of a stage and its version.
    params
        What a person said.
    made
        Series → what the job holds of it.
    from_job
        The job whose results were taken, if a person named one.

    Raises
    ------
    DataError
        The disk refuses.
    """
    started = datetime.now(UTC)
    with plainly(project.jobs_folder):
        number, hidden = claim_number(project.jobs_folder)
    with ExitStack() as undo, plainly(hidden):
        undo.callback(shutil.rmtree, hidden, ignore_errors=True)
        items = {name: _written(one, hidden / name, kind, version) for name, one in made.items()}
        digests = [item.fingerprint for item in items.values()]
        record = JobRecord(
            number=number,
            stage=kind,
            stage_version=version,
            params=stored_params(params, project.folder),
            from_job=from_job,
            inputs={name: dict(one.inputs) for name, one in made.items()},
            items=items,
            status="done",
            started=started,
            ended=datetime.now(UTC),
            fingerprint=digests[0] if len(digests) == 1 else fingerprint(digests),
            **signature(),
        )
        write_record(record, hidden)
        JobLog(hidden).begin(record, params)
        os.rename(hidden, project.jobs_folder / f"{number:04d}-{kind}")
        undo.pop_all()
    return record


def _written(made: Made, folder: Path, kind: str, version: int) -> ItemRecord:
    from napari_tomoflow.io.results import save  # costs pandas

    outputs = {name: file for noun in made.nouns for name, file in save(noun, folder).items()}
    inputs = {name: reference.fingerprint for name, reference in made.inputs.items()}
    return ItemRecord(
        status="done", outputs=outputs, fingerprint=fingerprint([kind, version, _content(folder), inputs])
    )


def _content(folder: Path) -> str:
    """Digest the files of an item: it is what they hold, however a person worded it."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
