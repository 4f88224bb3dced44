"""Weighted back-projection of a tilt series with any geometry, slab by slab.

An image point (u, v) of tilt i depends on a voxel (x, y, z) through a 2 × 3 matrix with columns
P_x, P_y, P_z. Each image is resampled once on a grid with axes a = P_x / |P_x| and P_y, whose
coordinates of a voxel are::

    line position   |P_x| · x + step_z · z
    line number     y + lean · z                with (step_z, lean) = [a, P_y]⁻¹ P_z

This is exact for every axis, tilt, x-tilt and shift. Without x-tilt lean is 0 and a line meets one
y only. With it, lean is ``-tan(xtilt)``: the part all tilts share is undone by shifting each
finished plane along y, and what is left of a single tilt by shifting its lines for every slab,
slabs being made so thin that it stays below `LEAN_ERROR_PX`.

Legend: N tilts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.kernels import backprojection as kernels
from napari_tomoflow.core.kernels.resample import transpose_into_blocks
from napari_tomoflow.core.ops.resample import SHIFT_TAPS, shift_rows

Floats = NDArray[np.float64]
Image = NDArray[np.float32]

LEAN_ERROR_PX = 0.05
"""Largest distance along y by which a line may miss a voxel."""


@dataclass(frozen=True, eq=False)
class LineGeometry:
    """Which point of which line every voxel sees, in voxels from the centres.

    Attributes
    ----------
    image_from_line : float64[N, 2, 3]
        Image point (x, y) of the line point (u, v, 1).
    step_x, step_z : float64[N]
        Line position u per voxel of x and of z.
    lean : float64[N]
        Line number v per voxel of z.
    shape_zyx : tuple of int
        The volume.
    n_u, n_v : int
        Length and number of lines so that every voxel falls on one.
    """

    image_from_line: Floats
    step_x: Floats
    step_z: Floats
    lean: Floats
    shape_zyx: tuple[int, int, int]
    n_u: int
    n_v: int

    @property
    def common_lean(self) -> float:
        """The part of the lean all tilts share: the middle between the extremes; 0 when it does not matter."""
        middle = float(self.lean.min() + self.lean.max()) / 2
        return middle if np.abs(self.lean).max() * self.shape_zyx[0] / 2 > LEAN_ERROR_PX else 0.0

    @property
    def own_lean(self) -> Floats:
        """What each tilt's lean differs by: float64[N]."""
        return self.lean - self.common_lean

    @property
    def slab_limit(self) -> int:
        """Most planes over which the lines of a tilt may stay where they are."""
        most = np.abs(self.own_lean).max()
        nz = self.shape_zyx[0]
        return nz if most * nz / 2 <= LEAN_ERROR_PX else max(1, int(2 * LEAN_ERROR_PX / most))


def line_geometry(matrices: Floats, voxel_ang: float, shape_zyx: tuple[int, int, int]) -> LineGeometry:
    """Work out the lines for a volume.

    Parameters
    ----------
    matrices : float64[N, 3, 4]
        From `Alignment.image_from_sample`, Å.
    voxel_ang : float
        Width of a voxel.
    shape_zyx : tuple of int
    """
    nz, ny, nx = shape_zyx
    p_x, p_y, p_z = (matrices[:, :2, column] for column in range(3))
    step_x = np.linalg.norm(p_x, axis=1)
    # At 90° the x of the specimen is along the beam; any direction across the axis will do.
    across = np.where(step_x[:, None] > 1e-6, p_x, p_y[:, ::-1] * (1, -1))
    axes = np.stack([across / np.linalg.norm(across, axis=1)[:, None], p_y], axis=2)
    # Contiguous: kernels are compiled anew for every layout they meet.
    step_z, lean = np.ascontiguousarray(np.linalg.solve(axes, p_z[:, :, None])[:, :, 0].T)
    image_from_line = np.concatenate([axes, matrices[:, :2, 3:] / voxel_ang], axis=2)
    half_u = int(np.ceil((step_x * nx + np.abs(step_z) * nz).max() / 2)) + 2
    most_lean = np.abs(lean).max() * nz / 2
    margin = int(np.ceil(most_lean)) + SHIFT_TAPS if most_lean > LEAN_ERROR_PX else 0
    return LineGeometry(image_from_line, step_x, step_z, lean, shape_zyx, 2 * half_u, ny + 2 * margin)


