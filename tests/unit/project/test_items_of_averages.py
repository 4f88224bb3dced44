"""A stage that works on averages has the species for its items."""

import numpy as np
import pytest

from half_maps import atoms, with_noise
from napari_tomoflow.core.averaging import map_comparison
from napari_tomoflow.core.averaging.symmetry_axis import Frame
from napari_tomoflow.core.errors import MissingError
from napari_tomoflow.core.model import DensityMap, FinishedMap, ParticleSet
from napari_tomoflow.core.ops.so3 import rotation_z
from napari_tomoflow.core.stages.align_map import ALIGN_MAP, AlignMapParams
from napari_tomoflow.core.stages.postprocess import POSTPROCESS, PostprocessParams
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.project import Project, run
from napari_tomoflow.project.plan import Request, make_plan
from unit.project import fake_stages as fake


@pytest.fixture
def averaged(small_project):
    """Average two species (jobs 6 and 7) of the series A and B."""
    run(small_project, fake.MEASURE, fake.MeasureParams())
    run(small_project, fake.SPOT, fake.SpotParams())
    run(small_project, fake.SPOT, fake.SpotParams(species="blot", n=2))
    for species in ("spot", "blot"):
        run(small_project, fake.JOIN, fake.JoinParams(species=species))
    return small_project


def jobs_of(project, series=(), from_job=None, **params):
    plan = make_plan(project, Request(POSTPROCESS, PostprocessParams(**params), tuple(series), (), from_job))
    return {name: {given: reference.job for given, reference in item.items()} for name, item in plan.items.items()}


def test_every_average_is_an_item_unless_some_are_named(averaged):
    assert jobs_of(averaged) == {"spot": {"map": 6}, "blot": {"map": 7}}
    assert jobs_of(averaged, species="blot") == {"blot": {"map": 7}}
    assert jobs_of(averaged, species="blot, spot") == {"blot": {"map": 7}, "spot": {"map": 6}}
    assert jobs_of(averaged, series=["spot"]) == {"spot": {"map": 6}}
    assert jobs_of(averaged, from_job=6) == {"spot": {"map": 6}}


def test_a_map_of_a_file_is_one_item_of_its_own(averaged, tmp_path):
    for name in ("one", "two"):
        write_mrc(tmp_path / f"{name}.mrc", np.ones((4, 4, 4), np.float32), 3.0)
    one, two = tmp_path / "one.mrc", tmp_path / "two.mrc"
    (item,) = jobs_of(averaged, map=one, other_half=two).items()
    assert item[0] == "one"
    assert (item[1]["map"], item[1]["other_half"]) == (None, None)
    assert list(jobs_of(averaged, map=one, name="barrel")) == ["barrel"]


def test_what_has_no_average_is_named(averaged, small_project):
    with pytest.raises(MissingError, match="no average of clot in"):
        jobs_of(averaged, species="clot")


def test_a_project_without_averages_says_what_to_run(small_project):
    with pytest.raises(MissingError, match="holds no average yet; run `tomoflow refine` first, or name a file"):
        jobs_of(small_project)


def test_half_maps_of_other_programs_are_finished_in_a_project_without_series(tmp_path):
    rng = np.random.default_rng(0)
    for name, half in zip("ab", with_noise(atoms(24, 3.0, 100.0, rng, count=300), 0.01, rng), strict=True):
        write_mrc(tmp_path / f"{name}.mrc", half, 3.0)
    project = Project.create(tmp_path / "p")
    params = PostprocessParams(map=tmp_path / "a.mrc", other_half=tmp_path / "b.mrc", name="barrel")
    record = run(project, POSTPROCESS, params)
    assert record.status == "done"
    assert project.load(FinishedMap, "barrel").quality["resolution_ang"] < 12.0
    assert project.series() == ()
    # It is sharpened: to begin a refinement with it would be to align to its noise.
    assert project.find(DensityMap, "barrel") is None


def test_an_average_without_halves_fails_with_a_sentence(averaged):
    record = run(averaged, POSTPROCESS, PostprocessParams(species="spot"))
    assert record.items["spot"].error.startswith("spot has no halves; refine it")


def aligned_jobs(project, **params):
    ((name, inputs),) = make_plan(project, Request(ALIGN_MAP, AlignMapParams(**params))).items.items()
    return name, {given: reference.job for given, reference in inputs.items() if not given.startswith("params")}


def test_an_average_is_aligned_with_its_particles_and_goes_on_with_them(averaged, tmp_path, monkeypatch):
    write_mrc(tmp_path / "target.mrc", np.ones((4, 4, 4), np.float32), 5.0)
    turn = Frame(rotation_z(90.0), np.array([2.0, 0.0, 0.0]))
    monkeypatch.setattr(map_comparison, "compare_and_align", lambda *_: (turn, {"correlation_after": 1.0}))
    params = {"species": "spot", "target": tmp_path / "target.mrc"}
    assert aligned_jobs(averaged, **params) == ("spot", {"map": 6, "particles": 6, "target": None})
    before = averaged.load(ParticleSet, "spot")
    record = run(averaged, ALIGN_MAP, AlignMapParams(**params))
    assert record.items["spot"].outputs == {"DensityMap": "map.mrc", "ParticleSet": "particles.star"}
    after = averaged.load(ParticleSet, "spot")
    np.testing.assert_allclose(after.matrices, before.matrices @ turn.rotation, atol=1e-6)
    moved = before.matrices @ (turn.shift_px_xyz * 5.0)
    np.testing.assert_allclose(after.centers_ang_zyx, before.centers_ang_zyx + moved[:, ::-1], atol=1e-3)
    joined = make_plan(averaged, Request(fake.JOIN, fake.JoinParams(species="spot"))).items["spot"]
    assert {given: joined[given].job for given in joined if "Particle" in given or "reference" in given} == {
        "data.ParticleSet.spot": record.number, "reference": record.number,
    }  # fmt: skip
    assert {"data.TiltSeries.A", "data.TiltSeries.B"} <= set(joined)


def test_particles_of_the_other_hand_or_of_another_map_are_left_out(averaged, tmp_path):
    record = run(averaged, ALIGN_MAP, AlignMapParams(species="spot", flip=True))
    assert record.items["spot"].outputs == {"DensityMap": "map.mrc"}
    assert averaged.load(DensityMap, "spot").quality["flipped"]
    assert aligned_jobs(averaged, species="spot", symmetry="C2") == ("spot", {"map": record.number})
    write_mrc(tmp_path / "spot.mrc", np.ones((4, 4, 4), np.float32), 5.0)
    assert aligned_jobs(averaged, map=tmp_path / "spot.mrc", flip=True) == ("spot", {"map": None})
