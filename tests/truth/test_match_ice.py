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


def ice(seed):
    """Take empty ice from electrons to a tomogram: (tomogram, all that is known of it)."""
    made = simulate(SimulateParams(seed=seed, size_px=160, pixel_ang=15.0, thickness_nm=80.0, **EMPTY))
    params = ReconstructParams(weighting="ramp", thickness_ang=800.0, voxel_ang=15.0, ctf="strips")
    tomogram = reconstruct(made.series, made.alignment, ctf=made.ctf, params=params)
    return tomogram, {"series": made.series, "alignment": made.alignment, "ctf": made.ctf}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_as_many_false_ones_are_found_in_ice_as_are_expected():
    template = matched_scene.template()
    found = np.zeros(len(EXPECTED))
    for seed in SEEDS:
        tomogram, known = ice(seed)
        for number, expected in enumerate(EXPECTED):
            params = MatchParams(angular_step_deg=15.0, false_positives=expected)
            picks = match(tomogram, template, **known, params=params)
            assert picks.quality["sampling"] == "tilts, exposure and CTF"
            found[number] += len(picks)
    expected = len(SEEDS) * np.array(EXPECTED)
    assert np.all(found <= 3 * expected), found
    assert np.all(found >= expected / 3), found
