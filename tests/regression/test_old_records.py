"""Records that older versions wrote stay readable; those of newer versions are refused by name.

Each ``records/job_schema_<n>.json`` was written by the version that introduced schema n and is never changed.
"""

import json
import shutil
from pathlib import Path

import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.project import Project
from napari_tomoflow.project.migrations import SCHEMA
from napari_tomoflow.project.record import RECORD_NAME, read_record

RECORDS = Path(__file__).parent / "records"


def test_every_schema_has_a_saved_record():
    saved = {path.stem for path in RECORDS.glob("job_schema_*.json")}
    assert saved == {f"job_schema_{schema}" for schema in range(1, SCHEMA + 1)}


@pytest.mark.parametrize("path", sorted(RECORDS.glob("*.json")), ids=lambda path: path.stem)
def test_saved_record_still_says_what_it_said(path, tmp_path):
    shutil.copy(path, tmp_path / RECORD_NAME)
    record = read_record(tmp_path)
    assert (record.number, record.stage, record.status) == (2, "align", "partial")
    whole = {name: item.status for name, item in record.items.items() if not item.part_of}
    assert whole == {"TS_01": "done", "TS_02": "failed"}
    assert record.failures == {"TS_02": "TS_02: no tilt could be aligned (41 of 41 are dark); leave the series out."}
    assert record.inputs["TS_01"]["series"].job == 1
    assert record.items["TS_01"].outputs == {"Alignment": "alignment.star"}
    assert record.schema_number == SCHEMA


def test_record_before_parts_has_none_and_one_after_names_what_they_belong_to(tmp_path):
    told = []
    for schema in (1, 2):
        shutil.copy(RECORDS / f"job_schema_{schema}.json", tmp_path / RECORD_NAME)
        record = read_record(tmp_path)
        parts = {name: item.part_of for name, item in record.items.items() if item.part_of}
        told.append((parts, {name: one["series"].item for name, one in record.inputs.items()}))
    assert told == [
        ({}, {"TS_01": "", "TS_02": ""}),
        ({"TS_01_top": "TS_01"}, {"TS_01": "", "TS_02": "TS_02_raw"}),
    ]


def test_project_of_the_first_schema_still_opens(tmp_path):
    project = Project.create(tmp_path / "p", "cells")
    path = project.folder / "tomoflow.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "schema": 1}))
    assert Project.open(project.folder).name == "cells"


def test_record_of_a_newer_version_is_refused_and_its_job_shown_as_broken(tmp_path):
    project = Project.create(tmp_path / "p")
    folder = project.jobs_folder / "0001-align"
    folder.mkdir(parents=True)
    newer = {**json.loads((RECORDS / "job_schema_1.json").read_text("utf-8")), "schema": SCHEMA + 1, "mood": "good"}
    (folder / RECORD_NAME).write_text(json.dumps(newer))
    with pytest.raises(DataError, match=f"has schema {SCHEMA + 1}, but napari-tomoflow"):
        read_record(folder)
    assert project.job(1).status == "broken"
    assert "update napari-tomoflow" in project.job(1).error
