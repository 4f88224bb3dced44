"""What a person may do wrong: exit 2, one sentence that names file, value and remedy, and nothing left behind."""

import errno
import os
import resource

import numpy as np
import pytest

from integration.command_line import files_in, make_stack, tomoflow
from napari_tomoflow.cli.main import main
from napari_tomoflow.io.mrc import write_mrc

N_TILTS = 41


@pytest.fixture
def project(tmp_path):
    assert main(["new", str(tmp_path / "project")]) == 0
    return tmp_path / "project"


def truncated(path):
    make_stack(path, N_TILTS)
    os.truncate(path, path.stat().st_size // 2)


def with_nan(path):
    make_stack(path, N_TILTS)
    images = np.full((N_TILTS, 64, 64), 7, np.float32)
    images[3, 10, 12] = np.nan
    write_mrc(path, images, 10.0, stack=True)


def with_angles_missing(path):
    make_stack(path, N_TILTS)
    angles = path.with_suffix(".tlt")
    angles.write_text("".join(angles.read_text("utf-8").splitlines(keepends=True)[:39]), "utf-8")


def empty(path):
    make_stack(path, N_TILTS)
    path.write_bytes(b"")


def a_folder(path):
    path.mkdir()


def missing(path):
    assert not path.exists()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (truncated, ["TS.mrc", "bytes"]),
        (with_nan, ["TS.mrc", "tilt 3", "1 pixels that are not numbers"]),
        (with_angles_missing, ["TS.mrc", "41", "TS.tlt", "39"]),
        (empty, ["TS.mrc", "empty"]),
        (a_folder, ["TS.mrc", "folder"]),
        (missing, ["TS.mrc"]),
    ],
)
def test_a_stack_that_will_not_do_is_refused_in_one_sentence(project, tmp_path, capsys, spoil, words):
    (tmp_path / "raw").mkdir()
    stack = tmp_path / "raw" / "TS.mrc"
    spoil(stack)
    before = files_in(tmp_path / "raw")
    capsys.readouterr()

    assert main(["import", str(project), str(stack)]) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    sentence = next(line for line in captured.err.splitlines() if str(stack) in line)
    for word in words:
        assert word in sentence
    assert sentence.endswith(".")
    assert "Traceback" not in captured.err
    assert files_in(tmp_path / "raw") == before
    own = ("job.json", "log.txt", "summary.jsonl")
    assert set(files_in(project)) <= {
        "tomoflow.json", "jobs", "jobs/0001-import", *(f"jobs/0001-import/{name}" for name in own),
    }  # fmt: skip


def test_a_full_disk_fails_the_reconstruction_and_leaves_no_volume(project, tmp_path):
    assert tomoflow("import", project, make_stack(tmp_path / "TS.mrc"), "--axis-deg", 0).returncode == 0
    limit = 100_000
    done = tomoflow(
        "reconstruct", project, "--bin", 1, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    sentence = next(line for line in done.stderr.splitlines() if line.startswith("TS: "))
    assert "tomogram.mrc cannot be written" in sentence
    assert "free some space" in sentence
    assert files_in(project / "jobs" / "0002-reconstruct") == ["job.json", "log.txt", "summary.jsonl"]


def test_a_read_only_project_is_refused_before_anything_is_done(project, tmp_path, capsys, monkeypatch):
    stack, make_folder = make_stack(tmp_path / "TS.mrc"), os.mkdir

    def refusing(path, *args, **kwargs):
        if os.fspath(path).startswith(str(project)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fspath(path))
        make_folder(path, *args, **kwargs)

    monkeypatch.setattr(os, "mkdir", refusing)
    assert main(["import", str(project), str(stack)]) == 2
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert str(project) in sentence
    assert "read-only" in sentence
    assert files_in(project) == ["tomoflow.json"]


def test_some_series_failing_is_told_apart_from_all_failing(project, tmp_path, capsys):
    good, bad = make_stack(tmp_path / "good.mrc"), tmp_path / "bad.mrc"
    bad.write_bytes(b"")
    assert main(["import", str(project), str(good), str(bad), "--axis-deg", "0"]) == 3
    assert f"bad: {bad}" in capsys.readouterr().err
    assert main(["import", str(project), str(bad)]) == 2


def test_a_name_that_is_taken_is_refused(project, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    assert main(["import", str(project), str(make_stack(tmp_path / "TS.mrc"))]) == 0
    assert main(["import", str(project), str(make_stack(tmp_path / "other" / "TS.mrc"))]) == 2
    assert "--name" in capsys.readouterr().err


def test_a_bug_keeps_its_traceback_and_asks_to_be_reported(project, capsys, monkeypatch):
    monkeypatch.setattr("napari_tomoflow.project.Project.table", lambda self: 1 / 0)
    assert main(["status", str(project)]) == 1
    told = capsys.readouterr().err
    assert "ZeroDivisionError" in told
    assert "please report it" in told
