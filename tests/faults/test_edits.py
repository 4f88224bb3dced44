"""An edit that a full disk or a kill interrupts leaves no job, and the next one is made as if nothing had been."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.project import Project, record_edit
from unit.project.fake_stages import project_with_series

TESTS = Path(__file__).parents[1]

_KILLED_BEFORE_THE_END = """
import os, signal, sys
from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.project import Project, record_edit

os.rename = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
project = Project.open(sys.argv[1])
record_edit(project, "A", [project.load(TiltSeries, "A")], note="Nothing.", of_job=1)
"""


@pytest.fixture
def project(tmp_path):
    return project_with_series(tmp_path / "p", "A")


def edit(project):
    series = project.load(TiltSeries, "A").without({0: "dark"})
    return record_edit(project, "A", [series], note="Left out tilt 0.", of_job=1)


def test_killed_edit_leaves_no_job_and_the_next_one_works(project):
    killed = subprocess.run([sys.executable, "-c", _KILLED_BEFORE_THE_END, str(project.folder)], check=False)
    assert killed.returncode < 0
    assert [record.number for record in project.jobs()] == [1]
    assert edit(project).status == "done"
    assert not Project.open(project.folder).load(TiltSeries, "A").kept[0]


@pytest.mark.parametrize("file", ["tilt_series.star", "quality.json", "job.json"])
def test_full_disk_is_one_sentence_and_leaves_nothing(project, monkeypatch, file):
    before = sorted(project.folder.rglob("*"))
    replace = os.replace

    def refusing(source, target):
        if Path(target).name == file:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", refusing)
    with pytest.raises(DataError, match=f"{file} cannot be written: the disk or quota is full"):
        edit(project)
    assert sorted(project.folder.rglob("*")) == before
