"""Cells are told in words, with units, and nothing in them is taken for markup."""

import json

from napari_tomoflow.gui.project_table import describe, describe_fully, names_text
from napari_tomoflow.project import Cell


def cell(tmp_path, quality=None, **changes):
    (tmp_path / "quality.json").write_text(json.dumps(quality or {}))
    return Cell(**{"status": "done", "job": 3, "stale": False, "error": "", "folder": tmp_path, **changes})


def test_quality_is_told_with_its_units(tmp_path):
    text = describe("TS_01", "align", cell(tmp_path, {"residual_ang": 3.14159, "n_kept": 40, "axis_deg": None}))
    assert "residual (Å): <b>3.142</b>" in text
    assert "number of kept: <b>40</b>" in text


def test_warnings_and_errors_are_told(tmp_path):
    text = describe("TS_01", "import", cell(tmp_path, {"warnings": ["Nobody said the dose."]}, error="a < b"))
    assert "Nobody said the dose." in text
    assert "a &lt; b" in text


def test_tables_come_with_the_details_alone(tmp_path):
    quality = {"preview": [{"tilt": 0, "tilt_deg": -60.0, "kept": True}], "said_by": {"tilt_deg": "TS_01.mdoc"}}
    assert "TS_01.mdoc" not in describe("TS_01", "import", cell(tmp_path, quality))
    full = describe_fully("TS_01", "import", cell(tmp_path, quality))
    assert "TS_01.mdoc" in full
    assert "<th align='left'>tilt (°)" in full
    assert "<td>yes" in full


def test_plots_of_a_job_are_shown_with_its_details(tmp_path):
    shown = cell(tmp_path)
    assert "<img" not in describe_fully("TS_01", "align", shown)
    (tmp_path / "alignment.png").touch()
    assert f"<img src='{(tmp_path / 'alignment.png').as_uri()}'" in describe_fully("TS_01", "align", shown)


def test_long_lists_of_names_are_cut():
    assert names_text(["a", "b"]) == "a, b"
    assert names_text(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
