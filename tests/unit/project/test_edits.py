"""An edit by hand is a job: later stages take it, it knows what it came from, it appears whole or not at all."""

import json

import numpy as np
import pytest

from napari_tomoflow.core.errors import MissingError, ParamError
from napari_tomoflow.core.model import Alignment, TiltSeries
from napari_tomoflow.project import record_edit, run
from unit.project.fake_stages import BUILD, INVENT, MEASURE, BuildParams, InventParams, MeasureParams

ALIGNED, BUILT, EDITED = 3, 4, 5
"""Numbers of the jobs the tests below begin with."""


def statuses(project, series="A"):
    return {(cell.job, stage): cell.stale for stage, cell in project.table()[series].items()}


def is_stale(project, job, series="A"):
    return (job, series) in project.lineage().stale


def edit(project, of_job=ALIGNED, note="Turned the axis by 1°.", **changes):
    alignment = project.load(Alignment, "A", from_job=of_job)
    turned = alignment.replace(axis_deg=alignment.axis_deg + 1.0, **changes)
    return record_edit(project, "A", [turned], note=note, of_job=of_job)


@pytest.fixture
def edited(small_project):
    """Make a project whose alignment of A was edited after a tomogram had been made."""
    run(small_project, MEASURE, MeasureParams())
    run(small_project, BUILD, BuildParams())
    edit(small_project)
    return small_project


def test_edit_is_a_finished_job_that_says_what_was_changed(edited):
    record = edited.job(EDITED)
    assert (record.stage, record.status, record.from_job) == ("edit", "done", ALIGNED)
    assert record.params["note"] == "Turned the axis by 1°."
    assert record.items["A"].outputs == {"Alignment": "alignment.star"}
    assert {name: reference.job for name, reference in record.inputs["A"].items()} == {"Alignment": 3, "TiltSeries": 1}
    assert "Turned the axis by 1°." in (edited.job_folder(EDITED) / "log.txt").read_text()
    assert edited.table()["A"]["edit"].status == "done"


def test_later_stages_take_the_edited_noun(edited):
    assert edited.load(Alignment, "A").axis_deg[0] == pytest.approx(6.0)
    record = run(edited, BUILD, BuildParams())
    assert record.inputs["A"]["alignment"].job == EDITED
    assert record.inputs["B"]["alignment"].job == ALIGNED
    assert not is_stale(edited, record.number)


def test_what_was_made_before_an_edit_is_stale(edited):
    assert is_stale(edited, BUILT)
    assert not is_stale(edited, BUILT, "B")
    assert not is_stale(edited, ALIGNED)
    assert not is_stale(edited, EDITED)


def test_edit_is_stale_once_what_it_changed_is_made_anew(edited):
    run(edited, BUILD, BuildParams())
    run(edited, MEASURE, MeasureParams(axis_deg=9.0))
    assert is_stale(edited, EDITED)
    assert is_stale(edited, EDITED + 1)
    assert edited.load(Alignment, "A").axis_deg[0] == pytest.approx(9.0)


def test_edits_of_edits_go_on_from_each_other(edited):
    run(edited, BUILD, BuildParams())
    second = edit(edited, EDITED, note="Turned it again.")
    assert not is_stale(edited, EDITED)
    assert not is_stale(edited, second.number)
    assert is_stale(edited, EDITED + 1)
    assert edited.load(Alignment, "A").axis_deg[0] == pytest.approx(7.0)


def test_edited_series_outlives_the_alignment_edited_with_it(small_project):
    run(small_project, MEASURE, MeasureParams())
    series, alignment = (small_project.load(kind, "A") for kind in (TiltSeries, Alignment))
    record = record_edit(
        small_project, "A", [series.without({1: "blurred"}), alignment], note="Left out 1.", of_job=ALIGNED
    )
    assert not is_stale(small_project, ALIGNED)
    run(small_project, MEASURE, MeasureParams(axis_deg=9.0))
    assert small_project.job(record.number + 1).inputs["A"]["series"].job == record.number
    assert is_stale(small_project, record.number)  # its alignment has been made anew
    assert not is_stale(small_project, record.number + 1)  # which took the series of the edit
    assert list(small_project.load(TiltSeries, "A").kept) == [True, False, True]


def test_series_edited_after_its_alignment_makes_that_stale(small_project):
    run(small_project, MEASURE, MeasureParams())
    series = small_project.load(TiltSeries, "A")
    record_edit(small_project, "A", [series.without({1: "blurred"})], note="Left out 1.", of_job=1)
    assert is_stale(small_project, ALIGNED)


def test_raw_data_of_an_edited_series_stay_where_they_are(small_project):
    series = small_project.load(TiltSeries, "A")
    record = record_edit(small_project, "A", [series.without({1: "blurred"})], note="Left out 1.", of_job=1)
    files = {path.name for path in (small_project.job_folder(record.number) / "A").iterdir()}
    assert files == {"tilt_series.star", "quality.json"}
    np.testing.assert_array_equal(small_project.load(TiltSeries, "A").image(0), series.image(0))


def test_edit_of_another_series_changes_nothing_here(edited):
    assert run(edited, INVENT, InventParams(name="C")).status == "done"
    with pytest.raises(MissingError, match="holds nothing of C to change"):
        record_edit(edited, "C", [edited.load(Alignment, "A")], note="Turned it.", of_job=ALIGNED)
    assert len(edited.jobs()) == EDITED + 1


def test_edit_without_a_note_is_refused(edited):
    with pytest.raises(ParamError, match="say what was changed"):
        edit(edited, note=" ")


def test_edits_that_hold_the_same_have_the_same_fingerprint(edited):
    first, same = edited.job(EDITED), edit(edited, note="In other words.")
    other = edit(edited, thickness_ang=500.0)
    assert first.fingerprint == same.fingerprint != other.fingerprint


def test_record_of_an_edit_is_plain_json(edited):
    record = json.loads((edited.job_folder(EDITED) / "job.json").read_text())
    assert record["items"]["A"]["status"] == "done"
    assert record["software"]["numpy"]
