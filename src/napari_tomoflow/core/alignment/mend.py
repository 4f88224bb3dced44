"""Mend an alignment by hand: change its landmarks or the tilts in use, and solve it again where it stands.

Points keep their numbers whatever happens to them, so that whoever looks at one does not lose it.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.alignment.bundle import Bundle, choose_model
from napari_tomoflow.core.alignment.bundle_model import RIGID_LADDER, Observations
from napari_tomoflow.core.alignment.tracked import tracked
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, Landmarks
from napari_tomoflow.core.report import Report, silent

_STILL_TRUE = ("axis_nominal_deg", "hand", "thickness_nm", "level_deg_yx", "level_error_deg", "level")
"""What is said of an alignment and does not change when it is solved again in the same frame."""

_DEFAULT_SIZE_ANG = 200.0


def resolve(start: Alignment, landmarks: Landmarks, kept: ArrayLike, report: Report = silent) -> Alignment:
    """Solve an alignment again from landmarks that somebody changed.

    Parameters
    ----------
    start : Alignment
        Its origin, mean tilt and levelling are kept, and tilts are held near its own: begin every time
        from the alignment as it was before the changes, or it creeps.
    landmarks : Landmarks
        All measurements are judged anew, the rejected ones too.
    kept : bool[N]
        The tilts in use. The others are moved as their neighbours are.
    report

    Returns
    -------
    Alignment
        With the landmarks as they now are believed. A bending of the specimen stays as it was.

    Raises
    ------
    DataError
        What is left does not determine the geometry.
    """
    kept = np.asarray(kept, np.bool_)
    if not len(landmarks.tilt):
        raise DataError("There are no landmarks to solve the alignment from; got an empty list; add some.")
    report(0, 2, "Solving")
    begin = start.replace(kept=kept, landmarks=None)
    position = landmarks.position_ang_yx
    if start.deformation is not None:
        position = start.deformation.straightened(landmarks.tilt, position)
    measured = Observations(landmarks.tilt, landmarks.point, position)
    _, bundle = choose_model(measured, begin, RIGID_LADDER)
    report(1, 2, "Solving")
    solved = tracked(landmarks.kind, measured, bundle, begin, landmarks.size_ang or _DEFAULT_SIZE_ANG).alignment
    points: NDArray[np.float64] = np.full((landmarks.n_points, 3), np.nan)
    points[: len(bundle.points_ang_zyx)] = bundle.points_ang_zyx
    believed = landmarks.replace(points_ang_zyx=points, weight=np.nan_to_num(bundle.weight))
    report(2, 2, "Solved")
    return solved.replace(landmarks=believed, quality=_quality(start, solved, bundle))


def without_point(landmarks: Landmarks, point: int) -> Landmarks:
    """Delete a landmark with all its measurements; its number stays empty."""
    points = np.array(landmarks.points_ang_zyx)
    points[point] = np.nan
    return landmarks.subset(landmarks.point != point).replace(points_ang_zyx=points)


def without_measurement(landmarks: Landmarks, measurement: int) -> Landmarks:
    """Delete one measurement of a landmark."""
    return landmarks.subset(np.arange(len(landmarks.tilt)) != measurement)


def with_measurement_moved(landmarks: Landmarks, measurement: int, position_ang_yx: ArrayLike) -> Landmarks:
    """Put a measurement elsewhere in its tilt; whoever does so believes in it."""
    position, weight = np.array(landmarks.position_ang_yx), np.array(landmarks.weight)
    position[measurement], weight[measurement] = position_ang_yx, 1.0
    return landmarks.replace(position_ang_yx=position, weight=weight)


def with_point(
    landmarks: Landmarks, point_ang_zyx: ArrayLike, tilts: NDArray[np.int64], positions_ang_yx: NDArray[np.float64]
) -> Landmarks:
    """Add a landmark that was measured in some tilts."""
    number = landmarks.n_points
    return landmarks.replace(
        points_ang_zyx=np.vstack([landmarks.points_ang_zyx, np.asarray(point_ang_zyx)]),
        tilt=np.append(landmarks.tilt, tilts),
        point=np.append(landmarks.point, np.full(len(tilts), number)),
        position_ang_yx=np.vstack([landmarks.position_ang_yx, positions_ang_yx]),
        weight=np.append(landmarks.weight, np.ones(len(tilts))),
    )


def _quality(start: Alignment, solved: Alignment, bundle: Bundle) -> dict[str, Any]:
    """Say what is known of an alignment mended by hand."""
    residual_nm = solved.residual_ang[solved.kept] / 10.0
    measured_nm = residual_nm[np.isfinite(residual_nm)]
    return {
        **{name: start.quality[name] for name in _STILL_TRUE if name in start.quality},
        "matched_with": "landmarks, mended by hand",
        "residual_nm": {
            "mean": round(float(measured_nm.mean()), 4),
            "sd": round(float(measured_nm.std()), 4),
            "max": round(float(measured_nm.max()), 4),
        },
        "leave_out_nm": round(bundle.leave_out_rms_ang / 10.0, 4),
        "expected_error_nm": round(bundle.expected_error_ang / 10.0, 4),
        "landmarks_used": int(np.isfinite(bundle.points_ang_zyx).all(axis=1).sum()),
        "axis_deg": round(float(solved.axis_deg[solved.kept].mean()), 3),
        "tilts_used": int(solved.kept.sum()),
    }
