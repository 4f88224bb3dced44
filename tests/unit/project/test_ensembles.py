"""Stages that take averages with their particles, and what they give back to species and series."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import MissingError, ParamError
from napari_tomoflow.core.model import Alignment, DensityMap, ParticleSet, Polished
from napari_tomoflow.project import run
from napari_tomoflow.project.particles import particles_in
from napari_tomoflow.project.plan import Request, make_plan
from napari_tomoflow.project.record import write_record
from unit.project import fake_stages as fake


@pytest.fixture
def averaged(small_project):
    """Average the species spot (job 5) and blot (job 7) of the series A and B."""
    run(small_project, fake.MEASURE, fake.MeasureParams())
    for species, count in (("spot", 3), ("blot", 2)):
        run(small_project, fake.SPOT, fake.SpotParams(species=species, n=count))
        run(small_project, fake.JOIN, fake.JoinParams(species=species))
    return small_project


def jobs_of(project, params, **request):
    ((_, inputs),) = make_plan(project, Request(fake.SHINE, params, **request)).items.items()
    return {given: reference.job for given, reference in inputs.items()}


def test_an_ensemble_is_every_average_with_its_particles_and_what_shows_them(averaged):
    assert jobs_of(averaged, fake.ShineParams()) == {
        "ensemble.DensityMap.spot": 5, "ensemble.ParticleSet.spot": 5,
        "ensemble.DensityMap.blot": 7, "ensemble.ParticleSet.blot": 7,
        "ensemble.TiltSeries.A": 1, "ensemble.Alignment.A": 3,
        "ensemble.TiltSeries.B": 2, "ensemble.Alignment.B": 3,
    }  # fmt: skip
    assert "ensemble.DensityMap.spot" not in jobs_of(averaged, fake.ShineParams(species="blot"))
    assert "ensemble.DensityMap.spot" in jobs_of(averaged, fake.ShineParams(species="blot, spot"))


def test_what_it_makes_goes_to_the_species_and_the_series(averaged):
    record = run(averaged, fake.SHINE, fake.ShineParams())
    assert {name: item.outputs for name, item in record.items.items()} == {
        "shine": {"Polished": "polished.json"},
        "spot": {"DensityMap": "map.mrc", "ParticleSet": "particles.star"},
        "blot": {"DensityMap": "map.mrc", "ParticleSet": "particles.star"},
        "A": {"Alignment": "alignment.star"},
        "B": {"Alignment": "alignment.star"},
    }
    assert averaged.load(Alignment, "A").axis_deg[0] == 6
    assert np.asarray(averaged.load(DensityMap, "spot").volume)[0, 0, 0] == 16
    assert averaged.load(ParticleSet, "blot").tomogram.tolist() == ["A", "A", "B", "B"]
    assert averaged.table()["A"]["shine"].quality == {"turned_deg": 1.0}
    assert averaged.series() == ("A", "B")
    whole = averaged.load(Polished, "shine")
    assert list(whole.averages) == ["spot", "blot"]
    assert whole.alignments["B"].axis_deg[0] == 6


def test_it_can_be_done_again_upon_its_own_result_and_goes_stale_with_it(averaged):
    run(averaged, fake.SHINE, fake.ShineParams())
    assert not averaged.table()["spot"]["shine"].stale
    again = jobs_of(averaged, fake.ShineParams(turn_deg=2))
    assert {again[key] for key in again if "TiltSeries" not in key} == {8}
    run(averaged, fake.SHINE, fake.ShineParams(turn_deg=2))
    assert averaged.load(Alignment, "A").axis_deg[0] == 8
    assert averaged.find(Alignment, "A", from_job=8) == averaged.job_folder(8) / "A"
    run(averaged, fake.MEASURE, fake.MeasureParams(axis_deg=1))
    table = averaged.table()
    assert table["A"]["shine"].stale
    assert table["spot"]["shine"].stale


def test_the_newest_average_is_taken_unless_a_job_is_named(averaged):
    run(averaged, fake.SHINE, fake.ShineParams(species="spot"))
    assert jobs_of(averaged, fake.ShineParams(turn_deg=2))["ensemble.DensityMap.spot"] == 8
    assert jobs_of(averaged, fake.ShineParams(turn_deg=2), from_job=5) == {
        "ensemble.DensityMap.spot": 5, "ensemble.ParticleSet.spot": 5,
        "ensemble.TiltSeries.A": 1, "ensemble.Alignment.A": 3,
        "ensemble.TiltSeries.B": 2, "ensemble.Alignment.B": 3,
    }  # fmt: skip


def test_species_that_are_named_come_along_from_wherever_they_were_averaged(averaged):
    run(averaged, fake.SHINE, fake.ShineParams(species="blot"))
    beside = jobs_of(averaged, fake.ShineParams(species="spot, blot", turn_deg=2), from_job=5)
    assert {key: job for key, job in beside.items() if "spot" in key or "blot" in key} == {
        "ensemble.DensityMap.spot": 5, "ensemble.ParticleSet.spot": 5,
        "ensemble.DensityMap.blot": 8, "ensemble.ParticleSet.blot": 8,
    }  # fmt: skip
    assert (beside["ensemble.Alignment.A"], beside["ensemble.Alignment.B"]) == (3, 3)
    with pytest.raises(MissingError, match="no average of clot"):
        jobs_of(averaged, fake.ShineParams(species="spot, clot"), from_job=5)


def test_a_stage_of_single_series_gets_the_particles_of_that_series(averaged):
    run(averaged, fake.BUILD, fake.BuildParams(), series=["A"])
    record = run(averaged, fake.PLACE, fake.PlaceParams())
    assert list(record.items) == ["A"]
    assert "B has no finished Tomogram" in record.left_out[0]
    assert averaged.table()["A"]["place"].quality == {"placed": ["A"], "n": 5}


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({"species": "clot"}, MissingError, "no average of clot"),
        ({"name": "A"}, ParamError, "already"),
        ({"name": "spot"}, ParamError, "already"),
    ],
)
def test_what_cannot_be_gathered_is_said(averaged, params, error, words):
    with pytest.raises(error, match=words):
        run(averaged, fake.SHINE, fake.ShineParams(**params))


def test_without_any_average_the_stage_that_makes_one_is_named(small_project):
    with pytest.raises(MissingError, match="run `tomoflow refine` first"):
        run(small_project, fake.SHINE, fake.ShineParams())


def test_a_lost_part_makes_the_whole_be_done_again(averaged):
    """A job that ended by half is taken up again; what it has lost since is no longer said to be there."""
    record = run(averaged, fake.SHINE, fake.ShineParams())
    folder = averaged.job_folder(record.number)
    (folder / "A" / "alignment.star").unlink()
    write_record(record.replace(status="cancelled"), folder)
    assert averaged.job(record.number).status == "cancelled"
    again = run(averaged, fake.SHINE, fake.ShineParams())
    assert (again.number, again.status) == (record.number, "done")
    assert (folder / "A" / "alignment.star").exists()


def test_all_particles_of_a_series_are_its_refined_ones_and_what_nobody_has_averaged(averaged):
    run(averaged, fake.SPOT, fake.SpotParams(species="clot", n=4))
    held = particles_in(averaged, averaged.lineage(), "A")
    assert dict(zip(*np.unique(held.features["species"], return_counts=True), strict=True)) == {
        "blot": 2, "clot": 4, "spot": 3
    }  # fmt: skip
    assert set(held.tomogram) == {"A"}
    assert np.isnan(held.score[held.features["species"] == "clot"]).all()
    assert (held.score[held.features["species"] == "spot"] == 1.0).all(), "averaging gave them scores"


def test_what_is_picked_anew_stands_in_place_of_what_was_refined(averaged):
    run(averaged, fake.SPOT, fake.SpotParams(species="spot", n=5))
    held = particles_in(averaged, averaged.lineage(), "A")
    assert np.sum(held.features["species"] == "spot") == 5
    assert np.sum(held.features["species"] == "blot") == 2
    assert particles_in(averaged, averaged.lineage(), "nowhere") is None
    of_first = particles_in(averaged, averaged.lineage(), "A", from_job=5)
    assert (of_first.score == 1.0).all()
