"""Who may write where, between processes and machines."""

import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import chain

import pytest

from napari_tomoflow.project import JobRecord
from napari_tomoflow.project.claims import claim_again, claim_number, host, is_held, marker, process_started
from napari_tomoflow.project.record import write_record


def claim_some(jobs):
    """Claim ten numbers and give each its final name, as a new job does."""
    numbers = []
    for _ in range(10):
        number, hidden = claim_number(jobs)
        os.rename(hidden, jobs / f"{number:04d}-stage{os.getpid()}")
        numbers.append(number)
    return numbers


def take_over(folder):
    record = claim_again(folder)
    time.sleep(0.2)  # the others must find the marker, not an ended job
    return record is not None


def record_of(folder, **changes):
    folder.mkdir(exist_ok=True, parents=True)
    values = {"host": host(), "pid": os.getpid(), "process_started": process_started(), "status": "running"}
    record = JobRecord(number=1, stage="stage", **{**values, **changes})
    write_record(record, folder)
    return record


@pytest.fixture
def processes():
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        yield pool


def test_processes_that_claim_at_once_never_share_a_number(tmp_path, processes):
    claimed = chain.from_iterable(processes.map(claim_some, [tmp_path / "jobs"] * 4))
    assert sorted(claimed) == list(range(1, 41))


def test_only_one_of_four_processes_takes_over_a_dead_job(tmp_path, processes):
    for attempt in range(1, 6):
        folder = tmp_path / f"{attempt}"
        record_of(folder, status="interrupted", attempt=attempt)
        assert sum(processes.map(take_over, [folder] * 4)) == 1


def test_number_of_a_job_that_never_began_is_not_used_again(tmp_path):
    (tmp_path / "0007.partial").mkdir()
    assert claim_number(tmp_path)[0] == 8


def test_running_job_of_a_living_process_is_held(tmp_path):
    record = record_of(tmp_path)
    marker(tmp_path, 1).mkdir()
    assert is_held(record, tmp_path)
    assert claim_again(tmp_path) is None


def test_job_without_a_marker_is_not_held(tmp_path):
    assert not is_held(record_of(tmp_path), tmp_path)


def test_process_id_that_was_given_to_another_process_is_noticed(tmp_path):
    marker(tmp_path, 1).mkdir()
    assert not is_held(record_of(tmp_path, process_started=process_started() - 3600), tmp_path)


def test_dead_process_that_nobody_buried_is_noticed(tmp_path):
    import psutil

    process = subprocess.Popen([sys.executable, "-c", ""])
    started = psutil.Process(process.pid).create_time()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    marker(tmp_path, 1).mkdir()
    assert not is_held(record_of(tmp_path, pid=process.pid, process_started=started), tmp_path)
    process.wait()


@pytest.mark.parametrize(("silent_s", "held"), [(10, True), (1000, False)])
def test_process_on_another_machine_is_known_by_its_heartbeat(tmp_path, silent_s, held):
    record = record_of(tmp_path, host="elsewhere", pid=1)
    marker(tmp_path, 1).mkdir()
    os.utime(marker(tmp_path, 1), (time.time() - silent_s,) * 2)
    assert is_held(record, tmp_path) is held
    assert (claim_again(tmp_path) is None) is held


def test_claim_that_came_too_late_is_given_up(tmp_path, monkeypatch):
    # Another process takes the job, works, and leaves, between our look at the record and our marker.
    from napari_tomoflow.project import claims

    early, late = record_of(tmp_path, status="partial"), record_of(tmp_path, status="partial", attempt=2)
    seen = iter([early, late])
    monkeypatch.setattr(claims, "read_record", lambda folder: next(seen))
    assert claim_again(tmp_path) is None
    assert not list(tmp_path.glob("running.*"))


def test_taker_over_that_died_before_it_wrote_is_replaced_after_a_while(tmp_path):
    record_of(tmp_path, status="cancelled")
    marker(tmp_path, 2).mkdir()
    assert claim_again(tmp_path) is None
    os.utime(marker(tmp_path, 2), (time.time() - 1000,) * 2)
    taken = claim_again(tmp_path)
    assert taken is not None
    assert taken.attempt == 3
