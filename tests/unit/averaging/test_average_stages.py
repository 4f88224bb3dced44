"""What the stages that average ask for, and what they say when they do not get it."""

import numpy as np
import pytest

from contracts.samples import inputs_of
from napari_tomoflow.core.averaging.selection import diameter_ang_of, of_species, without_worst
from napari_tomoflow.core.errors import DataError, MissingError, ParamError
from napari_tomoflow.core.model import DensityMap, ParticleSet
from napari_tomoflow.core.stages.initial_model import INITIAL_MODEL, InitialModelParams, initial_model
from napari_tomoflow.core.stages.refine import RefineParams, refine


@pytest.fixture
def dataset():
    data = inputs_of(INITIAL_MODEL)["dataset"]
    species = np.where(np.arange(len(data.particles)) < 5, "barrel", "ribosome")
    return data.replace(particles=data.particles.replace(features={"species": species}))


def test_only_the_species_asked_for_is_averaged(dataset):
    assert len(of_species(dataset, "barrel").particles) == 5
    assert len(of_species(dataset, "").particles) == len(dataset.particles)
    unnamed = dataset.replace(particles=dataset.particles.replace(features={}))
    assert len(of_species(unnamed, "barrel").particles) == len(dataset.particles)


def test_too_few_particles_are_named_and_counted(dataset):
    with pytest.raises(DataError, match="0 particles of the species hook are too few"):
        initial_model(dataset, params=InitialModelParams(species="hook", diameter_ang=100.0))


def test_the_diameter_is_taken_from_the_picks_or_asked_for(dataset):
    known = ParticleSet(centers_ang_zyx=np.zeros((2, 3)), features={"radius_ang": np.array([50.0, 60.0])})
    assert diameter_ang_of(known) == 120.0
    with pytest.raises(ParamError, match="give diameter_ang"):
        initial_model(dataset)


def test_refinement_asks_for_a_map_to_begin_with(dataset):
    with pytest.raises(MissingError, match="initial-model"):
        refine(dataset, params=RefineParams(diameter_ang=100.0))


@pytest.mark.parametrize("which", ["reference", "mask"])
def test_an_empty_map_is_refused(dataset, which):
    n = 16
    maps = {
        name: DensityMap(name=name, volume=np.full((n, n, n), float(name != which), np.float32), voxel_ang=10.0)
        for name in ("reference", "mask")
    }
    with pytest.raises(DataError, match=f"{which}.* empty"):
        refine(dataset, **maps, params=RefineParams(diameter_ang=100.0))


@pytest.mark.parametrize("params", [InitialModelParams, RefineParams])
def test_a_group_that_does_not_exist_and_an_odd_box_are_refused(params):
    with pytest.raises(ParamError, match="no point group 'Q3'"):
        params(symmetry="Q3")
    with pytest.raises(ParamError, match="odd"):
        params(box_px=33)


def test_particles_far_below_the_rest_do_not_count_however_many():
    rng = np.random.default_rng(0)
    score = rng.normal(0.07, 0.003, 60)
    score[:8] = 0.005
    particles = ParticleSet(centers_ang_zyx=np.zeros((60, 3)), score=score, half=np.arange(60) % 2 + 1)
    weights = without_worst(particles, 0.0)
    assert not weights[:8].any()
    assert weights[8:].all()
    assert without_worst(particles, 0.5).sum() == 30


def test_classes_of_a_first_map_share_out_the_particles_and_begin_what_follows(dataset):
    few = {"diameter_ang": 100.0, "iterations": 10, "starts": 1, "lots": 2}
    found = initial_model(dataset, params=InitialModelParams(classes=2, name="mixed", **few))
    assert (
        [one.map.name for one in found.classes] == list(found.parts()) == ["mixed_1", "mixed_2"][: len(found.classes)]
    )
    np.testing.assert_array_equal(found.particles.ids, dataset.particles.ids)
    for number, one in enumerate(found.classes, 1):
        np.testing.assert_array_equal(one.particles.ids, found.particles.ids[found.particles.class_ids == number])
    assert sum(one["particles"] for one in found.quality["classes"]) == len(dataset.particles)
    np.testing.assert_array_equal(found.map.volume, found.classes[0].map.volume)
    first = refine(
        dataset.replace(particles=found.particles),
        found.map,
        params=RefineParams(diameter_ang=100.0, only_class=1, iterations=1),
    )
    assert len(first.particles) == len(found.classes[0].particles)


def test_classes_have_no_symmetry_in_common():
    with pytest.raises(ParamError, match="2 classes do not all have the symmetry D7"):
        InitialModelParams(classes=2, symmetry="D7")