def grid_in_image(geometry: LineGeometry, tilt: int, shape_yx: tuple[int, int], px_per_voxel: float = 1.0) -> Floats:
    """Return where the grid of lines of one tilt lies in its image: float64[2, 3], from indices to 0-based (x, y)."""
    affine: Floats = px_per_voxel * geometry.image_from_line[tilt]
    affine[:, 2] += (shape_yx[1] // 2, shape_yx[0] // 2)
    affine[:, 2] -= affine[:, :2] @ (geometry.n_u // 2, geometry.n_v // 2)
    return affine


def angular_spacing(tilt_deg: ArrayLike) -> Floats:
    """Return the angle each tilt stands for, radians: half the way to either neighbour.

    The outermost tilts stand for a full step. Tilts at the same angle share it.
    """
    angles, which, counts = np.unique(np.round(np.deg2rad(tilt_deg), 9), return_inverse=True, return_counts=True)
    if len(angles) == 1:
        return np.full(np.shape(tilt_deg), 1.0 / counts[0])
    steps = np.diff(angles)
    spacing = (np.append(steps[0], steps) + np.append(steps, steps[-1])) / 2
    return np.asarray((spacing / counts)[which])


class Backprojector:
    """Holds the lines of a tilt series and spreads them into slabs of the volume.

    Parameters
    ----------
    geometry : LineGeometry
    tilt_of : int64[n], optional
        Which tilt each set of lines belongs to, when a tilt has several; without it, one set each.
    """

    def __init__(self, geometry: LineGeometry, tilt_of: NDArray[np.int64] | None = None) -> None:
        self.geometry = geometry
        self._tilt_of = np.arange(len(geometry.step_x)) if tilt_of is None else tilt_of
        n_sets = len(self._tilt_of)
        self._blocks = _aligned_zeros((-(-geometry.n_v // kernels.ROWS), n_sets, geometry.n_u, kernels.ROWS))
        moves = geometry.slab_limit < geometry.shape_zyx[0]
        self._lines = np.zeros((n_sets, geometry.n_v, geometry.n_u), np.float32) if moves else None

    @property
    def nbytes(self) -> int:
        """Memory the lines take."""
        return self._blocks.nbytes + (self._lines.nbytes if self._lines is not None else 0)

    def add(self, number: int, lines_vu: Image) -> None:
        """Take one set of lines, float32[n_v, n_u]: those of a tilt."""
        if self._lines is not None:
            self._lines[number] = lines_vu
        else:
            transpose_into_blocks(self._blocks[:, number], lines_vu)

    def fill(self, slab_zyx: Image, z0: int) -> None:
        """Compute planes ``z0 …`` of the volume into ``slab_zyx``, at most ``geometry.slab_limit`` of them."""
        shape = self.geometry
        nz, ny, nx = shape.shape_zyx
        heights = z0 + np.arange(len(slab_zyx)) - nz // 2
        if self._lines is not None:
            for number, shift in enumerate(shape.own_lean[self._tilt_of] * heights.mean()):
                moved = shift_rows(self._lines[number : number + 1], [shift], shape.n_v)
                transpose_into_blocks(self._blocks[:, number], moved[0])
        planes = slab_zyx if shape.n_v == ny else np.empty((len(slab_zyx), shape.n_v, nx), np.float32)
        self._spread(planes, int(heights[0]))
        if planes is not slab_zyx:
            slab_zyx[:] = shift_rows(planes, shape.common_lean * heights, ny)

    def _spread(self, planes_zvx: Image, lowest: int) -> None:
        """Fill planes of whole lines, the first of them at height `lowest`."""
        shape = self.geometry
        kernels.backproject(planes_zvx, self._blocks, self._start_u(lowest), shape.step_x, shape.step_z)

    def _start_u(self, lowest: int) -> Floats:
        """Return the line position of the first voxel of a plane: float64[N]."""
        shape = self.geometry
        start_u: Floats = shape.n_u // 2 - shape.step_x * (shape.shape_zyx[2] // 2) + shape.step_z * lowest
        return start_u


def _aligned_zeros(shape: tuple[int, ...]) -> Image:
    """Allocate on a 64-byte boundary: a row read across two cache lines costs twice."""
    size = int(np.prod(shape))
    raw = np.zeros(size + 16, np.float32)
    start = -(raw.ctypes.data // 4) % 16
    return raw[start : start + size].reshape(shape)


def specimen_thickness(sd_profile: NDArray[np.float64]) -> float | None:
    """Estimate how many planes the specimen fills: full width at half height of the SD profile.

    Returns
    -------
    float or None
        Planes; None when no plane stands out by a tenth from the emptiest ones, or the specimen
        reaches both ends.
    """
    low, high = np.percentile(sd_profile, (5, 95))
    inside = np.flatnonzero(sd_profile > (low + high) / 2)
    if high < 1.1 * low or not len(inside) or (inside[0] == 0 and inside[-1] == len(sd_profile) - 1):
        return None
    return float(inside[-1] - inside[0] + 1)
