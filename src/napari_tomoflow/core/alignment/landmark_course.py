"""Refine an alignment with landmarks: gold where there is enough of it, other landmarks where there is not.

Every way of following landmarks starts from the alignment without them and is believed only where the
landmarks themselves say that it is better.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_tomoflow.core.alignment.fiducial import align_with_gold
from napari_tomoflow.core.alignment.params import AlignParams
from napari_tomoflow.core.alignment.tracked import Tracked
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.model.tilt_series import TiltSeries
from napari_tomoflow.core.report import Report, part

_NOUNS = {"gold": "beads", "feature": "features", "patch": "patches"}

_TOO_FEW = "not enough that can be followed"

Follow = Callable[[Report], Tracked | None]


@dataclass(frozen=True, eq=False)
class LandmarkChoice:
    """What an alignment rests on in the end.

    Attributes
    ----------
    alignment : Alignment
    tracked : Tracked or None
        The landmarks, if any were believed.
    declined : dict of str to str
        Kind of landmark and why it was not used.
    """

    alignment: Alignment
    tracked: Tracked | None
    declined: dict[str, str]

    @property
    def axis_deg(self) -> float:
        """Mean axis of the tilts that count."""
        return float(self.alignment.axis_deg[self.alignment.kept].mean())

    def quality(self, pixel_ang: float) -> dict[str, Any]:
        """Say what was matched, how well, and what was not used and why."""
        said: dict[str, Any] = {"matched_with": "images alone", "landmarks_declined": self.declined}
        if self.tracked is None:
            return said
        bundle = self.tracked.bundle
        return said | {
            "matched_with": f"{self.tracked.kind} ({bundle.n_points_used} {_NOUNS[self.tracked.kind]})",
            "landmarks_used": bundle.n_points_used,
            "landmarks_rejected": len(bundle.points_ang_zyx) - bundle.n_points_used,
            "landmark_size_nm": round(self.tracked.size_ang / 10.0, 2),
            "leave_out_nm": round(bundle.leave_out_rms_ang / 10.0, 4),
            "leave_out_px": round(bundle.leave_out_rms_ang / pixel_ang, 4),
            "expected_error_nm": round(bundle.expected_error_ang / 10.0, 4),
            "expected_error_px": round(bundle.expected_error_ang / pixel_ang, 4),
        }


def refine_with_landmarks(
    series: TiltSeries, start: Alignment, thickness_ang: float | None, params: AlignParams, report: Report
) -> LandmarkChoice:
    """Follow the landmarks asked for, or the first kind of which there is enough.

    Parameters
    ----------
    series : TiltSeries
    start : Alignment
        Of all tilts, without landmarks; its ``residual_ang`` is what landmarks must improve on.
    thickness_ang : float or None
        Of the specimen, if known.
    params : AlignParams
    report

    Raises
    ------
    DataError
        Landmarks of one kind were asked for and cannot be followed.
    """
    declined: dict[str, str] = {}
    ways = list(_ways(series, start, thickness_ang, params))
    for index, (kind, follow) in enumerate(ways):
        found = follow(part(report, index, len(ways)))
        declined[kind] = _why_not(found, start)
        if found is not None and not declined[kind]:
            del declined[kind]
            report(1, 1, "Landmarks followed")
            return LandmarkChoice(found.alignment, found, declined)
    if params.landmarks not in ("auto", "none"):
        reason = declined.get(params.landmarks, _TOO_FEW)
        raise DataError(
            f"{series.name} cannot be aligned by {params.landmarks}: {reason}; set landmarks to auto to align without."
        )
    return LandmarkChoice(start, None, declined)


def _ways(
    series: TiltSeries, start: Alignment, thickness_ang: float | None, params: AlignParams
) -> Iterator[tuple[str, Follow]]:
    """Name the kinds of landmarks to try, the best first, and how each is followed."""
    if params.landmarks in ("auto", "gold"):
        diameter_ang = None if params.gold_diameter_nm is None else 10.0 * params.gold_diameter_nm
        yield "gold", lambda report: align_with_gold(series, start, diameter_ang, thickness_ang, report)


def _why_not(found: Tracked | None, start: Alignment) -> str:
    """Say why landmarks are not believed; nothing where they are."""
    if found is None:
        return _TOO_FEW
    without_ang = float(np.sqrt(np.nanmean(start.residual_ang[start.kept] ** 2)))
    with_ang = found.bundle.leave_out_rms_ang
    if not with_ang < without_ang:
        return (
            f"they scatter by {with_ang:.1f} Å about where others say, the images without them by {without_ang:.1f} Å"
        )
    return ""
