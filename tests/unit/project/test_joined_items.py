"""Stages that join the particles of many series into one item."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import Cancelled, MissingError, ParamError
from napari_tomoflow.core.model import Average, DensityMap, ParticleSet
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.project import record_edit, run
from napari_tomoflow.project.plan import Request, make_plan
from napari_tomoflow.project.services import FolderSteps, batch_pool
from unit.project import fake_stages as fake


@pytest.fixture
def picked(small_project):
    """Align the series A and B (job 3) and find spots in both (job 4)."""
    run(small_project, fake.MEASURE, fake.MeasureParams())
    run(small_project, fake.SPOT, fake.SpotParams())
    return small_project


def jobs_of(plan):
    (item,) = plan.items.items()
    return item[0], {given: reference.job for given, reference in item[1].items()}


def test_one_item_joins_all_series_with_what_shows_them(picked):
    name, jobs = jobs_of(make_plan(picked, Request(fake.JOIN, fake.JoinParams(species="spot"))))
    assert name == "spot"
    assert jobs == {
        "data.ParticleSet.A": 4, "data.ParticleSet.B": 4, "data.TiltSeries.A": 1, "data.TiltSeries.B": 2,
        "data.Alignment.A": 3, "data.Alignment.B": 3,
    }  # fmt: skip


def test_an_average_is_a_map_and_its_particles_and_no_series(picked):
    record = run(picked, fake.JOIN, fake.JoinParams(species="spot"))
    assert record.items["spot"].outputs == {"DensityMap": "map.mrc", "ParticleSet": "particles.star"}
    particles = picked.load(ParticleSet, "spot")
    assert particles.tomogram.tolist() == ["A"] * 3 + ["B"] * 3
    assert len(np.unique(particles.ids)) == 6
    assert picked.load(DensityMap, "spot").voxel_ang == 5.0
    assert picked.series() == ("A", "B")
    assert picked.table()["spot"]["join"].status == "done"


def test_its_particles_are_taken_further_until_a_series_is_picked_anew(picked):
    run(picked, fake.JOIN, fake.JoinParams(species="spot"))
    _, jobs = jobs_of(make_plan(picked, Request(fake.JOIN, fake.JoinParams(species="spot", steps_to_do=1))))
    assert jobs["data.ParticleSet.spot"] == 5
    assert jobs["reference"] == 5
    assert {key for key in jobs if "TiltSeries" in key} == {"data.TiltSeries.A", "data.TiltSeries.B"}
    run(picked, fake.SPOT, fake.SpotParams(n=4), series=["A"])
    _, jobs = jobs_of(make_plan(picked, Request(fake.JOIN, fake.JoinParams(species="spot", steps_to_do=1))))
    assert (jobs["data.ParticleSet.A"], jobs["data.ParticleSet.B"]) == (6, 4)


def test_particles_left_out_by_hand_stay_left_out(picked):
    run(picked, fake.JOIN, fake.JoinParams(species="spot"))
    kept = picked.load(ParticleSet, "spot")[np.arange(6) != 1]
    record_edit(picked, "spot", [kept], note="Left out one.", of_job=5)
    plan = make_plan(picked, Request(fake.JOIN, fake.JoinParams(species="spot", steps_to_do=1)))
    assert jobs_of(plan)[1]["data.ParticleSet.spot"] == 6
    assert jobs_of(plan)[1]["reference"] == 5
    run(picked, fake.JOIN, fake.JoinParams(species="spot", steps_to_do=1))
    assert len(picked.load(ParticleSet, "spot")) == 5
    assert picked.load(ParticleSet, "spot").tomogram.tolist().count("A") == 2


def test_each_species_has_its_picks_and_its_average(picked):
    run(picked, fake.SPOT, fake.SpotParams(species="blot", n=2))
    for species, count in (("spot", 6), ("blot", 4)):
        run(picked, fake.JOIN, fake.JoinParams(species=species))
        assert len(picked.load(ParticleSet, species)) == count
    assert not picked.table()["spot"]["join"].stale
    run(picked, fake.SPOT, fake.SpotParams(species="spot", n=5))
    assert picked.table()["spot"]["join"].stale
    assert not picked.table()["blot"]["join"].stale


def test_the_lineage_of_a_job_leads_through_an_average(picked):
    run(picked, fake.JOIN, fake.JoinParams(species="spot"))
    run(picked, fake.MEASURE, fake.MeasureParams(axis_deg=9))
    run(picked, fake.SPOT, fake.SpotParams(n=9))
    _, jobs = jobs_of(make_plan(picked, Request(fake.JOIN, fake.JoinParams(species="spot"), from_job=5)))
    assert (jobs["data.ParticleSet.spot"], jobs["data.Alignment.A"]) == (5, 3)
    assert picked.find(ParticleSet, "A", from_job=5) == picked.job_folder(4) / "A"


def test_chosen_series_leave_the_others_particles_out(picked):
    run(picked, fake.JOIN, fake.JoinParams(species="spot"), series=["B"])
    assert picked.load(ParticleSet, "spot").tomogram.tolist() == ["B"] * 3


def test_a_file_goes_before_what_the_project_holds(picked, tmp_path):
    write_mrc(tmp_path / "ref.mrc", np.full((4, 4, 4), 7, np.float32), 3.0)
    params = fake.JoinParams(species="spot", reference=tmp_path / "ref.mrc")
    run(picked, fake.JOIN, params)
    run(picked, fake.JOIN, params)
    assert picked.table()["spot"]["join"].quality["begun_with"] == 7


def test_of_two_inputs_of_a_kind_the_second_is_only_ever_a_file(picked, tmp_path):
    """The newest map is what one begins with, never the mask beside it."""
    run(picked, fake.JOIN, fake.JoinParams(species="spot"))
    _, jobs = jobs_of(make_plan(picked, Request(fake.JOIN, fake.JoinParams(species="spot"))))
    assert jobs["reference"] == 5
    assert "mask" not in jobs
    write_mrc(tmp_path / "mask.mrc", np.ones((4, 4, 4), np.float32), 3.0)
    named = fake.JoinParams(species="spot", mask=tmp_path / "mask.mrc")
    _, jobs = jobs_of(make_plan(picked, Request(fake.JOIN, named)))
    assert jobs["reference"] == 5
    assert jobs["mask"] is None


def test_any_number_of_files_can_be_given_for_one_input(picked, tmp_path):
    paths = [tmp_path / f"other{number}.mrc" for number in range(12)]
    for number, path in enumerate(paths):
        write_mrc(path, np.full((4, 4, 4), number, np.float32), 3.0)
    run(picked, fake.JOIN, fake.JoinParams(species="spot", others=tuple(paths)))
    assert picked.table()["spot"]["join"].quality["others"] == list(range(12))
    assert picked.job(5).inputs["spot"]["others.11"].path.endswith("other11.mrc")


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({"species": "clot"}, MissingError, "No particles of the species clot"),
        ({"name": "A"}, ParamError, "named so"),
        ({"name": "x.steps"}, ParamError, "cannot be named"),
    ],
)
def test_what_cannot_be_joined_is_said(picked, params, error, words):
    with pytest.raises(error, match=words):
        run(picked, fake.JOIN, fake.JoinParams(**params))


def test_particles_of_an_unaligned_series_name_the_stage_that_is_missing(small_project):
    run(small_project, fake.SPOT, fake.SpotParams())
    with pytest.raises(MissingError, match="A has no finished Alignment"):
        run(small_project, fake.JOIN, fake.JoinParams())


def test_a_stopped_item_goes_on_from_its_last_step(picked, tmp_path, monkeypatch):
    monkeypatch.setenv(fake.COUNTER, str(tmp_path / "count"))

    def stop_after_two(done, total, doing):
        counted = (tmp_path / "count").read_text().split() if (tmp_path / "count").exists() else []
        if "Averaging" in doing and len(counted) == 2:
            raise Cancelled(doing)

    params = fake.JoinParams(species="spot", steps_to_do=4)
    assert run(picked, fake.JOIN, params, report=stop_after_two).status == "cancelled"
    record = run(picked, fake.JOIN, params)
    assert record.number == 5
    assert (tmp_path / "count").read_text().split() == ["0", "1", "2", "3"]
    assert np.asarray(picked.load(DensityMap, "spot").volume)[0, 0, 0] == 16
    assert not list(picked.job_folder(5).glob("*.steps"))


def test_a_step_that_was_written_by_half_is_no_step(tmp_path):
    steps = FolderSteps(tmp_path / "s")
    assert steps.load("a") is None
    steps.save("a", {"x": np.arange(1000)})
    file = next((tmp_path / "s").iterdir())
    file.write_bytes(file.read_bytes()[:-50])
    assert steps.load("a") is None


def test_workers_share_the_batches_of_a_single_item_and_keep_their_order(picked):
    run(picked, fake.JOIN, fake.JoinParams(species="spot"), workers=2)
    quality = picked.table()["spot"]["join"].quality
    assert quality["means"] == [0, 1, 2, 3, 4]
    assert quality["elsewhere"]


def test_batches_of_one_worker_stay_here():
    with batch_pool(1) as map_batches:
        assert list(map_batches(sum, [[1, 2], [3]])) == [3, 3]


def test_joined_sets_keep_their_columns_and_their_ids_if_they_can():
    one = ParticleSet(centers_ang_zyx=np.zeros((2, 3)), ids=[5, 6], features={"a": np.array([1.0, 2.0])})
    two = ParticleSet(centers_ang_zyx=np.ones((1, 3)), ids=[7], features={"b": np.array(["x"])})
    both = ParticleSet.joined([one, two])
    assert both.ids.tolist() == [5, 6, 7]
    assert both.features["b"].tolist() == ["", "", "x"]
    np.testing.assert_array_equal(both.features["a"], [1, 2, np.nan])
    again = ParticleSet.joined([one, one])
    assert again.ids.tolist() == [0, 1, 2, 3]
    assert again.features["id_before"].tolist() == [5, 6, 5, 6]
    assert len(ParticleSet.joined([])) == 0


def test_an_average_names_its_two_nouns_and_its_classes():
    assert set(Average.__dataclass_fields__) == {"map", "particles", "classes", "quality"}
