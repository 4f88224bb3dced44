"""The pose in which a map agrees best with the images of a particle, by searching everywhere or around a known one.

With D and P as in `core.averaging.images` and S the slices of the map at a pose, a particle that holds the map with any
strength is likeliest where the *agreement* is highest::

    agreement = (Σ Re D* S)² / Σ P |S|²        the gain in log likelihood over an empty image

with one of each frequency and its opposite in the sums.

Everywhere: at low resolution what the tilts show of a particle is first summed on a lattice of its own in three
dimensions. The map, turned all ways, is sampled on the same lattice once for all particles; all agreements of all
particles, shifts and rotations are then one product of matrices. The best rotations are climbed from.

Climbing: damped Gauss-Newton steps in the six numbers of a pose on the images themselves, at first with few shells and
many candidates, then with more of the former and fewer of the latter.

Legend: P particles, K candidates of each, R rotations, G points of the lattice, T shifts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.samples import Samples
from napari_tomoflow.core.kernels import poses as kernels
from napari_tomoflow.core.model.optics import MOST_STRETCH
from napari_tomoflow.core.ops.so3 import angular_distance_deg

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Waves = NDArray[np.complex64]
Indices = NDArray[np.int64]

_PARTICLES_PER_BLOCK = 8
_ROTATIONS_PER_BLOCK = 512
"""A block's agreements and its share of the turned map stay in the caches."""

_POOL = 6
"""Rotations looked through for each candidate that is wanted, as the best lie beside each other."""

_STEPS = 8
"""Gauss-Newton steps at each resolution; most poses need five."""


@dataclass(frozen=True, eq=False)
class Reference:
    """A map ready to be compared with images of its own box.

    Attributes
    ----------
    cube_rft : complex64[2 c + 1, 2 c + 1, c + 1]
    grid : CubeGrid
    """

    cube_rft: Waves
    grid: CubeGrid

    @classmethod
    def of(cls, volume: Reals, radius: float, padding: float = 2.0) -> "Reference":
        """Prepare a map; frequencies from `radius` on, in steps of its box, are not looked at."""
        grid = CubeGrid(len(volume), padding, min(radius + 1.0, len(volume) / 2))
        return cls(grid.cube_of(volume), grid)


@dataclass(frozen=True, eq=False)
class Poses:
    """Where particles are thought to be. Legend: P particles, K poses of each, the best first.

    Attributes
    ----------
    rotations : float64[P, K, 3, 3]
        A.
    shift_px_xyz : float64[P, K, 3]
        From where the particle's images are centred to where it is, in the tomogram.
    agreement : float64[P, K]
        See `core.averaging.search`; −1 where the map is seen with the wrong sign.
    strength : float64[P, K]
        How strong the map is in the particle; 1 is as strong as in the map itself.
    """

    rotations: Floats
    shift_px_xyz: Floats
    agreement: Floats
    strength: Floats

    @classmethod
    def at(cls, rotations: Floats) -> "Poses":
        """Take rotations of shape (P, 3, 3) or (P, K, 3, 3), unshifted and not yet compared with anything."""
        some = rotations[:, None] if rotations.ndim == 3 else rotations
        nothing = np.zeros(some.shape[:2])
        return cls(some, np.zeros((*some.shape[:2], 3)), nothing, nothing)

    def __getitem__(self, chosen: Indices) -> "Poses":
        """Return the poses of some particles."""
        return Poses(*(column[chosen] for column in self._columns))

    def replaced(self, chosen: Indices, others: "Poses") -> "Poses":
        """Return all poses, those of some particles exchanged."""
        columns = [column.copy() for column in self._columns]
        for column, new in zip(columns, others._columns, strict=True):
            column[chosen] = new
        return Poses(*columns)

    @property
    def _columns(self) -> tuple[Floats, ...]:
        return self.rotations, self.shift_px_xyz, self.agreement, self.strength

    def best(self, count: int) -> "Poses":
        """Keep the best few of each particle, in order."""
        order = np.argsort(-self.agreement, axis=1, kind="stable")[:, :count]
        each = np.arange(len(order))[:, None]
        return Poses(*(column[each, order] for column in self._columns))


