"""The surface of a segmented body, made smooth.

Legend: P points.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.ops.geometry import ang_from_pixels, pixels_from_ang
from napari_tomoflow.core.picking.frames import unit

Floats = NDArray[np.float64]

_SOFT_PX = 1.5
"""Width of the Gaussian that takes the steps out of the surface."""

_SLOPE_PX = 3.0
"""Steps to either side that give the slope: normals of a ball 30 voxels wide are 1.2° off, with half a step 1.8°."""

_MARGIN_PX = 8
_STEPS = 3


@dataclass(frozen=True, eq=False)
class BoundarySurface:
    """Where the distance to a body is zero.

    Attributes
    ----------
    distance_px_zyx : float32[nz, ny, nx]
        Signed distance to the border around one body, positive outside; made by `boundary_of`.
    corner_px_zyx : int64[3]
        Where that part lies in the volume.
    shape_zyx : tuple of int
        Shape of the volume.
    voxel_ang : float
    """

    distance_px_zyx: NDArray[np.float32]
    corner_px_zyx: NDArray[np.int64]
    shape_zyx: tuple[int, ...]
    voxel_ang: float
    edge_ang: float = 0.0

    def drop(self, points_zyx: Floats) -> Floats:
        """Move points along the slope of the distance to where it is zero."""
        places = self._places(points_zyx)
        for _ in range(_STEPS):
            slope = self._slopes(places)
            steep = np.maximum(np.sum(slope**2, axis=1, keepdims=True), 0.1)
            places = places - self._distance(places)[:, None] * slope / steep
        return self._points(places)

    def normals(self, points_zyx: Floats) -> Floats:
        """Return outward unit normals, float64[P, 3]."""
        return unit(self._slopes(self._places(points_zyx)))

    def pool(self, step_ang: float) -> tuple[Floats, float]:
        """Return corners of the triangulated surface, one in every cell of a step, and its area in Å²."""
        from skimage.measure import marching_cubes, mesh_surface_area

        corners, faces, _, _ = marching_cubes(self.distance_px_zyx, 0.0)
        cells = np.floor(corners * self.voxel_ang / step_ang)
        chosen = np.sort(np.unique(cells, axis=0, return_index=True)[1])
        area = mesh_surface_area(corners, faces) * self.voxel_ang**2
        return self._points(corners[chosen].astype(np.float64)), float(area)

    def _places(self, points_zyx: Floats) -> Floats:
        return pixels_from_ang(points_zyx, self.voxel_ang, self.shape_zyx) - self.corner_px_zyx

    def _points(self, places: Floats) -> Floats:
        return ang_from_pixels(places + self.corner_px_zyx, self.voxel_ang, self.shape_zyx)

    def _slopes(self, places: Floats) -> Floats:
        steps = _SLOPE_PX * np.eye(3)
        rises = [self._distance(places + step) - self._distance(places - step) for step in steps]
        return np.stack(rises, axis=1) / (2.0 * _SLOPE_PX)

    def _distance(self, places: Floats) -> Floats:
        read = ndimage.map_coordinates(self.distance_px_zyx, places.T, order=1, mode="nearest", output=np.float64)
        return np.asarray(read)


def boundary_of(
    numbers_zyx: NDArray[np.int32], number: int, window: tuple[slice, ...], voxel_ang: float
) -> BoundarySurface:
    """Return the smooth surface of one body; where it leaves the volume it has none.

    Parameters
    ----------
    numbers_zyx : int32[nz, ny, nx]
        Which body a voxel belongs to.
    number
        The body.
    window : tuple of slice
        The part of the volume it lies in.
    voxel_ang

    Raises
    ------
    DataError
        It fills its volume, or is smaller than its smoothing leaves.
    """
    grown = tuple(
        slice(max(one.start - _MARGIN_PX, 0), min(one.stop + _MARGIN_PX, n))
        for one, n in zip(window, numbers_zyx.shape, strict=True)
    )
    mask = numbers_zyx[grown] == number
    if not mask.all():
        outside, inside = (ndimage.distance_transform_edt(part) for part in (~mask, mask))
        # The border runs between the voxels, half a step from either.
        distance = np.where(mask, 0.5 - inside, outside - 0.5)
        distance = ndimage.gaussian_filter(distance, _SOFT_PX, mode="nearest", output=np.float32)
        if distance.min() < 0 < distance.max():
            corner = np.array([one.start for one in grown])
            return BoundarySurface(distance, corner, numbers_zyx.shape, voxel_ang)
    raise DataError(
        f"A segmented body of {np.count_nonzero(mask)} voxels is too small or too large to have a surface; "
        "leave it out with min_size_nm or max_size_nm."
    )
