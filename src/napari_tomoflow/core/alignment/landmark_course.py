"""Refine an alignment with landmarks: gold where there is enough of it, other landmarks where there is not.

Every way of following landmarks starts from the alignment without them, and is believed only where the
error expected over the volume of the specimen is smaller with them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_tomoflow.core.alignment.bending import bend
from napari_tomoflow.core.alignment.course import Course
from napari_tomoflow.core.alignment.expected import difference_ang, expected_error_ang, spreads_by_images
from napari_tomoflow.core.alignment.features import align_with_features
from napari_tomoflow.core.alignment.fiducial import align_with_gold
from napari_tomoflow.core.alignment.params import AlignParams
from napari_tomoflow.core.alignment.tracked import Tracked
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.model.landmarks import BELIEVED
from napari_tomoflow.core.model.tilt_series import TiltSeries
from napari_tomoflow.core.report import Report, part

_NOUNS = {"gold": "beads", "feature": "features", "patch": "patches"}

_TOO_FEW = "not enough that can be followed"

_BLIND_TO = {
    "images": "errors of the common axis and of the tilt angles, and drifts all tilts share",
    "gold": "motions of beads that go together, as the beam bends the specimen between them",
    "feature": "part of a drift that tilts share, because features are compared with what the other tilts show",
    "patch": "errors of the tilt angles, and drifts all tilts share",
}

_FAILED_PX = 3.0
_TIMES_EXPECTED = 2.0
"""An alignment further off than this is not to be trusted, and one may be off by so many times what is expected:
of 35 series without gold that did not fail, the worst was off by 2.2 times that, the median by 1.2 times."""

_THICKNESS_OF_FIELD = 0.3
"""Thickness assumed where the specimen was not seen, as a fraction of the field."""

_CONFIRMING = 3
"""Fewer landmarks than this do not confirm where a tilt lies: chance finds one or two anywhere."""

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
    field_ang_yx = tuple(n * series.pixel_ang for n in series.shape_yx)
    thickness_ang = course.slab.thickness_ang if course.slab.seen else _THICKNESS_OF_FIELD * min(field_ang_yx)
    size_ang_zyx = (thickness_ang, field_ang_yx[0], field_ang_yx[1])
    without_ang = expected_error_ang(start, spreads_by_images(start, course.axis_error_deg), size_ang_zyx)
    declined: dict[str, str] = {}
    ways = list(_ways(series, start, course, params))
    for index, (kind, follow) in enumerate(ways):
        found = follow(part(report, 2 * index, 2 * len(ways)))
        if found is None:
            declined[kind] = _TOO_FEW
            continue
        with_ang = _error_with(found, start, course.axis_error_deg, size_ang_zyx)
        # Two alignments that differ by more than the error of one show the error of the other.
        shown_ang = difference_ang(start, found.alignment, size_ang_zyx)
        without_ang = max(without_ang, float(np.sqrt(max(shown_ang**2 - with_ang**2, 0.0))))
        if with_ang < without_ang:
            bending = "not asked for"
            if params.local:
                found, bending = bend(found, start, series, part(report, 2 * index + 1, 2 * len(ways)))
            report(1, 1, "Landmarks followed")
            return LandmarkChoice(
                found.alignment, found, declined, with_ang, found.bundle.errors.mean_axis_deg, bending
            )
        declined[kind] = f"the error expected with them is {with_ang:.1f} Å, without them {without_ang:.1f} Å"
    if params.landmarks not in ("auto", "none"):
        reason = declined.get(params.landmarks, _TOO_FEW)
        raise DataError(
            f"{series.name} cannot be aligned by {params.landmarks}: {reason}; set landmarks to auto to align without."
        )
    return LandmarkChoice(start, None, declined, without_ang, course.axis_error_deg)


def _error_with(
    found: Tracked, start: Alignment, axis_error_deg: float, size_ang_zyx: tuple[float, float, float]
) -> float:
    """Return the error expected of an alignment by landmarks, Å: what chance makes of it, and the way still to go.

    One solution takes the errors of all observations for independent; those of one landmark in neighbouring
    tilts are not, and show in how far two halves of the landmarks disagree. Half of that is the error of
    the mean. A step that was hidden by half is followed by as much again. Tilts that hardly any landmark
    was seen in hold to their neighbours by their images alone, as they did at the `start`.
    """
    seen = found.observations.tilt[found.bundle.weight >= BELIEVED]
    confirmed = np.bincount(seen, minlength=start.n_tilts) >= _CONFIRMING
    by_landmarks = np.where(confirmed[:, None, None], found.bundle.spreads, 0.0)
    spreads = np.concatenate([by_landmarks, spreads_by_images(start, axis_error_deg, confirmed)], axis=2)
    chance_ang = expected_error_ang(found.alignment, spreads, size_ang_zyx)
    if found.halves is not None:
        chance_ang = max(chance_ang, 0.5 * difference_ang(*found.halves, size_ang_zyx))
    bias_ang = 0.0 if found.before is None else difference_ang(found.before, found.alignment, size_ang_zyx)
    return float(np.hypot(chance_ang, bias_ang))


def _ways(series: TiltSeries, start: Alignment, course: Course, params: AlignParams) -> Iterator[tuple[str, Follow]]:
    """Name the kinds of landmarks to try, the best first, and how each is followed."""
    thickness_ang = course.slab.thickness_ang if course.slab.seen else None
    if params.landmarks in ("auto", "gold"):
        diameter_ang = None if params.gold_diameter_nm is None else 10.0 * params.gold_diameter_nm
        yield "gold", lambda report: align_with_gold(series, start, diameter_ang, thickness_ang, report)
    if params.landmarks in ("auto", "features"):
        yield "features", lambda report: align_with_features(series, start, thickness_ang, report, course.stack)
