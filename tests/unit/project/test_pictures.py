"""What a job leaves beside its results for eyes and for databases."""

import json

import pytest

from napari_tomoflow import __version__
from napari_tomoflow.core.errors import DataError, ParamError
from napari_tomoflow.core.model import Alignment
from napari_tomoflow.io import plots
from napari_tomoflow.project import run
from napari_tomoflow.project.summary import numbers_in
from unit.project import fake_stages as fake


@pytest.fixture
def drawing(no_pictures, monkeypatch):
    """Let alignments be drawn."""
    monkeypatch.setattr(plots, "DRAWN", (Alignment,))


def lines_of(project, record):
    text = (project.job_folder(record.number) / "summary.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_an_alignment_is_drawn_beside_its_table(small_project, drawing):
    record = run(small_project, fake.MEASURE, fake.MeasureParams(), series=["A"])
    folder = small_project.job_folder(record.number) / "A"
    assert sorted(path.name for path in folder.iterdir()) == ["alignment.png", "alignment.star", "quality.json"]
    assert (folder / "alignment.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("trouble", [DataError("the disk is full"), ZeroDivisionError("a bug in a plot")])
def test_a_picture_that_fails_is_logged_and_costs_nobody_a_result(small_project, drawing, monkeypatch, trouble):
    def save_figures(*_):
        raise trouble

    monkeypatch.setattr(plots, "save_figures", save_figures)
    record = run(small_project, fake.MEASURE, fake.MeasureParams(axis_deg=7), series=["A"])
    assert record.status == "done"
    assert small_project.load(Alignment, "A").axis_deg[0] == 7
    log = (small_project.job_folder(record.number) / "log.txt").read_text("utf-8")
    assert f"A has no pictures, or not all: {type(trouble).__name__}: {trouble}" in log


def test_a_job_sums_up_each_series_in_one_line(small_project):
    record = run(small_project, fake.MEASURE, fake.MeasureParams(fails_on="B"))
    done, failed = lines_of(small_project, record)
    head = {"job": 3, "stage": "measure", "stage_version": 1, "software": __version__}
    assert done.items() >= (head | {"series": "A", "status": "done", "error": "", "warnings": []}).items()
    assert set(done["quality"]) == {"mean"}
    assert done["ended"].startswith(f"{record.ended:%Y-%m-%dT%H:%M:%S}")
    assert done["seconds"] == record.items["A"].seconds
    assert failed.items() >= (head | {"series": "B", "status": "failed", "quality": {}}).items()
    assert failed["error"] == "B is too dark (mean 0); leave it out."


def test_the_lines_of_a_job_taken_up_again_are_of_its_end(small_project, monkeypatch):
    def too_dark(self, tilt):
        raise DataError("too dark")

    with monkeypatch.context() as dark:
        dark.setattr("napari_tomoflow.core.model.TiltSeries.image", too_dark)
        first = run(small_project, fake.MEASURE, fake.MeasureParams())
    assert [line["status"] for line in lines_of(small_project, first)] == ["failed", "failed"]
    second = run(small_project, fake.MEASURE, fake.MeasureParams())
    assert second.number == first.number
    assert [line["status"] for line in lines_of(small_project, second)] == ["done", "done"]


def test_numbers_are_found_at_every_depth_of_a_record():
    quality = {"a": {"b": 1, "c": [1, 2]}, "d": True, "e": "text", "f": None, "g": 0.5}
    assert numbers_in(quality) == {"a.b": 1.0, "g": 0.5}


def test_no_series_can_take_the_name_of_the_summary(small_project):
    with pytest.raises(ParamError, match=r"cannot be named 'summary\.jsonl'"):
        run(small_project, fake.INVENT, fake.InventParams(name="summary.jsonl"))
