"""Two maps on one grid, or one alone: brought there, masked, aligned, and how alike they are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.map_alignment import Likeness, align_map_to
from napari_tomoflow.core.averaging.new_frame import mirrored
from napari_tomoflow.core.averaging.resizing import fitted, low_pass, shell_filtered
from napari_tomoflow.core.averaging.symmetry_axis import Frame, climbed, find_axes, self_agreement
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import DensityMap
from napari_tomoflow.core.ops.fsc import shell_sums
from napari_tomoflow.core.ops.masks import soft_sphere
from napari_tomoflow.core.report import Report, part

Reals = NDArray[np.float32]

_MOST_PX, _LEAST_PX = 128, 24
"""Maps are compared in boxes of this size; they are turned in their own."""

_BALL_SHARE, _EDGE_SHARE = 0.38, 0.1
_ROUNDS = 2
_STEP_DEG, _STEP_PX = 1.0, 0.3
_AXES_VOXELS = 6.0


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

    def holding(self, density: DensityMap) -> tuple[Reals, Reals]:
        """Sample a map, its background taken off, and its mask, a ball if it has none: two arrays float32[n, n, n].

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
        volume -= np.median(volume[ball < _EDGE_SHARE])
        if not (volume * mask).std() > 0:
            raise DataError(f"The map {density.name} is empty; give another.")
        return volume, np.asarray(mask, np.float32)

    def frame_on(self, density: DensityMap, frame: Frame) -> Frame:
        """Go from a frame on this grid to the same on that of a map."""
        return Frame(frame.rotation, frame.shift_px_xyz * self.voxel_ang / density.voxel_ang, frame.agreement)


@dataclass(frozen=True, eq=False)
class _Fit:
    """Two maps aligned.

    Attributes
    ----------
    frame : Frame
    radius : float
        How far they were compared.
    mask : float32[n, n, n]
        What both show, in the frame of the target.
    pair : two arrays float32[n, n, n]
        Both under that mask, each in its own frame.
    """

    frame: Frame
    radius: float
    mask: Reals
    pair: tuple[Reals, Reals]


def _fit(moving: tuple[Reals, Reals], fixed: tuple[Reals, Reals], radius: float, report: Report) -> _Fit:
    """Align a map and its mask with another and its own; in the end both are seen under the same mask.

    What one mask shows and the other hides would draw the maps towards the places of the masks.
    """
    frame, reach = align_map_to(moving[0] * moving[1], fixed[0] * fixed[1], radius, report)
    for _ in range(_ROUNDS):
        mask = fixed[1] * np.clip(frame.seen(moving[1]), 0.0, 1.0)
        pair = moving[0] * frame.inverse.seen(mask), fixed[0] * mask
        likeness = Likeness.of(*pair, reach)
        frame = climbed(likeness.of_frame, frame.rotation, frame.shift_px_xyz, _STEP_DEG, _STEP_PX)
    return _Fit(frame, reach, mask, pair)


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
    hands = [moving, (mirrored(moving[0]), mirrored(moving[1]))] if both_hands else [moving]
    fits = [
        _fit(one, fixed, grid.radius(resolution_ang), part(report, number, len(hands)))
        for number, one in enumerate(hands)
    ]
    radius = max(fit.radius for fit in fits)
    frame, mask = fits[0].frame, fits[0].mask
    still = fixed[0] * mask
    looks = {"before": moving[0] * mask, "after": frame.seen(moving[0]) * mask}
    curves = {name: shell_sums(look, still) for name, look in looks.items()}
    before, after, there = (
        shell_filtered(one, low_pass(radius)).ravel() for one in (looks["before"], looks["after"], still)
    )
    told = [Likeness.of(*fit.pair, radius).correlation(fit.frame) for fit in fits]
    return grid.frame_on(density, frame), {
        "target": target.name,
        "resolution_ang": grid.resolution_ang(radius),
        "correlation_before": float(np.corrcoef(before, there)[0, 1]),
        "correlation_after": float(np.corrcoef(after, there)[0, 1]),
        "hand": {"as_given": told[0], "mirrored": told[1], "score": told[0] - told[1]} if both_hands else None,
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
    volume = np.prod(grid.holding(density), axis=0)
    radius = grid.radius(resolution_ang or _AXES_VOXELS * grid.voxel_ang)
    frame = find_axes(volume, symmetry, radius)
    return grid.frame_on(density, frame), {
        "symmetry": symmetry,
        "resolution_ang": grid.resolution_ang(radius),
        "correlation_before": self_agreement(volume, symmetry, radius),
        "correlation_after": frame.agreement,
    }
