"""How a job runs and ends, and how the same job asked for again goes on."""

import json
import os
import threading

import numpy as np
import pytest

from napari_tomoflow.core.errors import Cancelled, MissingError, ParamError
from napari_tomoflow.core.model import Alignment, TiltSeries, Tomogram
from napari_tomoflow.core.report import Gauge
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.project import Project, compute_lane, run
from napari_tomoflow.project.migrations import SCHEMA
from unit.project import fake_stages as fake


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """Give a function that lists the series `build` has begun so far."""
    path = tmp_path / "counter"
    path.touch()
    monkeypatch.setenv(fake.COUNTER, str(path))
    return lambda: path.read_text().split()


def cancel_at(words):
    def report(done, total, doing):
        if words in doing:
            raise Cancelled(doing)

    return report


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_finished_job_is_recorded_in_full(project):
    record = run(project, fake.MEASURE, fake.MeasureParams(axis_deg=7))
    assert (record.number, record.stage, record.stage_version, record.status) == (4, "measure", 1, "done")
    assert record.params == {"axis_deg": 7.0, "fails_on": "", "breaks_on": ""}
    assert {name: item.status for name, item in record.items.items()} == {"A": "done", "B": "done", "C": "done"}
    assert record.inputs["B"]["series"].job == 2
    assert record.started <= record.ended
    assert record.peak_memory > 10**6
    assert set(record.software) == {"napari-tomoflow", "numpy", "scipy", "numba", "python", "platform"}
    assert record == project.job(4)
    stored = json.loads((project.job_folder(4) / "job.json").read_text())
    assert stored["schema"] == SCHEMA
    assert files_in(project.job_folder(4) / "A") == sorted(["quality.json", *record.items["A"].outputs.values()])


def test_seed_is_recorded(project):
    assert project.job(3).seed == 2


def test_result_can_be_loaded_from_the_project(project):
    run(project, fake.MEASURE, fake.MeasureParams(axis_deg=7))
    assert project.load(Alignment, "A").axis_deg[0] == 7
    assert project.load(TiltSeries, "B").name == "B"


def test_result_too_big_for_memory_is_built_in_the_job_folder(project):
    record = run(project, fake.BUILD, fake.BuildParams(), series=["A"])
    folder = project.job_folder(record.number)
    assert (folder / "A" / "tomogram.mrc").exists()
    assert not list(folder.rglob("*.partial"))
    assert np.array(project.load(Tomogram, "A").volume).shape == (2, 8, 8)


def test_one_bad_series_makes_the_job_partial_and_is_named(project):
    record = run(project, fake.MEASURE, fake.MeasureParams(fails_on="B"))
    assert record.status == "partial"
    assert record.failures == {"B": "B is too dark (mean 0); leave it out."}
    assert record.items["C"].status == "done"
    assert files_in(project.job_folder(4)).count("B") == 0
    log = (project.job_folder(4) / "log.txt").read_text()
    assert "B failed: B is too dark (mean 0); leave it out." in log
    assert "Traceback" not in log


def test_job_whose_items_all_failed_has_failed(project):
    record = run(project, fake.MEASURE, fake.MeasureParams(fails_on="B"), series=["B"])
    assert record.status == "failed"


def test_bug_is_recorded_with_its_traceback_and_raised(project):
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run(project, fake.MEASURE, fake.MeasureParams(breaks_on="B"))
    record = project.job(4)
    assert (record.status, record.error) == ("failed", "ZeroDivisionError: a bug")
    assert {name: item.status for name, item in record.items.items()} == {"A": "done", "B": "failed", "C": "waiting"}
    log = (project.job_folder(4) / "log.txt").read_text()
    assert "Traceback" in log
    assert "in measure" in log


