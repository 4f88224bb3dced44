"""Two maps on one grid, or one alone: brought there, masked, aligned, and how alike they are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.map_alignment import Likeness, align_map_to
from napari_tomoflow.core.averaging.new_frame import mirrored
from napari_tomoflow.core.averaging.resizing import fitted, low_pass, shell_filtered
from napari_tomoflow.core.averaging.symmetry_axis import Frame, find_axes, self_agreement
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import DensityMap
from napari_tomoflow.core.ops.fsc import shell_sums
from napari_tomoflow.core.ops.masks import soft_sphere
from napari_tomoflow.core.report import Report, part

Reals = NDArray[np.float32]

_MOST_PX, _LEAST_PX = 128, 24
"""Maps are compared in boxes of this size; they are turned in their own."""

_BALL_SHARE, _EDGE_SHARE = 0.38, 0.1
_AXES_VOXELS = 4.0


@dataclass(frozen=True)
class SharedGrid:
    """A grid that holds all of some maps, no finer than the coarsest.

    Attributes
    ----------
    box_px : int
        Even.
    voxel_ang : float
    """

    box_px: int
    voxel_ang: float

    @classmethod
    def of(cls, *maps: DensityMap) -> "SharedGrid":
        """Choose the grid."""
        width_ang = max(max(one.volume.shape) * one.voxel_ang for one in maps)
        voxel_ang = max(width_ang / _MOST_PX, *(one.voxel_ang for one in maps))
        return cls(max(_LEAST_PX, 2 * int(np.ceil(width_ang / voxel_ang / 2 - 1e-6))), voxel_ang)

    def radius(self, resolution_ang: float | None) -> float:
        """Return the frequency of a resolution in steps of the box; the finest there is without one."""
        finest = self.box_px / 2 - 1.0
        return finest if resolution_ang is None else min(finest, self.box_px * self.voxel_ang / resolution_ang)

    def resolution_ang(self, radius: float) -> float:
        """Return the resolution of a frequency."""
        return self.box_px * self.voxel_ang / radius

    def holding(self, density: DensityMap) -> Reals:
        """Sample a map, its background taken off, under its mask or a ball: float32[n, n, n].

        Raises
        ------
        DataError
            The map is empty.
        """
        n = self.box_px
        ball = soft_sphere(n, _BALL_SHARE * n, _EDGE_SHARE * n)
        volume = fitted(density, n, self.voxel_ang)
        mask = ball
        if density.mask is not None:
            soft = density.replace(volume=density.mask, halves=None, mask=None, contrast="bright")
            mask = np.clip(fitted(soft, n, self.voxel_ang), 0.0, 1.0)
        volume = (volume - np.median(volume[ball < _EDGE_SHARE])) * mask
        if not volume.std() > 0:
            raise DataError(f"The map {density.name} is empty; give another.")
        return np.asarray(volume, np.float32)

    def frame_on(self, density: DensityMap, frame: Frame) -> Frame:
        """Go from a frame on this grid to the same on that of a map."""
        return Frame(frame.rotation, frame.shift_px_xyz * self.voxel_ang / density.voxel_ang, frame.agreement)


def compare_and_align(
    density: DensityMap, target: DensityMap, resolution_ang: float | None, both_hands: bool, report: Report
) -> tuple[Frame, dict[str, Any]]:
    """Find the frame that aligns a map with a target, and how alike they are in it.

    Returns
    -------
    frame : Frame
        In voxels of the map.
    quality : dict
        Correlations up to the resolution both agree on, FSC before and after, and what either hand comes to.
    """
    grid = SharedGrid.of(density, target)
    moving, fixed = grid.holding(density), grid.holding(target)
    wanted = grid.radius(resolution_ang)
    share = 2 if both_hands else 1
    frame, radius = align_map_to(moving, fixed, wanted, part(report, 0, share))
    hands = None
    if both_hands:
        other = mirrored(moving)
        mirror, reach = align_map_to(other, fixed, wanted, part(report, 1, share))
        radius = max(radius, reach)
        as_given, as_mirrored = (
            Likeness.of(one, fixed, radius).agreement(at.rotation, at.shift_px_xyz)
            for one, at in ((moving, frame), (other, mirror))
        )
        hands = {"as_given": as_given, "mirrored": as_mirrored, "score": as_given - as_mirrored}
    curves = {name: shell_sums(one, fixed) for name, one in (("before", moving), ("after", frame.seen(moving)))}
    seen = [shell_filtered(one, low_pass(radius)).ravel() for one in (moving, frame.seen(moving), fixed)]
    return grid.frame_on(density, frame), {
        "target": target.name,
        "resolution_ang": grid.resolution_ang(radius),
        "correlation_before": float(np.corrcoef(seen[0], seen[2])[0, 1]),
        "correlation_after": float(np.corrcoef(seen[1], seen[2])[0, 1]),
        "hand": hands,
        "fsc": {
            "frequency_inv_ang": (curves["after"].frequency_per_px / grid.voxel_ang).tolist(),
            **{name: curve.fsc.tolist() for name, curve in curves.items()},
        },
    }


def compare_with_itself(
    density: DensityMap, symmetry: str, resolution_ang: float | None
) -> tuple[Frame, dict[str, Any]]:
    """Find the frame in which the axes of a map lie where its point group has them.

    Returns
    -------
    frame : Frame
        In voxels of the map.
    quality : dict
        Share of its power that the map keeps when it is averaged over the group, before and after.
    """
    grid = SharedGrid.of(density)
    volume = grid.holding(density)
    radius = grid.radius(resolution_ang or _AXES_VOXELS * grid.voxel_ang)
    frame = find_axes(volume, symmetry, radius)
    return grid.frame_on(density, frame), {
        "symmetry": symmetry,
        "resolution_ang": grid.resolution_ang(radius),
        "correlation_before": self_agreement(volume, symmetry, radius),
        "correlation_after": frame.agreement,
    }
