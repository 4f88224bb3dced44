"""Points of the specimen and where they were measured in the tilt images: what an alignment rests on."""

from dataclasses import dataclass, replace
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.noun import finite, floats, per_item

Kind = Literal["gold", "feature", "patch"]

BELIEVED = 1e-5
"""A measurement with a weight below this is rejected."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Landmarks:
    """Landmarks with their tracks. Legend: P points, M measurements.

    Attributes
    ----------
    kind : {"gold", "feature", "patch"}
        Beads, dense features of the specimen, or pieces of the image followed by correlation.
    points_ang_zyx : float64[P, 3]
        Å from the specimen's centre, in the frame of the alignment they belong to. NaN for a point that
        was dropped; its measurements are kept to be looked at.
    tilt, point : int64[M]
        Which point was measured in which tilt; each pair at most once.
    position_ang_yx : float64[M, 2]
        Where, Å from the image centre.
    weight : float64[M]
        Belief in each measurement, from 0, rejected, to 1.
    size_ang : float or None
        Diameter of the beads, or side of the boxes.
    """

    kind: Kind
    points_ang_zyx: NDArray[np.float64]
    tilt: NDArray[np.int64]
    point: NDArray[np.int64]
    position_ang_yx: NDArray[np.float64]
    weight: NDArray[np.float64]
    size_ang: float | None = None

    def __post_init__(self) -> None:
        """Check counts, numbers and indices."""
        if self.kind not in get_args(Kind):
            raise DataError(f"Landmarks: the kind is {self.kind!r}; give one of {', '.join(get_args(Kind))}.")
        for name in ("tilt", "point"):
            indices = np.array(getattr(self, name), np.int64).reshape(-1)
            indices.setflags(write=False)
            object.__setattr__(self, name, indices)
        n = len(self.tilt)
        object.__setattr__(self, "points_ang_zyx", floats(np.reshape(self.points_ang_zyx, (-1, 3))))
        object.__setattr__(self, "position_ang_yx", floats(np.reshape(self.position_ang_yx, (-1, 2))))
        object.__setattr__(self, "weight", floats(self.weight, (n,)))
        per_item("Landmarks", n, point=self.point, position_ang_yx=self.position_ang_yx, weight=self.weight)
        finite("Landmarks", position_ang_yx=self.position_ang_yx, weight=self.weight)
        if n and (self.point.min() < 0 or self.point.max() >= len(self.points_ang_zyx)):
            raise DataError(
                f"Landmarks: measurements are of points {self.point.min()} to {self.point.max()}, but there are "
                f"{len(self.points_ang_zyx)} points; count them from 0."
            )
        pairs, counts = np.unique(np.stack([self.tilt, self.point]), axis=1, return_counts=True)
        if n and counts.max() > 1:
            tilt, point = pairs[:, counts.argmax()]
            raise DataError(
                f"Landmarks: point {point} is measured {counts.max()} times in tilt {tilt}; keep one position."
            )

    @property
    def n_points(self) -> int:
        """Number of points, the dropped ones counted too."""
        return len(self.points_ang_zyx)

    @property
    def believed(self) -> NDArray[np.bool_]:
        """Which measurements count, bool[M]: not rejected, and of a point that was not dropped."""
        return np.asarray((self.weight >= BELIEVED) & np.isfinite(self.points_ang_zyx[self.point]).all(axis=1))

    def subset(self, which: NDArray[np.bool_]) -> "Landmarks":
        """Keep the measurements marked True in bool[M], and all points."""
        return self.replace(
            tilt=self.tilt[which],
            point=self.point[which],
            position_ang_yx=self.position_ang_yx[which],
            weight=self.weight[which],
        )

    def replace(self, **changes: Any) -> Self:
        """Return a checked copy with some fields changed."""
        return replace(self, **changes)
