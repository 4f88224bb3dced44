"""A disk that is full or may not be written: one sentence, and nothing left behind."""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from napari_tomoflow.core.errors import TomoflowError
from napari_tomoflow.project import Project, open_job, run
from unit.project.fake_stages import BUILD, MEASURE, BuildParams, MeasureParams, project_with_series

TESTS = Path(__file__).parents[1]
BYTES = 100_000
STEPS = 1000
"""A volume of 256 000 bytes."""


@pytest.fixture
def project(tmp_path):
    return project_with_series(tmp_path / "p", "A", "B")


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def refuse(code, words):
    """Make a stand-in for ``os.mkdir`` and its like that refuses paths with `words` in them."""

    def standing_in_for(function):
        def refusing(path, *args, **kwargs):
            if words in os.fspath(path):
                raise OSError(code, os.strerror(code), os.fspath(path))
            return function(path, *args, **kwargs)

        return refusing

    return standing_in_for


def test_full_disk_fails_the_item_with_a_sentence_and_leaves_nothing_half_written(project):
    code = "import sys; from unit.project.fake_stages import build_in; build_in(*sys.argv[1:])"
    subprocess.run(
        [sys.executable, "-c", code, str(project.folder), "1", str(STEPS)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (BYTES, BYTES)),
        check=True,
    )
    record = project.job(3)
    assert record.status == "failed"
    assert set(record.failures) == {"A", "B"}
    for name, sentence in record.failures.items():
        assert f"{name}.partial/tomogram.mrc cannot be written: the disk or quota is full" in sentence
        assert "free some space, run again" in sentence
    assert files_in(project.job_folder(3)) == ["job.json", "log.txt", "summary.jsonl"]

    again = run(project, BUILD, BuildParams(steps=STEPS))
    assert (again.number, again.status) == (3, "done")


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_project_that_may_not_be_written_begins_no_job(project, monkeypatch, code):
    before = files_in(project.folder)
    monkeypatch.setattr(os, "mkdir", refuse(code, "jobs")(os.mkdir))
    with pytest.raises(
        TomoflowError, match=r"jobs/0003\.partial cannot be written: .*jobs is read-only for you; change"
    ):
        run(project, MEASURE, MeasureParams())
    assert files_in(project.folder) == before


def test_project_that_may_not_be_written_takes_up_no_job(project, monkeypatch):
    run(project, MEASURE, MeasureParams(fails_on="B"))
    before = files_in(project.folder)
    monkeypatch.setattr(os, "mkdir", refuse(errno.EROFS, "running.2")(os.mkdir))
    with pytest.raises(TomoflowError, match="is read-only for you"):
        run(project, MEASURE, MeasureParams(fails_on="B"))
    assert files_in(project.folder) == before
    assert project.job(3).status == "partial"


def test_new_project_on_a_disk_that_may_not_be_written_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", refuse(errno.EROFS, "tomoflow.json")(os.replace))
    with pytest.raises(TomoflowError, match=r"tomoflow\.json cannot be written"):
        Project.create(tmp_path / "deep" / "p")
    assert files_in(tmp_path) == []


def test_failed_start_of_a_project_leaves_a_folder_that_was_there_alone(tmp_path, monkeypatch):
    (tmp_path / "p").mkdir()
    monkeypatch.setattr(os, "replace", refuse(errno.ENOSPC, "tomoflow.json")(os.replace))
    with pytest.raises(TomoflowError, match="the disk or quota is full"):
        Project.create(tmp_path / "p")
    assert files_in(tmp_path) == ["p"]


def test_no_room_for_the_record_of_a_new_job_leaves_nothing(project, monkeypatch):
    before = files_in(project.folder)
    monkeypatch.setattr(os, "replace", refuse(errno.ENOSPC, "0003")(os.replace))
    with pytest.raises(TomoflowError, match=r"job\.json cannot be written: the disk or quota is full"):
        run(project, MEASURE, MeasureParams())
    assert files_in(project.folder) == before


def test_no_room_for_the_record_of_a_resumed_job_gives_the_job_free(project, monkeypatch):
    run(project, MEASURE, MeasureParams(fails_on="B"))
    before = files_in(project.folder)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse(errno.ENOSPC, "0003")(os.replace))
        with pytest.raises(TomoflowError, match="the disk or quota is full"):
            run(project, MEASURE, MeasureParams(fails_on="B"))
    assert files_in(project.folder) == before
    assert run(project, MEASURE, MeasureParams(fails_on="B")).attempt == 2


def test_job_whose_record_can_no_longer_be_written_is_interrupted_and_goes_on_later(project, monkeypatch):
    written = []

    def write_until_full(record, folder):
        written.append(record)
        if len(written) > 3:
            raise TomoflowError(f"{folder} cannot be written: the disk or quota is full.")
        open_job_write(record, folder)

    open_job_write = open_job.write_record
    with monkeypatch.context() as patch:
        patch.setattr(open_job, "write_record", write_until_full)
        with pytest.raises(TomoflowError, match="the disk or quota is full"):
            run(project, MEASURE, MeasureParams())
    record = project.job(3)
    assert (record.status, record.items["A"].status) == ("interrupted", "done")
    again = run(project, MEASURE, MeasureParams())
    assert (again.number, again.status) == (3, "done")


def test_raw_file_that_went_away_fails_its_series_with_a_sentence(project):
    stack = project.job_folder(2) / "B" / "stack.mrc"
    stack.unlink()
    record = run(project, MEASURE, MeasureParams())
    assert record.status == "partial"
    assert "stack.mrc" in record.failures["B"]


def test_result_that_cannot_get_its_final_name_ends_the_job(project, monkeypatch):
    monkeypatch.setattr(os, "rename", refuse(errno.EACCES, "A.partial")(os.rename))
    with pytest.raises(TomoflowError, match="cannot be written"):
        run(project, MEASURE, MeasureParams())
    assert project.job(3).status == "failed"
    assert not list(project.job_folder(3).glob("*.partial"))
