"""Extraction in a project: from picks in two series to files other programs read, by runner and by command."""

import json

import numpy as np
import pytest

from integration.command_line import tomoflow
from napari_tomoflow.core.model import SubtiltSet
from napari_tomoflow.core.stages.extract import EXTRACT, ExtractParams
from napari_tomoflow.io import plots
from napari_tomoflow.io.mrc import open_mrc, write_mrc
from napari_tomoflow.io.subtilts import read_subtilts
from napari_tomoflow.project import run
from unit.project import fake_stages as fake

PARAMS = ExtractParams(species="spot", diameter_ang=100.0, box_px=16, content="both")


@pytest.fixture
def picked(tmp_path, monkeypatch):
    """Three spots in each of two series of 64 × 64 px."""
    monkeypatch.setattr(plots, "DRAWN", ())
    rng = np.random.default_rng(6)
    for name in "AB":
        write_mrc(tmp_path / f"{name}.mrc", rng.normal(size=(5, 64, 64)).astype(np.float32), 10.0, stack=True)
    project = fake.Project.create(tmp_path / "p")
    run(project, fake.GATHER, fake.GatherParams(), sources=[tmp_path / "A.mrc", tmp_path / "B.mrc"])
    run(project, fake.MEASURE, fake.MeasureParams())
    run(project, fake.SPOT, fake.SpotParams())
    return project


def test_picks_of_all_series_become_one_stack_with_its_table(picked):
    record = run(picked, EXTRACT, PARAMS)
    assert record.status == "done"
    assert record.items["spot"].outputs == {"SubtiltSet": "subtilts.star"}
    folder = picked.job_folder(record.number) / "spot"
    subtilts = picked.load(SubtiltSet, "spot")
    assert subtilts.particles.tomogram.tolist() == ["A"] * 3 + ["B"] * 3
    assert len(subtilts) == 6 * 5
    assert subtilts.quality["particles"] == 6
    assert open_mrc(folder / "subtilts.mrcs").shape == (30, 16, 16)
    assert open_mrc(folder / "subtilt_volumes.mrc").shape == (6 * 16, 16, 16)
    assert not list(folder.glob("*.partial"))
    text = (folder / "subtilts.star").read_text()
    assert "000030@subtilts.mrcs" in text
    np.testing.assert_array_equal(read_subtilts(folder / "subtilts.star").particle, subtilts.particle)


def test_the_command_extracts_and_tells_how_many(picked):
    outcome = tomoflow("extract", picked.folder, "--species", "spot", "--diameter-ang", 100, "--box-px", 16, "--json")
    assert outcome.returncode == 0, outcome.stderr
    (item,) = json.loads(outcome.stdout)["items"].values()
    assert item["quality"]["subtilts"] == 30
    assert item["quality"]["left_out"] == 0


def test_a_diameter_nobody_told_is_asked_for(picked):
    outcome = tomoflow("extract", picked.folder, "--species", "spot")
    assert outcome.returncode == 2
    assert "diameter_ang" in outcome.stderr