def climb(
    samples: Samples, reference: Reference, poses: Poses, radius: float, reach_px: float, steps: int = _STEPS
) -> Poses:
    """Climb from each pose to the nearest maximum of the agreement.

    Parameters
    ----------
    samples : Samples
    reference : Reference
    poses : Poses
    radius : float
        Frequencies looked at, in steps of the box.
    reach_px : float
        A pose further from where the images are centred is none: its agreement is −1.
    steps : int
        At most; 0 compares the poses as they are.
    """
    grid = reference.grid
    width = grid.box_px * grid.scale
    packed = np.concatenate([poses.rotations, poses.shift_px_xyz[..., None] / width], axis=-1)
    sums = np.empty((*packed.shape[:2], 2))
    places = samples.places[: samples.count_within(radius)]
    axes = samples.rows * np.float32(grid.scale)
    kernels.polish_poses(packed, sums, reference.cube_rft, samples.values, samples.power, axes, places, steps)
    shift_px = packed[..., 3] * width
    allowed = (sums[..., 0] > 0) & (sums[..., 1] > 0) & (np.linalg.norm(shift_px, axis=-1) <= reach_px)
    strength = np.divide(sums[..., 0], sums[..., 1], out=np.zeros(sums.shape[:2]), where=sums[..., 1] > 0)
    return Poses(packed[..., :3], shift_px, np.where(allowed, sums[..., 0] * strength, -1.0), strength)


@dataclass(frozen=True, eq=False)
class Everywhere:
    """A search over a whole grid of poses at low resolution.

    Attributes
    ----------
    rotations : float64[R, 3, 3]
        `so3.rotation_grid`.
    step_deg : float
        Of that grid: candidates are no closer to each other.
    radius : float
        Frequencies looked at, in steps of the box.
    reach_px : float
        Largest shift.
    """

    rotations: Floats
    step_deg: float
    radius: float
    reach_px: float

    def candidates(self, samples: Samples, reference: Reference, count: int) -> Poses:
        """Return the best poses of each particle on the grid."""
        points, numbers = lattice_within(self.radius)
        shifts_px = shifts_within(self.reach_px, self.radius, samples.box_px)
        places = samples.places[: samples.count_within(self.radius)]
        shape = (len(samples), len(points))
        sums, power = np.empty(shape, np.complex64), np.empty(shape, np.float32)
        kernels.gather_on_lattice(sums, power, samples.values, samples.power, samples.rows, places, numbers)
        ramps = np.exp(2j * np.pi / samples.box_px * shifts_px @ points.T).astype(np.complex64)
        best, shift = self._compared(reference, points, sums, power, ramps)
        return self._apart(best, shifts_px[shift], count)

    def _compared(
        self, reference: Reference, points: Indices, sums: Waves, power: Reals, ramps: Waves
    ) -> tuple[Reals, Indices]:
        """Return the best agreement over all shifts and the number of the shift: two arrays [P, R]."""
        shape = (len(sums), len(self.rotations))
        best, shift = np.empty(shape, np.float32), np.empty(shape, np.int64)
        turning = (self.rotations * reference.grid.scale).astype(np.float32)
        at = points.astype(np.float32)
        with threadpool_limits(1, "blas"):  # how many threads share a product shows in its last digits
            for start in range(0, len(turning), _ROTATIONS_PER_BLOCK):
                these = slice(start, start + _ROTATIONS_PER_BLOCK)
                turned = np.empty((len(turning[these]), 2, len(points)), np.float32)
                squared = np.empty((len(turned), len(points)), np.float32)
                kernels.turn_onto_lattice(turned, squared, reference.cube_rft, turning[these], at)
                for first in range(0, len(sums), _PARTICLES_PER_BLOCK):
                    some = slice(first, first + _PARTICLES_PER_BLOCK)
                    best[some, these], shift[some, these] = _block(sums[some], power[some], ramps, turned, squared)
        return best, shift

    def _apart(self, best: Reals, shift_px: Floats, count: int) -> Poses:
        """Choose for each particle the best rotations that are not beside a better one."""
        count = min(count, best.shape[1])
        pool = min(_POOL * count, best.shape[1])
        foremost = np.argpartition(-best, pool - 1, axis=1)[:, :pool]
        each = np.arange(len(best))[:, None]
        foremost = foremost[each, np.lexsort((foremost, -best[each, foremost]))]
        chosen = np.stack([not_beside(self.rotations[one], 1.2 * self.step_deg, count) for one in foremost])
        chosen = foremost[each, chosen]
        agreement = best[each, chosen].astype(np.float64)
        return Poses(self.rotations[chosen], shift_px[each, chosen], agreement, np.zeros_like(agreement))


