"""What of the observations a bundle adjustment can use.

Legend: N tilts, P points, M observations.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.bundle_model import BundleModel, Observations, Parameters
from napari_tomoflow.core.alignment.bundle_robust import Problem
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment

Flags = NDArray[np.bool_]

_LEAST_TILTS = 3  # two views of points leave the angle between them open (Ullman, 1979)
_LEAST_POINTS = 3
_LEAST_RANGE_DEG = 0.5  # a point seen over less has no height


@dataclass(frozen=True, eq=False)
class Used:
    """What of the observations a fit can use: bool[N] tilts, bool[P] points, bool[M] observations."""

    tilts: Flags
    points: Flags
    observations: Flags

    @classmethod
    def among(cls, observations: Observations, start: Alignment) -> "Used":
        """Leave out tilts not kept, then points seen from one direction only, then tilts left empty."""
        if observations.tilt.max() >= start.n_tilts:
            raise DataError(
                f"A point is seen in tilt {observations.tilt.max()} (from 0) of a series of {start.n_tilts}; "
                "check that tracks and series belong together."
            )
        kept = start.kept[observations.tilt]
        lowest, highest = np.full(observations.n_points, np.inf), np.full(observations.n_points, -np.inf)
        seen_deg = start.tilt_deg[observations.tilt[kept]]
        np.minimum.at(lowest, observations.point[kept], seen_deg)
        np.maximum.at(highest, observations.point[kept], seen_deg)
        points = highest - lowest >= _LEAST_RANGE_DEG
        used = kept & points[observations.point]
        tilts = np.bincount(observations.tilt[used], minlength=start.n_tilts) > 0
        if points.sum() < _LEAST_POINTS:
            raise DataError(
                f"Alignment needs {_LEAST_POINTS} points seen from several directions; got {points.sum()}; track more."
            )
        if tilts.sum() < _LEAST_TILTS:
            raise DataError(
                f"Alignment needs {_LEAST_TILTS} tilts that share points; got {tilts.sum()}; track points through more."
            )
        return cls(tilts, points, used)

    def problem(self, observations: Observations, start: Alignment, model: BundleModel) -> Problem:
        """Count what is used from 0 and lay out the variables."""
        tilt = (np.cumsum(self.tilts) - 1)[observations.tilt[self.observations]]
        point = (np.cumsum(self.points) - 1)[observations.point[self.observations]]
        uv_ang = observations.position_ang_yx[self.observations, ::-1]
        reach_ang = float(np.sqrt(np.mean(np.sum((uv_ang - uv_ang.mean(0)) ** 2, axis=1))))
        return Problem(Parameters.of(model, start.rigid_part(self.tilts), reach_ang), tilt, point, uv_ang)
