"""A project read as a book: opened, listed, moved, and shown as a table."""

import json
import shutil
import time

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError, MissingError, ParamError
from napari_tomoflow.core.model import Alignment, TiltSeries
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.project import JobRecord, Project, run
from napari_tomoflow.project.migrations import SCHEMA
from napari_tomoflow.project.record import ItemRecord, Reference, write_record
from unit.project import fake_stages as fake


def test_new_project_holds_one_small_file(tmp_path):
    project = Project.create(tmp_path / "deep" / "cells", name="My cells")
    assert [path.name for path in project.folder.iterdir()] == ["tomoflow.json"]
    values = json.loads((project.folder / "tomoflow.json").read_text())
    assert (values["schema"], values["name"]) == (SCHEMA, "My cells")
    assert Project.open(project.folder).name == "My cells"
    assert Project.create(tmp_path / "other").name == "other"


def test_project_is_not_made_twice(tmp_path):
    Project.create(tmp_path / "p")
    with pytest.raises(ParamError, match="is a project already; open it"):
        Project.create(tmp_path / "p")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}', '"text"'])
def test_garbled_project_file_is_named_with_a_remedy(tmp_path, text):
    project = Project.create(tmp_path / "p")
    (project.folder / "tomoflow.json").write_text(text)
    with pytest.raises(DataError, match=r"p/tomoflow\.json is garbled .*make it again with `tomoflow new"):
        Project.open(project.folder)


def test_folder_without_a_project_says_how_to_make_one(tmp_path):
    with pytest.raises(MissingError, match=r"is no project: .*tomoflow\.json; make one with `tomoflow new"):
        Project.open(tmp_path)
    with pytest.raises(MissingError, match="is no project"):
        Project.open(tmp_path / "nowhere")


def test_project_of_a_newer_program_is_refused(tmp_path):
    project = Project.create(tmp_path / "p")
    (project.folder / "tomoflow.json").write_text('{"schema": 99, "name": "p"}')
    with pytest.raises(
        DataError, match=r"has schema 99, but napari-tomoflow .* reads up to \d+; update napari-tomoflow"
    ):
        Project.open(project.folder)


def test_empty_project_has_no_jobs_and_no_series(tmp_path):
    project = Project.create(tmp_path / "p")
    assert project.jobs() == ()
    assert project.series() == ()
    assert project.table() == {}
    with pytest.raises(MissingError, match="There is no job 1"):
        project.job(1)
    with pytest.raises(MissingError, match="A has no finished TiltSeries; run `tomoflow import` first"):
        project.load(TiltSeries, "A")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1, "number": 1}', '{"schema": 99}', "\xff"])
def test_garbled_record_shows_as_a_broken_job(small_project, text):
    (small_project.job_folder(1) / "job.json").write_text(text, "latin-1")
    broken = small_project.jobs()[0]
    assert (broken.number, broken.stage, broken.status) == (1, "invent", "broken")
    assert "job.json" in broken.error
    assert small_project.series() == ("B",)
    assert list(small_project.table()) == ["B"]


def test_job_folder_without_a_record_shows_as_a_broken_job(small_project):
    (small_project.job_folder(1) / "job.json").unlink()
    assert small_project.job(1).status == "broken"
    assert "holds no job.json" in small_project.job(1).error


def test_other_things_among_the_jobs_are_not_looked_at(small_project):
    (small_project.jobs_folder / "notes.txt").write_text("mine")
    (small_project.jobs_folder / "0009.partial").mkdir()
    assert [record.number for record in small_project.jobs()] == [1, 2]
    assert run(small_project, fake.INVENT, fake.InventParams(name="C")).number == 10


