"""Averages of a project go back into its tomograms: the command and the function give the same."""

import json

import numpy as np
import pytest

from napari_tomoflow.cli.main import main
from napari_tomoflow.core.model import Average, Dataset, MappedBack, ParticleSet, TiltSeries, Tomogram
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.core.stages.map_back import MapBackParams, map_back
from napari_tomoflow.project import run
from unit.mapping_back import placed as sample
from unit.project import fake_stages as fake

COUNT = 5


class FillParams(Params):
    """Nothing to choose."""


def fill(series: TiltSeries, params: FillParams, report: Report = silent) -> Tomogram:
    """Make an empty tomogram."""
    return sample.tomogram().replace(name=series.name)


def strew(tomogram: Tomogram, params: FillParams, report: Report = silent) -> ParticleSet:
    """Strew particles over a tomogram."""
    return sample.ensemble(COUNT, tomograms=(tomogram.name,), seed=ord(tomogram.name[-1])).particles


class SumUpParams(Params):
    """What is averaged."""

    species: str = param("hook", help="What the particles are.")


def sum_up(data: Dataset, params: SumUpParams, report: Report = silent) -> Average:
    """Know the average beforehand."""
    return Average(map=sample.average(), particles=data.particles)


@pytest.fixture
def averaged(tmp_path):
    """Make a project with the series A and B, their tomograms, and an average of hooks in both."""
    project = fake.project_with_series(tmp_path / "p", "A", "B")
    run(project, fake.MEASURE, fake.MeasureParams())
    for stage in (fill, strew):
        run(project, Stage.of(stage, version=1), FillParams())
    run(project, Stage.of(sum_up, version=1), SumUpParams())
    return project


def test_command_places_in_every_tomogram_what_the_function_places(averaged, capsys):
    assert main(["map-back", str(averaged.folder), "--colour-by", "score", "--json"]) == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert {name: item["quality"]["n_placed"] for name, item in items.items()} == {"A": COUNT, "B": COUNT}
    for name in "AB":
        stored = averaged.load(MappedBack, name)
        given = sample.ensemble(COUNT, tomograms=(name,), seed=ord(name))
        again = map_back(averaged.load(Tomogram, name), given, params=MapBackParams(colour_by="score"))
        np.testing.assert_allclose(stored.painted[:], again.painted, atol=1e-5)
        np.testing.assert_array_equal(stored.labels[:], again.labels)
        folder = averaged.find(MappedBack, name)
        for file in ("map_back.cxc", "artiax.cxc", "artiax_hook.star", "placed.png", "neighbours.png"):
            assert (folder / file).stat().st_size > 0, file


def test_one_tomogram_and_one_species_can_be_asked_for(averaged, capsys):
    assert main(["map-back", str(averaged.folder), "--series", "B", "--species", "hook", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["items"]) == ["B"]
    assert main(["map-back", str(averaged.folder), "--species", "hook,vault"]) == 2
    assert "There is no average of vault" in capsys.readouterr().err


def test_no_tomogram_or_no_average_is_said_in_one_line(tmp_path, capsys):
    project = fake.project_with_series(tmp_path / "p", "A")
    assert main(["map-back", str(project.folder)]) == 2
    assert "run `tomoflow" in capsys.readouterr().err
