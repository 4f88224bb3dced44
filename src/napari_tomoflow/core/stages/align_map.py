"""Stage: a map brought into the frame of another, onto its own axes, or into its other hand."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import model_validator

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import AlignedMap, DensityMap, ParticleSet
from napari_tomoflow.core.ops.so3 import symmetry_operators
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import Stage

if TYPE_CHECKING:
    from napari_tomoflow.core.averaging.symmetry_axis import Frame

__all__ = ["ALIGN_MAP", "AlignMapParams", "align_map"]

_HAND_MARGIN = 0.02
_LITTLE_IN_COMMON = 0.3


class AlignMapParams(Params):
    """Which map is aligned, and with what."""

    species: str = param("", help="Kinds of particle, with commas between; empty for all that have an average.")
    name: str = param("", help="Name of the result where the map is a file; empty takes that of the file.")
    map: Path | None = param(None, help="Map of a file instead of an average of the project.")
    target: Path | None = param(None, help="Map or atomic model to align with.")
    symmetry: str | None = param(
        None, help="Point group whose axes are looked for and turned to where it has them: C2, ..., D2, ..., T, O, I."
    )
    flip: bool = param(False, help="Mirror the map first: its other hand.")
    both_hands: bool = param(True, help="Compare the mirrored map with the target too, and say which is more alike.")
    resolution_ang: float | None = param(
        None, unit="Å", low=1, help="Finest detail compared; empty goes as far as the maps agree, for axes to 6 voxels."
    )

    @model_validator(mode="after")
    def check_together(self) -> Self:
        """Check what the types cannot tell."""
        symmetry_operators(self.symmetry or "C1")
        if self.target is not None and self.symmetry is not None:
            raise ValueError("target and symmetry are both given; a map is aligned with one of them.")
        return self


def align_map(
    map: DensityMap,
    particles: ParticleSet | None = None,
    *,
    target: DensityMap | None = None,
    params: AlignMapParams = AlignMapParams(),
    report: Report = silent,
) -> DensityMap:
    """Align a map with another, turn it onto its symmetry axes, or mirror it.

    Parameters
    ----------
    map : DensityMap
    particles : ParticleSet, optional
        Those the map was made of: their poses are changed with it.
    target : DensityMap, optional
        At any voxel and in any box; its voxel ``n // 2`` is where the particle's centre goes. Without one the axes
        of ``params.symmetry`` are found, and without these the map is only mirrored.
    params : AlignMapParams
    report : Report

    Returns
    -------
    DensityMap
        On the grid of the map, halves and mask turned along; an `AlignedMap` where there are particles. ``quality``
        has the rotation and the shift that go from the new frame to the old one, and how alike the maps are.

    Raises
    ------
    DataError
        There is nothing to align with, or a map is empty.

    Notes
    -----
    See `core.averaging.map_alignment` for the search and `core.averaging.symmetry_axis` for the axes. The hand of the
    map is never changed but by ``flip``; poses of particles cannot be mirrored, and are left behind then.
    """
    from napari_tomoflow.core.averaging.new_frame import map_in_frame, mirrored_map, particles_in_frame

    if target is None and params.symmetry is None and not params.flip:
        raise DataError(f"There is nothing to align {map.name} with; give --target FILE, --symmetry, or --flip.")
    given = mirrored_map(map) if params.flip else map
    frame, found = _found(given, target, params, report)
    aligned = map_in_frame(given, frame)
    if target is None and params.symmetry is not None:
        aligned = aligned.replace(symmetry=params.symmetry.upper())
    warnings = _doubts(found)
    if params.flip and particles is not None:
        warnings.append("The poses of the particles are of the other hand and stay behind; refine them from this map.")
    quality = {"flipped": params.flip, **found, **_moves(frame, map.voxel_ang), "warnings": warnings}
    report(1, 1, "Aligned")
    aligned = aligned.replace(name=params.name or map.name, quality=quality)
    if particles is None or params.flip:
        return aligned
    return AlignedMap.of(aligned, particles_in_frame(particles, frame, map.voxel_ang))


def _found(
    given: DensityMap, target: DensityMap | None, params: AlignMapParams, report: Report
) -> "tuple[Frame, dict[str, Any]]":
    """Find the new frame of a map."""
    from napari_tomoflow.core.averaging.map_comparison import compare_and_align, compare_with_itself
    from napari_tomoflow.core.averaging.symmetry_axis import Frame

    if target is not None:
        return compare_and_align(given, target, params.resolution_ang, params.both_hands, part(report, 0, 1))
    if params.symmetry is not None:
        report(0, 1, "Looking for the axes")
        return compare_with_itself(given, params.symmetry, params.resolution_ang)
    report(0, 1, "Mirroring the map")
    return Frame(np.eye(3), np.zeros(3)), {}


def _moves(frame: "Frame", voxel_ang: float) -> dict[str, Any]:
    """Say in plain numbers where the new frame lies in the old one."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_matrix(frame.rotation).as_rotvec(degrees=True)
    angle_deg = float(np.linalg.norm(turn))
    shift_ang = frame.shift_px_xyz * voxel_ang
    return {
        "rotation_deg": angle_deg,
        "rotation_axis_xyz": (turn / angle_deg).tolist() if angle_deg > 0 else [0.0, 0.0, 1.0],
        "rotation_matrix": frame.rotation.tolist(),
        "shift_ang": float(np.linalg.norm(shift_ang)),
        "shift_ang_xyz": shift_ang.tolist(),
    }


def _doubts(found: dict[str, Any]) -> list[str]:
    """Say what a person should know of an alignment."""
    doubts = []
    hand = found.get("hand")
    if hand is not None and hand["score"] < -_HAND_MARGIN:
        doubts.append(
            f"The mirrored map is more like the target ({hand['mirrored']:.2f} against {hand['as_given']:.2f}); "
            "check the hand of the tilt geometry, or mirror the map with --flip."
        )
    if max(found.get("correlation_after", 1.0), (hand or {"mirrored": 0.0})["mirrored"]) < _LITTLE_IN_COMMON:
        doubts.append(f"The maps have little in common: they correlate by {found['correlation_after']:.2f}.")
    return doubts


ALIGN_MAP = Stage.of(align_map, version=1)
