"""Old records are brought up to date by pure steps; newer ones are refused by name."""

import copy
from pathlib import Path

import pytest

from napari_tomoflow import __version__
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.project.migrations import JOB_STEPS, PROJECT_STEPS, SCHEMA, migrate

PATH = Path("jobs/0001-align/job.json")
STEPS = {
    1: lambda values: {**values, "colour": values["color"]},
    2: lambda values: {name: value for name, value in values.items() if name != "color"},
}


def test_record_goes_through_every_step_from_its_own():
    assert migrate({"schema": 1, "color": "red"}, PATH, STEPS, 3) == {"schema": 3, "colour": "red"}
    assert migrate({"schema": 2, "color": "red"}, PATH, STEPS, 3) == {"schema": 3}
    assert migrate({"schema": 3, "color": "red"}, PATH, STEPS, 3) == {"schema": 3, "color": "red"}


def test_record_that_was_read_is_left_alone():
    old = {"schema": 1, "color": "red"}
    before = copy.deepcopy(old)
    migrate(old, PATH, STEPS, 3)
    assert old == before


def test_newer_record_is_refused_by_name():
    wanted = f"jobs/0001-align/job.json has schema 2, but napari-tomoflow {__version__} reads up to 1; update"
    with pytest.raises(DataError, match=wanted):
        migrate({"schema": 2}, PATH, {}, 1)


@pytest.mark.parametrize("schema", [None, "1", 0, -1, 1.0])
def test_number_no_version_wrote_is_refused(schema):
    with pytest.raises(DataError, match="which no version wrote"):
        migrate({"schema": schema}, PATH, {}, 1)


def test_there_is_a_step_from_every_older_schema():
    assert set(JOB_STEPS) == set(PROJECT_STEPS) == set(range(1, SCHEMA))