def _block(sums: Waves, power: Reals, ramps: Waves, turned: Reals, squared: Reals) -> tuple[Reals, Indices]:
    """Compare some particles, shifted all ways, with a map turned some ways: two arrays [P, R]."""
    n_particles, n_shifts = len(sums), len(ramps)
    shifted = sums[:, None] * ramps
    rows = np.concatenate([shifted.real, shifted.imag], axis=2).reshape(n_particles * n_shifts, -1)
    products = (rows @ turned.reshape(len(turned), -1).T).reshape(n_particles, n_shifts, -1)
    shift = products.argmax(axis=1)
    highest = np.maximum(np.take_along_axis(products, shift[:, None], axis=1)[:, 0], 0.0)
    norm = power @ squared.T
    best = np.divide(highest**2, norm, out=np.zeros_like(norm), where=norm > 0)
    return best, shift


def shifts_within(reach_px: float, radius: float, box_px: int) -> Floats:
    """List the shifts of a cubic grid within reach, as fine as a radius asks for: float64[T, 3] as (x, y, z)."""
    step = 0.3 * box_px / radius
    n = int(reach_px / step)
    along = np.arange(-n, n + 1) * step
    grid = np.stack(np.meshgrid(along, along, along, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(grid[np.linalg.norm(grid, axis=1) <= reach_px + 1e-9])


def lattice_within(radius: float) -> tuple[Indices, Indices]:
    """List the points (x, y, z) within a radius, x ≥ 0 and not 0, and number them as `gather_on_lattice` wants them."""
    half = int(np.ceil(MOST_STRETCH * radius)) + 1
    along = np.arange(-half, half + 1)
    z, y, x = np.meshgrid(along, along, np.arange(half + 1), indexing="ij")
    distance = np.sqrt(x**2 + y**2 + z**2)
    inside = (distance <= radius) & (distance > 0)
    numbers = np.full(inside.shape, -1, np.int64)
    numbers[inside] = np.arange(np.count_nonzero(inside))
    return np.stack([x[inside], y[inside], z[inside]], axis=1), numbers


def not_beside(rotations: Floats, distance_deg: float, count: int) -> Indices:
    """Take rotations in order, but none close to one taken before; fill up with the first left out: int64[count]."""
    left = np.arange(len(rotations))
    taken: list[int] = []
    while len(left) and len(taken) < count:
        taken.append(int(left[0]))
        left = left[angular_distance_deg(rotations[left], rotations[left[0]]) > distance_deg]
    rest = [number for number in range(len(rotations)) if number not in taken]
    return np.array(taken + rest[: count - len(taken)])


def refined(samples: Samples, reference: Reference, poses: Poses, radii: Sequence[float], reach_px: float) -> Poses:
    """Climb with more and more shells and fewer and fewer candidates; the best pose of each particle remains."""
    count = poses.rotations.shape[1]
    for number, radius in enumerate(radii):
        poses = climb(samples, reference, poses, radius, reach_px)
        count = 1 if number == len(radii) - 1 else max(1, count // 3)
        poses = poses.best(count)
    return poses