def test_moved_project_works_and_finds_the_raw_data_that_moved_with_it(tmp_path):
    home = tmp_path / "home"
    (home / "raw").mkdir(parents=True)
    write_mrc(home / "raw" / "TS.mrc", np.ones((3, 8, 8), np.float32), 2.0)
    project = Project.create(home / "p")
    run(project, fake.GATHER, fake.GatherParams(), sources=[home / "raw" / "TS.mrc"])
    run(project, fake.MEASURE, fake.MeasureParams(fails_on="TS"))
    shutil.move(home, tmp_path / "elsewhere")
    moved = Project.open(tmp_path / "elsewhere" / "p")
    np.testing.assert_array_equal(moved.load(TiltSeries, "TS").image(0), np.ones((8, 8)))
    again = run(moved, fake.MEASURE, fake.MeasureParams(fails_on="TS"))
    assert (again.number, again.attempt) == (2, 2)
    source = tmp_path / "elsewhere" / "raw" / "TS.mrc"
    assert run(moved, fake.GATHER, fake.GatherParams(), sources=[source]).fingerprint == moved.job(1).fingerprint


def test_records_hold_no_absolute_path_of_what_lies_beside_the_project(tmp_path):
    write_mrc(tmp_path / "TS.mrc", np.ones((3, 8, 8), np.float32), 2.0)
    project = Project.create(tmp_path / "p")
    run(project, fake.GATHER, fake.GatherParams(), sources=[tmp_path / "TS.mrc"])
    assert str(tmp_path) not in (project.job_folder(1) / "job.json").read_text()


def test_table_shows_where_each_series_stands_in_each_stage(small_project):
    run(small_project, fake.MEASURE, fake.MeasureParams(fails_on="B"))
    table = small_project.table()
    assert {name: {stage: cell.status for stage, cell in row.items()} for name, row in table.items()} == {
        "A": {"invent": "done", "measure": "done"},
        "B": {"invent": "done", "measure": "failed"},
    }
    assert table["B"]["measure"].error == "B is too dark (mean 0); leave it out."
    assert list(table["A"]["measure"].quality) == ["mean", "threads"]
    assert table["B"]["measure"].quality == {}


def test_results_are_stale_after_something_upstream_was_run_again_with_another_result(small_project):
    run(small_project, fake.MEASURE, fake.MeasureParams())
    run(small_project, fake.BUILD, fake.BuildParams())
    run(small_project, fake.INVENT, fake.InventParams(name="B", seed=7))
    table = small_project.table()
    assert not any(cell.stale for cell in table["A"].values())
    assert {stage: cell.stale for stage, cell in table["B"].items()} == {
        "invent": False,
        "measure": True,
        "build": True,
    }
    run(small_project, fake.MEASURE, fake.MeasureParams())
    run(small_project, fake.BUILD, fake.BuildParams())
    assert not any(cell.stale for row in small_project.table().values() for cell in row.values())


def test_results_are_not_stale_after_the_very_same_was_run_again(small_project):
    run(small_project, fake.MEASURE, fake.MeasureParams())
    run(small_project, fake.INVENT, fake.InventParams(name="A", seed=0))
    assert not small_project.table()["A"]["measure"].stale


def test_reader_sees_a_job_change_under_its_hands(small_project):
    reader = Project.open(small_project.folder)
    assert len(reader.jobs()) == 2
    run(small_project, fake.MEASURE, fake.MeasureParams(fails_on="B"))
    assert reader.job(3).status == "partial"
    assert reader.load(Alignment, "A").n_tilts == 3


def test_table_of_a_hundred_jobs_of_a_hundred_series_is_quick(tmp_path):
    project = Project.create(tmp_path / "p")
    names = [f"TS_{i:03d}" for i in range(100)]
    for number in range(1, 101):
        folder = project.jobs_folder / f"{number:04d}-align"
        folder.mkdir(parents=True)
        source = Reference(kind="TiltSeries", fingerprint=f"{max(number - 1, 1):016d}", job=max(number - 1, 1))
        record = JobRecord(
            number=number,
            stage="align",
            status="done",
            items={
                name: ItemRecord(status="done", fingerprint=f"{number:016d}", outputs={"Alignment": "alignment.star"})
                for name in names
            },
            inputs={name: {"series": source} if number > 1 else {} for name in names},
        )
        write_record(record, folder)
    assert len(project.table()) == 100
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        project.table()
        seconds.append(time.perf_counter() - begun)
    assert min(seconds) < 0.25  # 0.05 on an idle machine; this one is shared
