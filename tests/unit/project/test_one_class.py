"""A class of a species may go on under a name of its own."""

import pytest

from napari_tomoflow.core.stages.refine import REFINE, RefineParams
from napari_tomoflow.project import run
from napari_tomoflow.project.plan import Request, make_plan
from unit.project import fake_stages as fake


@pytest.fixture
def averaged(small_project):
    """Average a species (job 5) of the series A and B."""
    run(small_project, fake.MEASURE, fake.MeasureParams())
    run(small_project, fake.SPOT, fake.SpotParams())
    run(small_project, fake.JOIN, fake.JoinParams(species="spot"))
    return small_project


def particles_of(project, **params):
    plan = make_plan(project, Request(REFINE, RefineParams(**params)))
    return {
        item: sorted({given.split(".")[2] for given in inputs if ".ParticleSet." in given})
        for item, inputs in plan.items.items()
    }


def test_a_class_under_a_new_name_is_taken_from_the_species(averaged):
    assert particles_of(averaged, species="spot") == {"spot": ["spot"]}
    assert particles_of(averaged, species="spot", only_class=2) == {"spot": ["spot"]}
    assert particles_of(averaged, species="spot", only_class=2, name="spot_2") == {"spot_2": ["spot"]}


def test_a_new_name_alone_begins_with_the_picks(averaged):
    assert particles_of(averaged, species="spot", name="other") == {"other": ["A", "B"]}
