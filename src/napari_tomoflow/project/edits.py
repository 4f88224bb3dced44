"""Edits by hand are jobs too: what was changed, of which result, and the result that follows from it."""

from collections.abc import Sequence

from napari_tomoflow.core.errors import MissingError, ParamError
from napari_tomoflow.core.model import Noun, ParticleSet, TiltSeries, Tomogram
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.project.book import Project
from napari_tomoflow.project.finished import Made, record_finished
from napari_tomoflow.project.lineage import EDIT
from napari_tomoflow.project.record import JobRecord, Reference

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
    return record_finished(
        project, EDIT, _VERSION, EditParams(note=note), {series: Made(nouns, inputs)}, from_job=of_job
    )


def _inputs(project: Project, series: str, nouns: Sequence[Noun], of_job: int) -> dict[str, Reference]:
    """Refer to what was changed, by the name of its kind, and to what it belongs to: picks, to a tomogram."""
    lineage = project.lineage()
    found = {}
    kinds: list[type[Noun]] = [*(type(noun) for noun in nouns), TiltSeries]
    if ParticleSet in kinds:
        kinds.append(Tomogram)
    for kind in dict.fromkeys(kinds):
        result = lineage.in_ancestry(kind.__name__, series, of_job)
        if result is not None:
            found[kind.__name__] = result.reference(kind.__name__)
    if not found:
        raise MissingError(f"Job {of_job} of {project.folder} holds nothing of {series} to change; name another job.")
    return found
