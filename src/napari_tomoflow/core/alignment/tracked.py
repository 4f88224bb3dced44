"""What every way of following landmarks gives back, whichever landmarks they are."""

from dataclasses import dataclass

import numpy as np

from napari_tomoflow.core.alignment.bundle import Bundle
from napari_tomoflow.core.alignment.bundle_model import Observations
from napari_tomoflow.core.model import Alignment, Landmarks
from napari_tomoflow.core.model.landmarks import Kind


@dataclass(frozen=True, eq=False)
class Tracked:
    """An alignment by landmarks of one kind.

    Attributes
    ----------
    kind : {"gold", "feature", "patch"}
    alignment : Alignment
        Of all tilts, with its landmarks. Where none was seen a tilt keeps its start, moved as its neighbours were.
    bundle : Bundle
    observations : Observations
    size_ang : float
        Diameter of the beads, or side of the boxes.
    before : Alignment, optional
        Of all tilts, the one that landmarks were last predicted with, where that pulls them towards itself.
    halves : tuple of two Alignment, optional
        Of all tilts, each by half of the landmarks.
    """

    kind: Kind
    alignment: Alignment
    bundle: Bundle
    observations: Observations
    size_ang: float
    before: Alignment | None = None
    halves: tuple[Alignment, Alignment] | None = None


def tracked(kind: Kind, observations: Observations, bundle: Bundle, start: Alignment, size_ang: float) -> Tracked:
    """Put an alignment together from a solved bundle adjustment that began at `start`."""
    landmarks = Landmarks(
        kind=kind,
        points_ang_zyx=bundle.points_ang_zyx,
        tilt=observations.tilt,
        point=observations.point,
        position_ang_yx=observations.position_ang_yx,
        weight=np.nan_to_num(bundle.weight),
        size_ang=size_ang,
    )
    return Tracked(kind, completed(bundle, start).replace(landmarks=landmarks), bundle, observations, size_ang)


def completed(bundle: Bundle, start: Alignment) -> Alignment:
    """Keep the tilts in which no landmark was seen, moved as their neighbours were."""
    solved, seen = bundle.alignment, bundle.alignment.kept
    order = np.flatnonzero(seen)[np.argsort(start.tilt_deg[seen], kind="stable")]
    moved = solved.shift_ang_yx - start.shift_ang_yx
    shifts = np.array(solved.shift_ang_yx)
    for k in range(2):
        moved_here = np.interp(start.tilt_deg, start.tilt_deg[order], moved[order, k])
        shifts[~seen, k] = (start.shift_ang_yx[:, k] + moved_here)[~seen]
    residual_ang = np.where(seen, solved.residual_ang, start.residual_ang)
    return solved.replace(shift_ang_yx=shifts, kept=start.kept, residual_ang=residual_ang)
