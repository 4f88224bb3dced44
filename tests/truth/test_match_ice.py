"""In ice that holds nothing, as many false particles are found as are expected."""

import numpy as np
import pytest

from napari_tomoflow.core.stages.match import MatchParams, match
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct
from napari_tomoflow.core.stages.simulate import SimulateParams, simulate
from truth import matched_scene

SEEDS = (1, 2, 3)
EXPECTED = (1.0, 3.0, 10.0)
EMPTY = {"n_ribosomes": 0, "n_proteasomes": 0, "n_gold": 0, "n_vesicles": 0}


def false_particles(seed, corrected):
    """Number of false particles by the number expected, with the whole chain from electrons to tomogram."""
    made = simulate(SimulateParams(seed=seed, size_px=160, pixel_ang=15.0, thickness_nm=80.0, **EMPTY))
    params = ReconstructParams(weighting="ramp", thickness_ang=800.0, voxel_ang=15.0, ctf=corrected)
    tomogram = reconstruct(made.series, made.alignment, ctf=made.ctf, params=params)
    params = MatchParams(angular_step_deg=15.0, false_positives=3 * max(EXPECTED))
    known = {"series": made.series, "alignment": made.alignment, "ctf": made.ctf}
    picks = match(tomogram, matched_scene.template(), **known, params=params)
    assert picks.quality["sampling"] == "tilts, exposure and CTF"
    return np.array([np.sum(picks.features["expected_false"] <= expected) for expected in EXPECTED])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("corrected", ["none", "strips"])
def test_as_many_false_ones_are_found_in_ice_as_are_expected(corrected):
    found = sum(false_particles(seed, corrected) for seed in SEEDS)
    expected = len(SEEDS) * np.array(EXPECTED)
    assert np.all(found <= 3 * expected), found
    assert np.all(found >= expected / 3), found
