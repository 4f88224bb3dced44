"""Where two kinds of particles lie side by side, each is found as what it is."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_tomoflow.core.simulation.molecules import proteasome, ribosome
from napari_tomoflow.core.stages.match import MatchParams, match
from truth import matched_scene

PARAMS = MatchParams(angular_step_deg=30.0, false_positives=5.0)
KINDS = (ribosome, proteasome)


@pytest.fixture(scope="module")
def mixed():
    tomogram, places, _ = matched_scene.scene(noise=0.4, kinds=KINDS)
    templates = [matched_scene.template(kind()) for kind in KINDS]
    return tomogram, [places[number::2] for number in range(2)], templates


def on(picks, places):
    """Tell which picks lie on one of some places."""
    return cKDTree(places).query(picks.centers_ang_zyx)[0] < 100.0


def test_what_resembles_a_rival_more_is_left_out_and_counted(mixed):
    tomogram, (ribosomes, proteasomes), (large, small) = mixed
    alone = match(tomogram, small, params=PARAMS)
    assert np.sum(on(alone, ribosomes)) >= 4, "a ribosome resembles a proteasome more than noise does"
    together = match(tomogram, small, rivals=(large,), params=PARAMS)
    assert np.sum(on(together, ribosomes)) <= 1
    assert np.sum(on(together, proteasomes)) == np.sum(on(alone, proteasomes)) >= 4
    assert together.quality["removed"]["claimed_by_rivals"] == {large.name: len(alone) - len(together)}
    assert together.quality["particles"] == len(together)
    claimed = np.isfinite(together.features["rival_z"])
    assert np.all(together.features["rival_z"][claimed] < together.features["z"][claimed])


def test_a_rival_that_is_not_there_takes_nothing_away(mixed):
    tomogram, (ribosomes, _), (large, small) = mixed
    kept = match(tomogram, large, rivals=(small,), params=PARAMS)
    assert np.sum(on(kept, ribosomes)) == len(ribosomes)
