"""What picks lie on is told apart, and the curves count it."""

import numpy as np

from benchmarks.bench_picking import draw, judge
from napari_tomoflow.core.model import ParticleSet

PLACES = {"P20S": np.array([[0.0, 0, 0], [0, 900, 900]]), "R30S": np.array([[0.0, 400, 0], [0, -400, 0]])}
GOLD = np.array([[0.0, 0, 700]])


def test_every_pick_has_its_cause_and_none_counts_twice():
    centres = [[0, 10, 0], [0, 0, 30], [0, 405, 10], [5, 0, 690], [0, -700, -700]]
    picks = ParticleSet(
        centers_ang_zyx=np.array(centres, float),
        score=np.array([9.0, 8, 7, 6, 5]),
        features={"expected_false": np.array([0.1, 0.2, 0.3, 0.4, 8.0])},
    )
    judged = judge(picks[np.array([3, 0, 4, 2, 1])], PLACES, "P20S", GOLD, np.array([950.0, 950.0]))
    assert judged.cause.tolist() == ["own", "nothing", "other species", "gold", "nothing"]
    assert judged.total == 1, "the other proteasome is cut by the border"
    precision, recall = judged.curve()
    np.testing.assert_allclose(precision, [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])
    np.testing.assert_allclose(recall, 1.0)
    assert judged.at_threshold() == {"own": 1, "nothing": 1, "other species": 1, "gold": 1, "F1": 0.4}
    assert draw({"P20S alone": judged}).axes[0].get_xlabel() == "recall"