def test_log_begins_with_versions_and_the_changed_parameters(project):
    run(project, fake.MEASURE, fake.MeasureParams(axis_deg=7))
    lines = (project.job_folder(4) / "log.txt").read_text().splitlines()
    assert lines[0].startswith("napari-tomoflow ")
    assert "numpy " in lines[0]
    assert lines[2:4] == ["Parameters that differ from their defaults:", "    axis_deg = 7.0"]
    assert "fails_on" not in "\n".join(lines)
    assert lines[-1].endswith("done: 3 of 3 done")


def test_cancelled_job_is_recorded_and_goes_on_where_it_stopped(project, counted):
    record = run(project, fake.BUILD, fake.BuildParams(), report=cancel_at("B: Building"))
    assert record.status == "cancelled"
    assert {name: item.status for name, item in record.items.items()} == {
        "A": "done",
        "B": "cancelled",
        "C": "waiting",
    }
    assert not list(project.job_folder(4).glob("B*"))
    again = run(project, fake.BUILD, fake.BuildParams())
    assert (again.number, again.status, again.attempt) == (4, "done", 2)
    assert counted() == ["A", "B", "B", "C"]
    assert again.fingerprint == record.fingerprint
    assert len(project.jobs()) == 4


def test_failed_items_are_tried_again_and_finished_ones_are_not(project):
    first = run(project, fake.MEASURE, fake.MeasureParams(fails_on="B"))
    again = run(project, fake.MEASURE, fake.MeasureParams(fails_on="B"))
    assert (again.number, again.attempt, again.status) == (first.number, 2, "partial")
    assert again.items["A"] == first.items["A"]


def test_finished_job_asked_for_again_is_a_new_job(project):
    assert run(project, fake.MEASURE, fake.MeasureParams()).number == 4
    assert run(project, fake.MEASURE, fake.MeasureParams()).number == 5


def test_job_with_other_parameters_is_a_new_job(project):
    run(project, fake.MEASURE, fake.MeasureParams(fails_on="B"))
    assert run(project, fake.MEASURE, fake.MeasureParams(fails_on="C")).number == 5


def test_job_whose_input_was_made_again_is_a_new_job(project):
    run(project, fake.MEASURE, fake.MeasureParams(fails_on="B"))
    run(project, fake.INVENT, fake.InventParams(name="A", seed=9))
    assert run(project, fake.MEASURE, fake.MeasureParams(fails_on="B")).number == 6


def test_resumed_job_repeats_an_item_whose_files_are_gone(project, counted):
    run(project, fake.BUILD, fake.BuildParams(), report=cancel_at("C: Building"))
    record = project.job(4)
    (project.job_folder(4) / "A" / record.items["A"].outputs["Tomogram"]).unlink()
    assert run(project, fake.BUILD, fake.BuildParams()).status == "done"
    assert counted() == ["A", "B", "C", "A", "C"]


def test_stale_leavings_of_a_dead_process_are_removed(project):
    run(project, fake.BUILD, fake.BuildParams(), report=cancel_at("C: Building"))
    left = project.job_folder(4) / "C.partial"
    left.mkdir()
    (left / "tomogram.mrc.partial").write_bytes(b"half")
    assert run(project, fake.BUILD, fake.BuildParams()).status == "done"
    assert not list(project.job_folder(4).rglob("*.partial"))


