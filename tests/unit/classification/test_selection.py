"""Particles of one class go on alone."""

import numpy as np
import pytest

from contracts.samples import inputs_of
from napari_tomoflow.core.averaging.selection import of_species
from napari_tomoflow.core.errors import ParamError
from napari_tomoflow.core.stages.classify import CLASSIFY


@pytest.fixture
def dataset():
    data = inputs_of(CLASSIFY)["dataset"]
    classes = np.where(np.arange(len(data.particles)) < 6, 2, 1)
    return data.replace(particles=data.particles.replace(class_ids=classes))


def test_only_the_class_asked_for_is_taken(dataset):
    assert len(of_species(dataset, "", 2).particles) == 6
    assert len(of_species(dataset, "", 1).particles) == len(dataset.particles) - 6
    assert len(of_species(dataset, "").particles) == len(dataset.particles)


def test_a_class_that_is_not_there_is_refused_with_those_that_are(dataset):
    with pytest.raises(ParamError, match="No particle is of class 3; choose from 1, 2"):
        of_species(dataset, "", 3)
