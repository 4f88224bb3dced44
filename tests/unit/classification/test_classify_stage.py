"""What the stage asks for, what it takes from the reference, and what it gives."""

import numpy as np
import pytest

from contracts.samples import inputs_of, params_of
from napari_tomoflow.core.errors import DataError, ParamError
from napari_tomoflow.core.model import DensityMap
from napari_tomoflow.core.stages.classify import CLASSIFY, ClassifyParams, classify


@pytest.fixture
def dataset():
    return inputs_of(CLASSIFY)["dataset"]


@pytest.fixture
def small():
    return params_of(CLASSIFY)


def scored(dataset):
    score = np.random.default_rng(3).normal(0.2, 0.02, len(dataset.particles))
    return dataset.replace(particles=dataset.particles.replace(score=score))


def test_what_is_kept_by_score_is_class_1_however_few_it_is(dataset, small):
    classes = classify(scored(dataset), params=small.replace(method="score", keep=0.3))
    corrected, kept = classes.particles.features["corrected_score"], classes.particles.class_ids == 1
    assert 4 <= kept.sum() < 10
    assert corrected[kept].min() > corrected[~kept].max()
    assert "stability" not in classes.quality


def test_a_handful_that_score_low_go_back_to_the_others(dataset, small):
    classes = classify(scored(dataset), params=small.replace(method="score", keep=0.95))
    assert len(classes.maps) == 1
    assert (classes.particles.class_ids == 1).all()


def test_symmetry_voxel_and_mask_are_those_of_the_reference(dataset, small):
    mask = np.zeros((24, 24, 24), np.float32)
    mask[6:18, 6:18, 6:18] = 1.0
    reference = DensityMap(name="ball", volume=mask.copy(), voxel_ang=20.0, symmetry="C2", mask=mask)
    classes = classify(dataset, reference, params=small.replace(method="pca", repeats=1))
    assert {one.symmetry for one in classes.maps} == {"C2"}
    assert {one.voxel_ang for one in classes.maps} == {20.0}
    box = classes.maps[0].mask
    assert box[12, 12, 12] == 1.0
    assert box[12, 12, 1] == 0.0
    assert classes.maps[0].name == "ball class 1"


def test_probabilities_add_up_and_replace_those_of_before(dataset, small):
    before = dataset.particles.replace(features={"probability_7": np.ones(len(dataset.particles))})
    particles = classify(dataset.replace(particles=before), params=small.replace(method="pca")).particles
    columns = [name for name in particles.features if name.startswith("probability_")]
    assert "probability_7" not in columns
    np.testing.assert_allclose(sum(particles.features[name] for name in columns), 1.0)


def test_an_empty_mask_and_a_group_that_does_not_exist_are_refused(dataset, small):
    empty = DensityMap(name="mask", volume=np.zeros((16, 16, 16), np.float32), voxel_ang=10.0)
    with pytest.raises(DataError, match="The mask is empty"):
        classify(dataset, mask=empty, params=small)
    with pytest.raises(ParamError, match="no point group 'Q3'"):
        ClassifyParams(symmetry="Q3")


def test_more_classes_than_particles_can_fill_are_refused(dataset, small):
    with pytest.raises(DataError, match="20 particles are too few for 6 classes; ask for at most 5"):
        classify(dataset, params=small.replace(classes=6))


def test_particles_without_scores_are_sent_to_refinement(dataset, small):
    with pytest.raises(DataError, match="run `tomoflow refine` first"):
        classify(dataset, params=small.replace(method="score"))
