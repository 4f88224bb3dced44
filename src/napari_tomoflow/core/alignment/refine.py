"""Refine shifts by projection matching, each change kept only if held-out matter agrees better."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.matching import (
    Steps,
    measure_steps,
    predict_all_from_features,
    predict_all_from_slab,
)
from napari_tomoflow.core.alignment.prepare import Band, WorkStack
from napari_tomoflow.core.alignment.views import limited_to_common_field, moved, turn_views
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.ops.correlation import band_pass
from napari_tomoflow.core.report import Report, part

Predictor = Literal["slab", "features"]

_PREDICT = {"slab": predict_all_from_slab, "features": predict_all_from_features}

_ALLOWANCE = 0.8
"""Features are preferred if they reach this fraction of the score of the slab."""

_SETTLED_PX = 0.1
"""Refinement ends when tilts would move by less than this, RMS."""


@dataclass(frozen=True)
class Matched:
    """An alignment with what projection matching says of it.

    Attributes
    ----------
    alignment : Alignment
    steps : Steps
        How far each tilt still is from where the others say.
    predictor : {"slab", "features"}
        What the steps were measured with.
    """

    alignment: Alignment
    steps: Steps
    predictor: Predictor

    @property
    def axis_deg(self) -> float:
        """The axis, common to all tilts."""
        return float(self.alignment.axis_deg[0])

    def chosen(self, keep: NDArray[np.bool_]) -> "Matched":
        """Keep some of the tilts."""
        return Matched(self.alignment.rigid_part(keep), Steps(*(column[keep] for column in self.steps)), self.predictor)


class Matcher:
    """Projection matching of one stack in one band of wavelengths."""

    def __init__(self, stack: WorkStack, band: Band, thickness_ang: float) -> None:
        n = stack.side_px
        self.stack = stack
        self.thickness_ang = thickness_ang
        self._weights: NDArray[np.float32] = band_pass((n, n), stack.pixel_ang, band.lowpass_ang, band.highpass_ang)

    def match(self, alignment: Alignment, predictor: Predictor, radius_ang: float, report: Report) -> Matched:
        """Measure how far each tilt is from its prediction."""
        views = limited_to_common_field(turn_views(self.stack, alignment))
        predicted = _PREDICT[predictor](views, self.thickness_ang, part(report, 0, 2))
        radius_px = radius_ang / self.stack.pixel_ang
        steps = measure_steps(views, predicted, self._weights, radius_px, part(report, 1, 2))
        return Matched(alignment, steps, predictor)

    def better_predictor(self, alignment: Alignment, radius_ang: float, report: Report) -> Matched:
        """Match with either predictor and keep the one that held-out matter speaks for.

        Close neighbours look alike even along a slow drift, which flatters the slab; features must fit
        over all tilts, so they are given an allowance.
        """
        slab = self.match(alignment, "slab", radius_ang, part(report, 0, 2))
        features = self.match(alignment, "features", radius_ang, part(report, 1, 2))
        return features if features.steps.score > _ALLOWANCE * slab.steps.score else slab


def refine_shifts(
    matcher: Matcher,
    alignment: Alignment,
    radius_ang: float,
    most_passes: int,
    report: Report,
    predictor: Predictor | None = None,
) -> tuple[Matched, int]:
    """Step towards the predictions for as long as held-out matter agrees better.

    Parameters
    ----------
    matcher : Matcher
    alignment : Alignment
    radius_ang : float
        How far one step may go.
    most_passes : int
    report
    predictor : {"slab", "features"}, optional
        Left out, the better of the two is chosen.

    Returns
    -------
    matched : Matched
        The best alignment met, and how far it still is from its predictions.
    accepted : int
        How many passes were.
    """
    first = part(report, 0, most_passes + 1)
    best = (
        matcher.match(alignment, predictor, radius_ang, first)
        if predictor
        else matcher.better_predictor(alignment, radius_ang, first)
    )
    for accepted in range(most_passes):
        if np.sqrt((best.steps.confirmed_ang_yx**2).sum(axis=1).mean()) < _SETTLED_PX * matcher.stack.pixel_ang:
            return best, accepted
        trial = matcher.match(
            moved(best.alignment, best.steps.confirmed_ang_yx),
            best.predictor,
            radius_ang,
            part(report, accepted + 1, most_passes + 1),
        )
        if trial.steps.score <= best.steps.score:
            return best, accepted
        best = trial
    return best, most_passes
