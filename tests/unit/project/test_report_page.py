"""The page that sums a project up."""

import base64
import re
import xml.etree.ElementTree as ET

import pytest

from napari_tomoflow.cli.main import main
from napari_tomoflow.core.model import Alignment, TiltSeries
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.core.report import silent
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.io import plots
from napari_tomoflow.project import Project, run
from napari_tomoflow.project.report_page import write_report
from unit.project import fake_stages as fake


class JudgeParams(Params):
    """How to judge."""

    axis_deg: float = param(0.0, unit="°", help="Axis to claim.")


def judge(series: TiltSeries, params: JudgeParams = JudgeParams(), report=silent) -> Alignment:
    """Claim a geometry with figures and a warning."""
    report(1, 1, "Judging")
    quality = {
        "residual_px": {"mean": 0.25, "max": 1234.5678},
        "only_b": 7 if series.name == "B" else None,
        "warnings": ["The axis is <b>odd</b> & far."] if series.name == "A" else [],
    }
    return Alignment(tilt_deg=series.tilt_deg, axis_deg=params.axis_deg, quality=quality)


JUDGE = Stage.of(judge, version=1)


def page_of(project):
    text = write_report(project).read_text("utf-8")
    body = text[text.index("<body>") :].removesuffix("</html>\n")
    return text, ET.fromstring(re.sub(r"(<img [^>]*)>", r"\1/>", body))


def cells(table):
    return [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]


def test_warnings_come_first_as_plain_text(small_project):
    run(small_project, JUDGE, JudgeParams())
    text, page = page_of(small_project)
    assert text.index("To look at") < text.index("<h2>Series")
    assert ["".join(item.itertext()) for item in page.iter("li")] == ["A, judge: The axis is <b>odd</b> & far."]


def test_failures_and_stale_results_are_named(small_project):
    run(small_project, JUDGE, JudgeParams(), series=["B"])
    run(small_project, fake.INVENT, fake.InventParams(name="B", seed=5))
    run(small_project, fake.MEASURE, fake.MeasureParams(fails_on="A"))
    _, page = page_of(small_project)
    assert ["".join(item.itertext()) for item in page.iter("li")] == [
        "A, measure: A is too dark (mean 0); leave it out.",
        "B, judge: Job 3 is stale: something it was made from was run again since.",
    ]


def test_every_series_has_a_row_with_its_stages_and_every_number_a_column(small_project):
    run(small_project, JUDGE, JudgeParams())
    _, page = page_of(small_project)
    standing, figures = page.iter("table")
    assert cells(standing) == [
        ["series", "invent", "judge"], ["A", "done, job 1", "done, job 3"], ["B", "done, job 2", "done, job 3"],
    ]  # fmt: skip
    assert cells(figures) == [
        ["series", "residual_px.mean", "residual_px.max", "only_b"],
        ["A", "0.25", "1234.57", ""],
        ["B", "0.25", "1234.57", "7"],
    ]


def test_pictures_are_in_the_page_itself(small_project, monkeypatch):
    monkeypatch.setattr(plots, "DRAWN", (Alignment,))
    record = run(small_project, JUDGE, JudgeParams(), series=["A"])
    _, page = page_of(small_project)
    (image,) = page.iter("img")
    start, data = image.get("src").split(",")
    assert start == "data:image/png;base64"
    assert base64.b64decode(data) == (small_project.job_folder(record.number) / "A" / "alignment.png").read_bytes()
    assert image.get("alt") == "alignment"


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", 'a"b&c'])
def test_names_cannot_break_the_page(tmp_path, name):
    project = Project.create(tmp_path / "p", name=name)
    text, page = page_of(project)
    assert page.find("h1").text == name
    assert "<script" not in text


def test_the_page_is_written_anew_by_the_command_and_read_by_no_stage(small_project, capsys):
    assert main(["report", str(small_project.folder)]) == 0
    run(small_project, JUDGE, JudgeParams())
    assert main(["report", str(small_project.folder)]) == 0
    path = small_project.folder / "report.html"
    assert f"Wrote {path}." in capsys.readouterr().err
    assert "job 3" in path.read_text("utf-8")
    assert [record.number for record in small_project.jobs()] == [1, 2, 3]
    assert main(["report", str(small_project.folder / "jobs")]) == 2
