"""What is left, and how the work goes on, after a process was killed or interrupted in the middle of a job."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from napari_tomoflow.core.report import Gauge
from napari_tomoflow.project import Project, run
from unit.project.fake_stages import BUILD, COUNTER, SLOW, STUCK, BuildParams, project_with_series

TESTS = Path(__file__).parents[1]
STEPS = 100
"""At 0.1 s each far longer than any test waits."""


@pytest.fixture
def project(tmp_path):
    return project_with_series(tmp_path / "p", "A", "B", "C")


@pytest.fixture
def counter(tmp_path, monkeypatch):
    path = tmp_path / "counter"
    path.touch()
    monkeypatch.setenv(COUNTER, str(path))
    monkeypatch.setenv(SLOW, "B")
    return path


def start(project, workers=1):
    # Whoever runs the tests in the background of a shell ignores interrupts, and so would all children.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{listen}; import sys; from unit.project.fake_stages import build_in; build_in(*sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", code, str(project.folder), str(workers), str(STEPS)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def is_in_b(project):
    return (project.jobs_folder / "0004-build" / "B.partial" / "tomogram.mrc.partial").exists()


def final_names(folder):
    """List the files that claim to be whole."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if ".partial" not in str(path))


def statuses(project):
    return {name: row["build"].status for name, row in project.table().items()}


def test_killed_job_is_interrupted_and_goes_on_at_the_first_item_not_done(project, counter, monkeypatch):
    process = start(project)
    until(lambda: is_in_b(project))
    assert project.job(4).status == "running"
    assert statuses(project) == {"A": "done", "B": "running", "C": "waiting"}
    process.kill()
    process.communicate()
    assert project.job(4).status == "interrupted"
    assert statuses(project) == {"A": "done", "B": "interrupted", "C": "interrupted"}
    folder = project.job_folder(4)
    assert {name.split("/")[0] for name in final_names(folder)} == {"A", "job.json", "log.txt", "running.1"}
    finished = (folder / "A" / "tomogram.mrc").stat()

    monkeypatch.delenv(SLOW)
    again = run(Project.open(project.folder), BUILD, BuildParams(steps=STEPS))
    assert (again.number, again.attempt, again.status) == (4, 2, "done")
    assert counter.read_text().split() == ["A", "B", "B", "C"]
    assert (folder / "A" / "tomogram.mrc").stat() == finished
    assert not list(folder.rglob("*.partial"))
    assert not list(folder.glob("running.*"))
    assert len(project.jobs()) == 4


def test_job_that_runs_elsewhere_is_not_taken_over(project, counter, monkeypatch):
    process = start(project)
    until(lambda: is_in_b(project))
    monkeypatch.delenv(SLOW)
    assert run(project, BUILD, BuildParams(steps=STEPS)).number == 5
    assert project.job(4).status == "running"
    process.kill()
    process.communicate()


def test_interrupt_from_the_keyboard_ends_a_job_within_a_second(project, counter):
    process = start(project)
    until(lambda: is_in_b(project))
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert time.monotonic() - begun < 1.0
    assert project.job(4).status == "cancelled"
    assert not list(project.job_folder(4).rglob("*.partial"))


def seconds_to_cancel_in_b(project, workers):
    gauge = Gauge()
    job = threading.Thread(
        target=run, args=(project, BUILD, BuildParams(steps=STEPS)), kwargs={"workers": workers, "report": gauge}
    )
    job.start()
    until(lambda: is_in_b(project))
    begun = time.monotonic()
    gauge.cancel()
    job.join()
    return time.monotonic() - begun


@pytest.mark.parametrize("workers", [1, 2])
def test_gauge_cancels_a_job_within_a_second(project, counter, workers):
    assert seconds_to_cancel_in_b(project, workers) < 1.0
    assert project.job(4).status == "cancelled"
    assert project.job(4).items["B"].status == "cancelled"
    assert not list(project.job_folder(4).rglob("*.partial"))


def test_worker_that_does_not_hear_a_cancel_ends_within_a_second(project, counter, monkeypatch):
    monkeypatch.setenv(STUCK, "B")
    assert seconds_to_cancel_in_b(project, workers=2) < 1.0
    assert project.job(4).status == "cancelled"
    assert not list(project.job_folder(4).rglob("*.partial"))


def test_workers_end_with_a_killed_runner_and_their_job_goes_on(project, counter, monkeypatch):
    process = start(project, workers=2)
    until(lambda: is_in_b(project) and project.job(4).items["A"].status == "done")
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert not alive
    assert project.job(4).status == "interrupted"
    monkeypatch.delenv(SLOW)
    assert run(project, BUILD, BuildParams(steps=STEPS), workers=2).status == "done"
    assert counter.read_text().split().count("A") == 1


def test_worker_that_dies_fails_its_series_with_a_sentence(project, counter):
    record = {}
    job = threading.Thread(target=lambda: record.update(job=run(project, BUILD, BuildParams(steps=STEPS), workers=2)))
    job.start()
    until(lambda: is_in_b(project))
    until(lambda: project.job(4).items["C"].status == "done")
    for child in psutil.Process().children(recursive=True):
        if "spawn_main" in " ".join(child.cmdline()):
            child.kill()
    job.join()
    assert record["job"].status == "partial"
    assert record["job"].failures == {
        "B": "A worker process died, perhaps for want of memory; run again with fewer workers."
    }
