"""How long a bundle adjustment takes, against a general-purpose solver on the same problem."""

import time

import numpy as np
import pytest
from scipy.optimize import least_squares

from napari_tomoflow.core.alignment.bundle import solve_bundle
from napari_tomoflow.core.alignment.bundle_model import BundleModel, Freedom, Parameters
from napari_tomoflow.core.alignment.bundle_robust import Problem
from reference.bead_series import bead_series

PLAIN = BundleModel(
    axis=Freedom("per tilt"), tilt=Freedom("grouped", 5), magnification=Freedom("grouped", 5), robust=False
)


def _fastest(function, repeats=3):
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        function()
        seconds.append(time.process_time() - started)
    return min(seconds)


@pytest.mark.slow
@pytest.mark.parametrize(("n_tilts", "n_beads"), [(41, 12), (60, 20), (60, 100), (120, 200)])
def test_bundle_takes_less_than_a_second_for_60_tilts_of_20_beads(n_tilts, n_beads):
    series = bead_series(1, n_beads=n_beads, n_tilts=n_tilts)
    seconds = {
        name: _fastest(lambda model=model: solve_bundle(series.observations, series.start, model))
        for name, model in (("robust", BundleModel()), ("plain", PLAIN))
    }
    print(f"\n{n_tilts} tilts × {n_beads} beads: " + ", ".join(f"{name} {s:.3f} CPU-s" for name, s in seconds.items()))  # noqa: T201
    if n_tilts * n_beads <= 1200:
        assert max(seconds.values()) < 1.0


@pytest.mark.slow
def test_bundle_beats_a_general_solver_by_ten():
    """The same residuals, points eliminated alike, through scipy with numeric derivatives."""
    series = bead_series(1, n_beads=20, n_tilts=60, outliers=0.0)
    seen = series.observations
    problem = Problem(Parameters.of(PLAIN, series.start, 1000.0), seen.tilt, seen.point, seen.position_ang_yx[:, ::-1])
    weight, n_free = np.ones(len(seen.tilt)), problem.parameters.basis.shape[2]
    pins = problem.parameters.pins * np.sqrt(len(weight))

    def residuals(q):
        return np.concatenate([problem.fit(q, weight).residual_ang.ravel(), pins @ q])

    found = {}
    general_s = _fastest(lambda: found.update(q=least_squares(residuals, np.zeros(n_free), x_scale="jac").fun), 1)
    ours_s = _fastest(lambda: found.update(bundle=solve_bundle(seen, series.start, PLAIN)))
    general_rms = np.sqrt(np.sum(found["q"] ** 2) / len(weight))
    print(f"\nscipy.optimize.least_squares {general_s:.2f} CPU-s, ours {ours_s:.3f} CPU-s: {general_s / ours_s:.0f} ×")  # noqa: T201
    assert found["bundle"].rms_ang == pytest.approx(general_rms, rel=1e-4)
    assert general_s > 10 * ours_s