def test_progress_of_the_job_grows_to_its_end(project):
    seen = []
    run(
        project,
        fake.BUILD,
        fake.BuildParams(steps=3),
        report=lambda done, total, doing: seen.append((done / total, doing)),
    )
    shares = [share for share, _ in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert any("B: Building" in doing for _, doing in seen)


def test_two_workers_give_what_one_gives(project):
    one = run(project, fake.BUILD, fake.BuildParams(fill="noise", steps=3))
    volumes = [np.array(project.load(Tomogram, name).volume) for name in "ABC"]
    seen = []
    two = run(
        project,
        fake.BUILD,
        fake.BuildParams(fill="noise", steps=3),
        workers=2,
        report=lambda *state: seen.append(state[0] / state[1]),
    )
    assert (two.number, two.status) == (one.number + 1, "done")
    assert two.fingerprint == one.fingerprint
    for name, volume in zip("ABC", volumes, strict=True):
        np.testing.assert_array_equal(project.load(Tomogram, name).volume, volume)
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert all(item.seconds is not None for item in two.items.values())


def test_workers_share_the_cores(project, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 9)
    run(project, fake.MEASURE, fake.MeasureParams(), workers=2)
    assert project.table()["A"]["measure"].quality["threads"] == "4"


def test_workers_record_failures_like_one_process_does(project):
    record = run(project, fake.MEASURE, fake.MeasureParams(fails_on="B"), workers=2)
    assert record.status == "partial"
    assert record.failures == {"B": "B is too dark (mean 0); leave it out."}


def test_bug_in_a_worker_keeps_its_traceback(project):
    with pytest.raises(RuntimeError, match="a bug"):
        run(project, fake.MEASURE, fake.MeasureParams(breaks_on="B"), workers=2)
    assert "in measure" in (project.job_folder(4) / "log.txt").read_text()
    record = project.job(4)
    assert record.status == "failed"
    assert record.error == "RuntimeError: ZeroDivisionError: a bug (in a worker process)"
    assert record.failures == {"B": "ZeroDivisionError: a bug"}


def test_worker_count_must_be_positive(project):
    with pytest.raises(ParamError, match="workers cannot be 0"):
        run(project, fake.MEASURE, fake.MeasureParams(), workers=0)


def test_job_waiting_for_the_lane_can_be_cancelled(project):
    gauge = Gauge()
    with compute_lane(gauge):
        waiting = threading.Thread(
            target=run, args=(project, fake.MEASURE, fake.MeasureParams()), kwargs={"report": gauge}
        )
        waiting.start()
        while gauge.read()[2] != "Waiting for the running job":
            waiting.join(0.01)
        gauge.cancel()
        waiting.join(1.0)
        assert not waiting.is_alive()
    assert project.job(4).status == "cancelled"


def test_keyboard_interrupt_is_recorded_as_cancelled(project):
    def report(done, total, doing):
        if "B: Measuring" in doing:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(project, fake.MEASURE, fake.MeasureParams(), report=report)
    assert project.job(4).status == "cancelled"


def test_nothing_is_begun_when_an_input_is_missing(tmp_path):
    project = Project.create(tmp_path / "p")
    with pytest.raises(MissingError, match="tomoflow import"):
        run(project, fake.MEASURE, fake.MeasureParams())
    assert not project.jobs_folder.exists()


def test_series_is_named_by_its_stack_and_refers_to_it(tmp_path):
    stack = tmp_path / "raw" / "TS_07.mrc"
    stack.parent.mkdir()
    write_mrc(stack, np.zeros((3, 8, 8), np.float32), 2.0)
    before = (stack.read_bytes(), stack.stat().st_mtime_ns)
    project = Project.create(tmp_path / "p")
    record = run(project, fake.GATHER, fake.GatherParams(), sources=[stack])
    assert project.series() == ("TS_07",)
    reference = record.inputs["TS_07"]["recorded"]
    assert (reference.path, reference.size) == ("../raw/TS_07.mrc", stack.stat().st_size)
    assert (stack.read_bytes(), stack.stat().st_mtime_ns) == before


def test_book_can_be_read_at_any_moment_of_a_job(project):
    reader, over, seen = Project.open(project.folder), threading.Event(), set()

    def read():
        while not over.is_set():
            seen.update(cell.status for row in reader.table().values() for cell in row.values())
            seen.update(record.status for record in reader.jobs())

    watching = threading.Thread(target=read)
    watching.start()
    for steps in range(1, 6):
        run(project, fake.BUILD, fake.BuildParams(steps=steps))
    over.set()
    watching.join()
    assert {"done", "running", "waiting"} <= seen <= {"done", "running", "waiting"}
