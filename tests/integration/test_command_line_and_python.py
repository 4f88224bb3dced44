"""The main job typed and called gives the same numbers, bit for bit."""

import json
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest

from napari_tomoflow.cli.demo_data import sample_example
from napari_tomoflow.cli.main import main
from napari_tomoflow.core.model import Alignment, TiltSeries, Tomogram
from napari_tomoflow.core.stages.align import align
from napari_tomoflow.core.stages.import_ import import_
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct
from napari_tomoflow.io.sources import read_raw_stack
from napari_tomoflow.project import Project

THICKNESS_ANG = 600


@pytest.fixture(scope="module")
def called():
    """Call the three functions."""
    series = import_(read_raw_stack(sample_example().stack))
    alignment = align(series)
    return (
        series,
        alignment,
        reconstruct(series, alignment, params=ReconstructParams(bin=2, thickness_ang=THICKNESS_ANG)),
    )


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """Type the four commands; return the project and what each printed."""
    folder = tmp_path_factory.mktemp("typed") / "project"
    commands = [
        ("new", folder),
        ("import", folder, sample_example().stack, "--json"),
        ("align", folder, "--json"),
        ("reconstruct", folder, "--bin", 2, "--thickness-ang", THICKNESS_ANG, "--json"),
    ]
    printed = []
    for command in commands:
        with redirect_stdout(StringIO()) as out:
            assert main([*map(str, command)]) == 0
        printed.append(out.getvalue())
    return Project.open(folder), printed


def load(project, kind):
    return project.load(kind, project.series()[0])


def test_the_series_is_the_same(called, typed):
    expected, got = called[0], load(typed[0], TiltSeries)
    for name in ("tilt_deg", "dose_before_e_ang2", "order", "kept"):
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name))
    assert (got.pixel_ang, got.axis_deg) == (expected.pixel_ang, expected.axis_deg)
    np.testing.assert_array_equal(got.image(3), expected.image(3))


def test_the_alignment_is_the_same_to_the_last_bit(called, typed):
    expected, got = called[1], load(typed[0], Alignment)
    np.testing.assert_array_equal(got.image_from_sample(), expected.image_from_sample())


def test_the_tomogram_is_the_same_to_the_last_bit(called, typed):
    expected, got = called[2], load(typed[0], Tomogram)
    assert got.voxel_ang == expected.voxel_ang
    np.testing.assert_array_equal(np.asarray(got.volume), expected.volume)


def test_each_stage_prints_one_object_and_nothing_else_on_standard_output(called, typed):
    project, (nothing, *printed) = typed
    assert nothing == ""
    for number, (text, noun) in enumerate(zip(printed, called, strict=True), start=1):
        outcome = json.loads(text)
        (item,) = outcome["items"].values()
        assert (outcome["job"], outcome["status"], item["status"], item["error"]) == (number, "done", "done", "")
        assert item["quality"] == json.loads(json.dumps(noun.quality))
        assert all((project.folder / file).exists() for file in item["outputs"].values())


def test_the_log_begins_with_versions_and_what_differs_from_the_defaults(typed):
    project = typed[0]
    head = (project.job_folder(3) / "log.txt").read_text("utf-8").split("started by")[0]
    for words in ("napari-tomoflow", "numpy", "numba", "reconstruct (version", "bin = 2", "thickness_ang = 600"):
        assert words in head
    assert "cutoff" not in head
