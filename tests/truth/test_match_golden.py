"""Another program's score map comes out of ours: GAPSTOP's of a ribosome matched with itself."""

import numpy as np
import pytest

from napari_tomoflow.core.matching.correlation import LocalCorrelation
from napari_tomoflow.core.matching.stencils import Stencils
from napari_tomoflow.core.matching.template import Template
from napari_tomoflow.core.ops.poses import matrices_from_stopgap
from napari_tomoflow.core.report import silent
from napari_tomoflow.io.em import read_em

VOXEL_ANG = 8.704
CENTRE = (24, 24, 24)


@pytest.mark.parametrize(
    ("number", "step"), [(1, 30), pytest.param(0, 20, marks=pytest.mark.slow)], ids=["30 degrees", "20 degrees"]
)
def test_the_score_map_of_gapstop_is_reproduced(shared_data, number, step):
    folder = shared_data("tm_cryocat")
    ribosome, mask, scores, angles = (
        np.asarray(read_em(folder / f"{name}.em"), np.float32)
        for name in ("bin4_voxel2.176_ribosome", "mask48_r22", f"id_{number}_scores", f"id_{number}_angles")
    )
    rotations = matrices_from_stopgap(np.loadtxt(folder / f"AGL_anglist_{step}_deg_c1.csv", delimiter=","))
    template = Template(ribosome, mask, VOXEL_ANG, 44 * VOXEL_ANG, "C1")
    stencils = Stencils(template, mask, VOXEL_ANG, np.ones((48, 48, 25), np.float32))
    best = LocalCorrelation(ribosome, mask).best(stencils, rotations, silent)

    assert np.unravel_index(best.score_zyx.argmax(), (48, 48, 48)) == CENTRE
    assert best.score_zyx[CENTRE] == pytest.approx(scores[CENTRE], rel=0.05)
    assert best.number_zyx[CENTRE] + 1 == angles[CENTRE] == 1
    # Away from the centre theirs turns by linear interpolation, which blurs; towards the borders it is periodic.
    inner = (slice(12, 37),) * 3
    assert np.corrcoef(best.score_zyx[inner].ravel(), scores[inner].ravel())[0, 1] > 0.99
    core = (slice(18, 31),) * 3
    assert np.mean(best.number_zyx[core] + 1 == angles[core]) > 0.6
