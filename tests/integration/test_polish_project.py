"""Polishing in a project: the command and the function give the same, and later stages find what came of it."""

import json
from functools import cache

import numpy as np
import pytest

from napari_tomoflow.cli.main import main
from napari_tomoflow.core.model import Alignment, Average, CtfSeries, Dataset, ParticleSet, TiltSeries
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.core.stages.polish import PolishParams, polish
from napari_tomoflow.project import Project, run
from truth.deformed_scene import SPECIES, SceneParams, make_scene

HASTE = {"rounds": 1, "folds": 10, "poses": False}


@cache
def scene():
    """Two series, little seen of each, whose tilts are off."""
    return make_scene(SceneParams(count=48, n_series=2, pixel_ang=8.0, n_tilts=15, bend_ang=0.0, shift_sd_ang=6.0))


class ShootParams(Params):
    """Which series."""

    name: str = param("TS_01", help="Name of the series.")


class KnowParams(Params):
    """Nothing to choose."""


class SumUpParams(Params):
    """What is averaged."""

    species: str = param(SPECIES, help="What the particles are.")


def shoot(params: ShootParams, report: Report = silent) -> TiltSeries:
    """Take a series."""
    return scene().ensemble.series[params.name].replace(name=params.name)


def know(series: TiltSeries, params: KnowParams, report: Report = silent) -> Alignment:
    """Believe in a rigid specimen."""
    return scene().ensemble.alignments[series.name]


def look(series: TiltSeries, params: KnowParams, report: Report = silent) -> CtfSeries:
    """Know the CTF."""
    return scene().ensemble.ctfs[series.name]


def find(series: TiltSeries, params: KnowParams, report: Report = silent) -> ParticleSet:
    """Know the particles."""
    particles = scene().ensemble.particles
    return particles[particles.tomogram == series.name]


def sum_up(data: Dataset, params: SumUpParams, report: Report = silent) -> Average:
    """Know the average."""
    return Average(map=scene().ensemble.maps[SPECIES], particles=data.particles)


@pytest.fixture
def averaged(tmp_path):
    project = Project.create(tmp_path / "p")
    for name in scene().ensemble.series:
        run(project, Stage.of(shoot, version=1), ShootParams(name=name))
    for stage in (know, look, find):
        run(project, Stage.of(stage, version=1), KnowParams())
    run(project, Stage.of(sum_up, version=1), SumUpParams())
    return project


def test_the_command_does_what_the_function_does_and_later_stages_find_it(averaged, capsys):
    assert main(["polish", str(averaged.folder), "--rounds", "1", "--folds", "10", "--no-poses", "--json"]) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert {SPECIES, "TS_01", "TS_02"} < set(items)
    (item,) = [one for one in items.values() if "mode" in one["quality"]]
    again = polish(scene().ensemble, params=PolishParams(**HASTE))
    assert item["quality"]["species"][SPECIES]["resolution_ang"] == pytest.approx(
        again.quality["species"][SPECIES]["resolution_ang"], rel=1e-3
    )
    for name, alignment in again.alignments.items():
        assert items[name]["quality"]["bending_rms_ang"] == pytest.approx(
            alignment.quality["bending_rms_ang"], rel=0.01
        )
        assert np.abs(alignment.shift_ang_yx - scene().ensemble.alignments[name].shift_ang_yx).max() > 4.0
        stored = averaged.load(Alignment, name)
        points = np.array([[100.0, 300.0, -200.0], [0.0, -500.0, 400.0]])
        np.testing.assert_allclose(stored.project(points)[0], alignment.project(points)[0], atol=0.02)
        assert averaged.load(CtfSeries, name).hand == -1
    (job,) = [one for one in averaged.jobs() if one.stage == "polish"]
    drawn = {file.name for file in averaged.job_folder(job.number).rglob("*.png")}
    assert {"fsc.png", "shifts.png", f"slices_{SPECIES}.png"} <= drawn
