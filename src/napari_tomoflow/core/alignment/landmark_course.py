"""Refine an alignment with landmarks: gold where there is enough of it, then features, then patches.

Every way of following landmarks starts from the alignment without them, and is believed only where the
error expected over the volume of the specimen is smaller with them. Few features are held against patches.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from napari_tomoflow.core.alignment.balls import align_with_balls
from napari_tomoflow.core.alignment.bending import bend
from napari_tomoflow.core.alignment.course import Course
from napari_tomoflow.core.alignment.fiducial import align_with_gold
from napari_tomoflow.core.alignment.params import AlignParams
from napari_tomoflow.core.alignment.recipes import FEATURES, PATCHES
from napari_tomoflow.core.alignment.tracked import Tracked
from napari_tomoflow.core.alignment.trial import TOO_FEW, Trial, is_few
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.model.landmarks import BELIEVED
from napari_tomoflow.core.model.tilt_series import TiltSeries
from napari_tomoflow.core.report import Report, part

_NOUNS = {"gold": "beads", "feature": "features", "patch": "patches"}

_BLIND_TO = {
    "images": "errors of the common axis and of the tilt angles, and drifts all tilts share",
    "gold": "motions of beads that go together, as the beam bends the specimen between them",
    "feature": "part of a drift that tilts share, because features are compared with what the other tilts show",
    "patch": "part of a drift that tilts share, because patches are compared with what the other tilts show",
}

_FAILED_PX = 3.0
_TIMES_EXPECTED = 2.0
"""An alignment further off than this is not to be trusted, and one may be off by so many times what is expected:
of 35 series without gold that did not fail, the worst was off by 2.2 times that, the median by 1.2 times."""

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
    expected_ang : float
        Root mean square error expected over the volume of the specimen: what the residual shows, and what
        it is blind to.
    axis_error_deg : float
        Standard error of the mean axis.
    bending : str
        Whether the bending of the specimen was fitted, and why.
    """

    alignment: Alignment
    tracked: Tracked | None
    declined: dict[str, str]
    expected_ang: float
    axis_error_deg: float
    bending: str = "not tried: no landmarks"

    @property
    def axis_deg(self) -> float:
        """Mean axis of the tilts that count."""
        return float(self.alignment.axis_deg[self.alignment.kept].mean())

    def quality(self, pixel_ang: float) -> dict[str, Any]:
        """Say what was matched, how well, and what was not used and why."""
        said: dict[str, Any] = {
            "matched_with": "images alone",
            "deformation": self.bending,
            "landmarks_declined": self.declined,
            "expected_error_nm": round(self.expected_ang / 10.0, 4),
            "expected_error_px": round(self.expected_ang / pixel_ang, 4),
            "axis_error_deg": round(self.axis_error_deg, 3),
        }
        if self.tracked is None:
            return said
        bundle = self.tracked.bundle
        return said | {
            "matched_with": f"{self.tracked.kind} ({bundle.n_points_used} {_NOUNS[self.tracked.kind]})",
            "landmarks_used": bundle.n_points_used,
            "landmarks_rejected": len(bundle.points_ang_zyx) - bundle.n_points_used,
            "observations_used": int((bundle.weight >= BELIEVED).sum()),
            "observations_rejected": int((bundle.weight < BELIEVED).sum()),
            "landmark_size_nm": round(self.tracked.size_ang / 10.0, 2),
            "leave_out_nm": round(bundle.leave_out_rms_ang / 10.0, 4),
            "leave_out_px": round(bundle.leave_out_rms_ang / pixel_ang, 4),
            "parameters": bundle.counts,
            "tilts_without_landmarks": {str(one.number): one.reason for one in bundle.rejected if one.kind == "tilt"},
        }

    def warnings(self, pixel_ang: float) -> list[str]:
        """Say in sentences what a person should look at."""
        expected_px = self.expected_ang / pixel_ang
        if expected_px * _TIMES_EXPECTED > _FAILED_PX:
            return [f"Do not trust this alignment: its expected error is {expected_px:.1f} px, and may be twice that."]
        if self.tracked is None:
            return ["This alignment may be wrong by more than it expects: no landmarks confirm it."]
        if is_few(self.tracked) and self.declined.get("patches") == TOO_FEW:
            return ["This alignment may be wrong by more than it expects: its features are few, and no patches show."]
        return []

    @property
    def blind_to(self) -> str:
        """What the residual does not show."""
        return _BLIND_TO[self.tracked.kind if self.tracked else "images"]


def refine_with_landmarks(
    series: TiltSeries, start: Alignment, course: Course, params: AlignParams, report: Report
) -> LandmarkChoice:
    """Follow the landmarks asked for, or the first kind of which there is enough.

    Parameters
    ----------
    series : TiltSeries
    start : Alignment
        Of all tilts, without landmarks, the specimen in the middle.
    course : Course
        That led there.
    params : AlignParams
    report

    Raises
    ------
    DataError
        Landmarks of one kind were asked for and cannot be followed.
    """
    trial = Trial.of(series, start, course)
    ways = list(_ways(series, start, course, params))
    for index, (name, follow) in enumerate(ways):
        trial.hear(name, follow(part(report, index, len(ways) + 1)))
        if trial.has_enough:
            break
    best, declined = trial.verdict()
    if best is not None:
        found, bending = best.found, "not asked for"
        if params.local:
            found, bending = bend(found, start, series, part(report, len(ways), len(ways) + 1))
        report(1, 1, "Landmarks followed")
        axis_error_deg = found.bundle.errors.mean_axis_deg
        return LandmarkChoice(found.alignment, found, declined, best.error_ang, axis_error_deg, bending)
    if params.landmarks not in ("auto", "none"):
        raise DataError(
            f"{series.name} cannot be aligned by {params.landmarks}: {declined[params.landmarks]}; "
            "set landmarks to auto to align without."
        )
    return LandmarkChoice(start, None, declined, trial.without_ang, course.axis_error_deg)


def _ways(series: TiltSeries, start: Alignment, course: Course, params: AlignParams) -> Iterator[tuple[str, Follow]]:
    """Name the kinds of landmarks to try, the best first, and how each is followed."""
    thickness_ang = course.slab.thickness_ang if course.slab.seen else None
    if params.landmarks in ("auto", "gold"):
        diameter_ang = None if params.gold_diameter_nm is None else 10.0 * params.gold_diameter_nm
        yield "gold", lambda report: align_with_gold(series, start, diameter_ang, thickness_ang, report)
    if params.landmarks in ("auto", "features"):
        yield "features", lambda report: align_with_balls(series, start, thickness_ang, FEATURES, report, course.stack)
    if params.landmarks in ("auto", "patches"):
        yield "patches", lambda report: align_with_balls(series, start, thickness_ang, PATCHES, report, course.stack)
