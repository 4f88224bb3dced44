"""A job that is killed or cancelled: what was finished stays, nothing half-written has a name, and it goes on."""

import json
import os
import signal
import time

import pytest

from integration.command_line import files_in, make_stack, start, tomoflow, wait_until
from napari_tomoflow.cli.main import main

SERIES = ("TS_1", "TS_2", "TS_3")
JOB = "jobs/0002-reconstruct"
SLOW = ("--bin", 1, "--thickness-ang", 6000)
"""Makes one series last a second or two."""


@pytest.fixture
def project(tmp_path):
    stacks = [make_stack(tmp_path / f"{name}.mrc", 31, 128, seed) for seed, name in enumerate(SERIES)]
    project = tmp_path / "project"
    assert main(["new", str(project)]) == 0
    assert main(["import", str(project), *map(str, stacks), "--axis-deg", "0"]) == 0
    return project


def is_working_on(project, name):
    log = project / JOB / "log.txt"
    return log.exists() and f"{name} started" in log.read_text("utf-8")


def seconds_to_stop(process, number):
    begun_s = time.monotonic()
    process.send_signal(number)
    process.communicate(timeout=30)
    return time.monotonic() - begun_s


def test_a_killed_reconstruction_goes_on_where_it_was(project):
    process = start("reconstruct", project, *SLOW)
    wait_until(lambda: is_working_on(project, "TS_2"))
    process.kill()
    process.communicate()

    finished = project / JOB / "TS_1" / "tomogram.mrc"
    made_ns = finished.stat().st_mtime_ns
    named = [path for path in files_in(project / JOB) if ".partial" not in path]
    assert not [path for path in named if path.startswith(("TS_2", "TS_3"))]
    assert json.loads(tomoflow("status", project, "--json").stdout)["TS_2"]["reconstruct"]["status"] == "interrupted"

    again = tomoflow("reconstruct", project, *SLOW, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["job"] == 2
    assert finished.stat().st_mtime_ns == made_ns
    log = (project / JOB / "log.txt").read_text("utf-8")
    assert [log.count(f"{name} started") for name in SERIES] == [1, 2, 1]
    assert not [path for path in files_in(project) if ".partial" in path]
    assert all((project / JOB / name / "tomogram.mrc").exists() for name in SERIES)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_within_a_second(project, number):
    process = start("reconstruct", project, *SLOW)
    wait_until(lambda: is_working_on(project, "TS_2"))
    assert seconds_to_stop(process, number) < 1.0
    assert process.returncode == 130
    assert json.loads((project / JOB / "job.json").read_text("utf-8"))["status"] == "cancelled"
    assert not [path for path in files_in(project) if ".partial" in path]
    assert (project / JOB / "TS_1" / "tomogram.mrc").exists()


def test_compiling_kernels_for_the_first_time_can_be_cancelled_too(project, tmp_path):
    process = start("reconstruct", project, *SLOW, env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")})
    wait_until(lambda: (tmp_path / "cache").exists())
    assert seconds_to_stop(process, signal.SIGINT) < 1.0
    assert process.returncode == 130
    assert json.loads((project / JOB / "job.json").read_text("utf-8"))["status"] == "cancelled"


def test_workers_are_cancelled_with_their_parent(project):
    process = start("reconstruct", project, *SLOW, "--workers", 2)
    wait_until(lambda: is_working_on(project, "TS_1"))
    assert seconds_to_stop(process, signal.SIGINT) < 1.5
    assert process.returncode == 130
    assert not [path for path in files_in(project) if ".partial" in path]


def test_any_number_of_workers_gives_the_same_volumes(project):
    for workers in (1, 2):
        done = tomoflow("reconstruct", project, "--workers", workers)
        assert done.returncode == 0, done.stderr
    for name in SERIES:
        one, two = (project / f"jobs/{job:04d}-reconstruct" / name / "tomogram.mrc" for job in (2, 3))
        assert one.read_bytes() == two.read_bytes()
