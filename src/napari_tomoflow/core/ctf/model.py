"""The parameters of the joint fit, and the geometry that turns them into the defocus of every tile.

Legend: N tilts in use, T tiles, A sectors.
"""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model import Alignment

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CtfModel:
    """A CTF for every tile of every tilt.

    Attributes
    ----------
    defocus_ang : float64[N]
        At the specimen's centre.
    gradient : float
        By what the depth of a tile is multiplied before it is added: the hand, or 0 to leave it off.
    slope_xy : float64[2]
        Of the specimen's plane, z = slope · (x, y).
    astigmatism_ang : float64[2, 2]
        Half the difference of the two defocus values, times cos 2·azimuth and sin 2·azimuth; of these the
        mean and the change from the mean to the last exposure.
    phase_rad : float64[2]
        Phase shift, likewise.
    """

    defocus_ang: Floats
    gradient: float = 0.0
    slope_xy: Floats = field(default_factory=lambda: np.zeros(2))
    astigmatism_ang: Floats = field(default_factory=lambda: np.zeros((2, 2)))
    phase_rad: Floats = field(default_factory=lambda: np.zeros(2))

    def replace(self, **changes: object) -> Self:
        """Return a copy with some values changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where the tiles of each tilt lie in the specimen, and when each tilt was taken.

    Attributes
    ----------
    alignment : Alignment or None
        Of the tilts in use; None leaves all tiles at the same depth.
    centres_ang_yx : float64[T, 2]
        Of the tiles, from the image centre.
    time : float64[N]
        Place in the order of acquisition, scaled to −1 … 1.
    cos2, sin2 : float64[A]
        Of the sectors.
    """

    alignment: Alignment | None
    centres_ang_yx: Floats
    time: Floats
    cos2: Floats
    sin2: Floats

    def depths_ang(self, slope_xy: Floats) -> Floats:
        """Return the depth of the specimen's plane under every tile: float64[N, T]."""
        if self.alignment is None:
            return np.zeros((len(self.time), len(self.centres_ang_yx)))
        from_centre_yx = self.centres_ang_yx - self.alignment.shift_ang_yx[:, None]
        return np.asarray(np.einsum("nj,ntj->nt", _gradients(self.alignment, slope_xy), from_centre_yx[..., ::-1]))

    def depth_at(self, slope_xy: Floats, tilt: NDArray[np.int64], position_ang_yx: Floats) -> Floats:
        """Return the depth of the specimen's plane under places given by tilt and position: float64[B]."""
        if self.alignment is None:
            return np.zeros(len(tilt))
        from_centre_yx = position_ang_yx - self.alignment.shift_ang_yx[tilt]
        return np.asarray((_gradients(self.alignment, slope_xy)[tilt] * from_centre_yx[:, ::-1]).sum(axis=1))

    def offsets_ang(self, model: CtfModel) -> Floats:
        """Return what each tile and sector adds to the defocus of its tilt: float64[N, T, A]."""
        depth = model.gradient * self.depths_ang(model.slope_xy)
        along, across = self.over_time(model.astigmatism_ang)
        by_sector = along[:, None] * self.cos2 + across[:, None] * self.sin2
        return np.asarray(depth[:, :, None] + by_sector[:, None, :])

    def offsets_of_tilt(self, model: CtfModel, tilt: int) -> Floats:
        """Return the offsets of one tilt: float64[T, A]."""
        return np.asarray(self.offsets_ang(model)[tilt])

    def over_time(self, mean_and_change: Floats) -> Floats:
        """Spread parameters given by mean and change over the tilts: [2, ...] to [..., N]."""
        mean, change = np.asarray(mean_and_change, np.float64)
        return np.asarray(mean[..., None] + change[..., None] * self.time)


def _gradients(alignment: Alignment, slope_xy: Floats) -> Floats:
    """Return how the depth of the specimen's plane changes with (u, v) in each tilt: float64[N, 2]."""
    rotations = alignment.rotations
    on_plane = rotations[:, :, :2] + rotations[:, :, 2:] * np.asarray(slope_xy)
    # What takes (x, y) of the plane to depth, after what takes it to (u, v).
    gradients: Floats = np.einsum("ni,nij->nj", on_plane[:, 2], np.linalg.inv(on_plane[:, :2]))
    return gradients
