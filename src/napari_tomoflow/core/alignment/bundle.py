"""One bundle adjustment for beads, landmarks and patches: from measured positions to a geometry.

The fitted residual falls with every parameter that is freed and says nothing of the error. Beside it
stands the *leave-out* residual: how far each observation lies from where all the others predict it.
It follows from the hat matrix of the one fit, and models are compared by it alone (`choose_model`).

Legend: N tilts, P points, M observations, Q free variables.

References
----------
.. [1] Golub, G. & Pereyra, V. Inverse Problems 19 (2003) R1, §2-3 (variable projection),
   doi:10.1088/0266-5611/19/2/201.
.. [2] Triggs, B. et al. Bundle adjustment: a modern synthesis (2000), §6 (Schur complement) and §9 (gauge),
   doi:10.1007/3-540-44480-7_21.
"""

from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from napari_tomoflow.core.alignment.bundle_model import COMMON, FIXED, LADDER, BundleModel, Observations
from napari_tomoflow.core.alignment.bundle_result import Bundle, Outcome, Rejected, StandardErrors
from napari_tomoflow.core.alignment.bundle_robust import (
    Problem,
    Solution,
    require_determined,
    require_width,
    solve,
    vector_spread,
)
from napari_tomoflow.core.alignment.bundle_used import Used
from napari_tomoflow.core.model import Alignment
from napari_tomoflow.core.report import Report, part, silent

__all__ = ["Bundle", "Rejected", "StandardErrors", "choose_model", "solve_bundle"]

_STIFF = BundleModel(axis=COMMON, tilt=FIXED)
_STIFF_ROUNDS = 5
_OUTLYING = 3.0  # spreads at which the loss by which models are compared stops growing


def solve_bundle(
    observations: Observations, start: Alignment, model: BundleModel = BundleModel(), report: Report = silent
) -> Bundle:
    """Find the geometry and the points that best explain where the points were seen.

    Parameters
    ----------
    observations : Observations
    start : Alignment
        Where to start; the axis within some 20°, the tilts within some degrees. Its origin, mean tilt
        and mean magnification are kept (see `bundle_model` on the gauge). Tilts not kept are left out.
    model : BundleModel
        Which parameters are free.
    report

    Raises
    ------
    DataError
        The observations do not determine the geometry; the text says what is lacking.
    """
    used = Used.among(observations, start)
    problem = used.problem(observations, start, model)
    # Matrices this small are solved sooner by one thread than divided among several, far sooner on a busy machine.
    with threadpool_limits(1, "blas"):
        solution = _solve(used, problem, observations, start, model, report)
        require_width(solution)
        normal = problem.normal(solution.fit, solution.weight, solution.noise_ang)
        require_determined(problem, normal, np.flatnonzero(used.tilts))
        return Outcome(observations, start, used, problem, solution, normal).bundle()


def _solve(
    used: Used, problem: Problem, observations: Observations, start: Alignment, model: BundleModel, report: Report
) -> Solution:
    if not model.robust:
        return solve(problem, None, report=report)
    # Where few points are seen, a free model bends to an outlier; a stiff one shows it up first. One spread
    # for all tilts shows up a tilt where all is wrong.
    stiff_problem = used.problem(observations, start, _STIFF)
    stiff = solve(stiff_problem, start.n_tilts, rounds=_STIFF_ROUNDS, report=part(report, 0, 2))
    return solve(problem, model.robust_tilts, stiff.weight, report=part(report, 1, 2))


def choose_model(
    observations: Observations,
    start: Alignment,
    ladder: Sequence[BundleModel] = LADDER,
    report: Report = silent,
) -> tuple[BundleModel, Bundle]:
    """Solve a ladder of models and take the simplest whose leave-out residual is as good as the best.

    Parameters
    ----------
    observations : Observations
    start : Alignment
    ladder : sequence of BundleModel
        From the simplest to the freest.
    report

    Notes
    -----
    Each observation counts with its squared leave-out residual, which stops growing at three spreads:
    a model gains nothing by rejecting what it cannot explain. "As good" means that the mean loss per
    tilt exceeds that of the best model by no more than one standard error of the difference, taken
    over tilts because errors within one tilt go together.
    """
    bundles = [
        solve_bundle(observations, start, model, part(report, index, len(ladder))) for index, model in enumerate(ladder)
    ]
    leave_out = np.stack([bundle.leave_out_ang_yx for bundle in bundles])
    common = np.isfinite(leave_out).all(axis=(0, 2))
    length = np.linalg.norm(leave_out[:, common], axis=2)
    loss = np.minimum(length, _OUTLYING * min(map(vector_spread, length))) ** 2
    tilts, index, count = np.unique(observations.tilt[common], return_inverse=True, return_counts=True)
    by_tilt = np.stack([np.bincount(index, one, len(tilts)) for one in loss]) / count
    excess = by_tilt - by_tilt[by_tilt.mean(1).argmin()]
    good = excess.mean(1) <= excess.std(1, ddof=1) / np.sqrt(len(tilts))
    chosen = int(good.argmax())
    return ladder[chosen], bundles[chosen]
