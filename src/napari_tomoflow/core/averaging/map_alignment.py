"""Where a map lies in another: rotation, shift, and which of its two hands.

Both maps are compared shell by shell, whatever their amplitudes, so that neither filters nor B factors matter. What a
shell of n frequencies and of correlation ρ tells in favour of a frame, if all that differs is noise, is
−n/2 log(1 − ρ²). At low resolution all rotations are compared, each shifted all ways by one small Fourier transform.
The best are climbed from, with more and more shells, as far as the maps agree.

A frame says where a voxel of the target is found in the map: ``x_map = rotation · x_target + shift``.

Legend: R rotations, G points of the lattice of frequencies.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.search import not_beside
from napari_tomoflow.core.averaging.symmetry_axis import Frame, climbed
from napari_tomoflow.core.kernels.poses import turn_onto_lattice
from napari_tomoflow.core.ops.so3 import rotation_grid
from napari_tomoflow.core.report import Report, part, watched

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]
Waves = NDArray[np.complex64]

_COARSE_RADIUS = 7.0
_STEP_DEG = 12.0
"""What that radius asks for, of a particle of 0.6 times the box."""

_GROWTH = 1.7
_FINEST_RADIUS = 40.0
"""A fiftieth of this shell's wavelength is 0.05 % of the box: finer ones only cost time."""

_CANDIDATES = 12
_AGREEING = 0.3
_MOST = 0.999
_ROTATIONS_PER_BLOCK = 256


def align_map_to(moving: Reals, target: Reals, radius: float, report: Report) -> tuple[Frame, float]:
    """Find the frame in which a map is like another.

    Parameters
    ----------
    moving, target : float32[n, n, n]
        On one grid, n even, outside the particle 0 as far as that is known.
    radius : float
        Frequencies looked at, at most, in steps of the box.
    report : Report

    Returns
    -------
    frame : Frame
        Its agreement is that of `Likeness`.
    radius : float
        How far they do, in steps of the box.
    """
    radii = _radii(min(radius, len(target) / 2 - 1.0, _FINEST_RADIUS))
    frames = _everywhere(moving, target, radii[0], part(report, 0, 2))
    step_deg, step_px = _STEP_DEG / 2, 0.15 * len(target) / radii[0]
    for number, reach in enumerate(radii):
        likeness = Likeness.of(moving, target, reach)
        frames = frames[: max(1, _CANDIDATES // 3**number)]
        watch = watched(frames, part(part(report, 1, 2), number, len(radii)), "Refining the alignment")
        found = [climbed(likeness.of_frame, one.rotation, one.shift_px_xyz, step_deg, step_px) for one in watch]
        frames = sorted(found, key=lambda frame: -frame.agreement)
        step_deg, step_px = step_deg / _GROWTH, step_px / _GROWTH
        if not likeness.agrees_at_the_edge(frames[0]):
            break
    report(1, 1, "Aligned")
    return frames[0], reach


def _radii(finest: float) -> list[float]:
    """Go from the coarse radius to the finest."""
    radii = [min(_COARSE_RADIUS, finest)]
    while radii[-1] < finest:
        radii.append(min(_GROWTH * radii[-1], finest))
    return radii


def _everywhere(moving: Reals, target: Reals, radius: float, report: Report) -> list[Frame]:
    """Compare all rotations, each at its best shift: the best that are not beside each other, best first."""
    likeness = Likeness.of(moving, target, radius)
    grid = rotation_grid(_STEP_DEG)
    size = scipy.fft.next_fast_len(3 * int(np.ceil(radius)) + 2, real=True)
    best, shifts = np.empty(len(grid)), np.empty((len(grid), 3))
    for start in watched(range(0, len(grid), _ROTATIONS_PER_BLOCK), report, "Comparing the maps all ways"):
        these = slice(start, start + _ROTATIONS_PER_BLOCK)
        maps = likeness.over_shifts(grid[these], size).reshape(len(grid[these]), -1)
        highest = maps.argmax(axis=1)
        best[these] = maps[np.arange(len(maps)), highest]
        place = np.stack(np.unravel_index(highest, (size, size, size))[::-1], axis=-1)
        moved_px = ((place + size // 2) % size - size // 2) * (len(target) / size)
        shifts[these] = np.einsum("rij,rj->ri", grid[these], moved_px)
    order = np.argsort(-best, kind="stable")[: 20 * _CANDIDATES]
    chosen = order[not_beside(grid[order], 1.2 * _STEP_DEG, _CANDIDATES)]
    return [Frame(grid[one], shifts[one], float(best[one])) for one in chosen]


@dataclass(frozen=True, eq=False)
class Likeness:
    """How alike two maps are in any frame.

    Attributes
    ----------
    cube_rft : complex64[2 c + 1, 2 c + 1, c + 1]
        Of the map that is moved.
    grid : CubeGrid
    points : float32[G, 3]
        Frequencies (x, y, z) in steps of the box; of each and its opposite only one.
    target : complex64[G]
        What the target has there, each shell divided by its own amplitudes and by those of the map that is moved.
    shell : int64[G]
    """

    cube_rft: Waves
    grid: CubeGrid
    points: Reals
    target: Waves
    shell: NDArray[np.int64]

    @classmethod
    def of(cls, moving: Reals, target: Reals, radius: float) -> "Likeness":
        """Prepare to compare two maps up to a radius."""
        n = len(target)
        grid = CubeGrid(n, 2.0, min(radius + 1.0, n / 2))
        half = int(radius)
        along = np.arange(-half, half + 1)
        z, y, x = np.meshgrid(along, along, np.arange(half + 1), indexing="ij")
        distance = np.sqrt(x**2 + y**2 + z**2)
        inside = (distance <= radius) & (distance > 0) & ((x > 0) | (y > 0) | ((y == 0) & (z > 0)))
        points = np.stack([x[inside], y[inside], z[inside]], axis=1).astype(np.float32)
        shell = np.rint(distance[inside]).astype(np.int64) - 1
        cube = grid.cube_of(moving)
        there, here = (_sampled(one, grid, np.eye(3)[None], points)[0] for one in (grid.cube_of(target), cube))
        count = np.bincount(shell)
        power = [np.bincount(shell, np.abs(one) ** 2) / count for one in (there, here)]
        scale = 1.0 / np.sqrt(np.maximum(power[0] * power[1], 1e-30))
        return cls(cube, grid, points, (there * scale[shell]).astype(np.complex64), shell)

    def shells(self, frame: Frame) -> Floats:
        """Return the correlation of each shell: float64[S]."""
        product = (np.conj(self.target) * self._moved(frame)).real
        return np.asarray(np.bincount(self.shell, product) / np.bincount(self.shell))

    def of_frame(self, rotation: Floats, shift_px_xyz: Floats) -> float:
        """Return the agreement in a frame: what all shells tell in favour of it, by the number of frequencies."""
        shells = np.clip(self.shells(Frame(rotation, shift_px_xyz)), -_MOST, _MOST)
        told = -0.5 * np.sign(shells) * np.log(1.0 - shells**2)
        return float(told @ np.bincount(self.shell)) / len(self.shell)

    def correlation(self, frame: Frame) -> float:
        """Return the mean correlation of all frequencies in a frame."""
        return float(self.shells(frame) @ np.bincount(self.shell)) / len(self.shell)

    def agrees_at_the_edge(self, frame: Frame) -> bool:
        """Tell whether the finest shells, a quarter of them, still agree."""
        shells = self.shells(frame)
        return bool(shells[-max(1, len(shells) // 4) :].mean() > _AGREEING)

    def over_shifts(self, rotations: Floats, size: int) -> Reals:
        """Compare some rotations at all shifts, in the frame of the target: float32[R, size, size, size] (z, y, x)."""
        turned = _sampled(self.cube_rft, self.grid, rotations, self.points) * np.conj(self.target)
        x, y, z = self.points.T.astype(int)
        spectrum = np.zeros((len(rotations), size, size, size // 2 + 1), np.complex64)
        spectrum[:, z % size, y % size, x] = turned
        flat = x == 0  # of this plane a half transform holds every frequency and its opposite
        spectrum[:, -z[flat] % size, -y[flat] % size, 0] = np.conj(turned[:, flat])
        return np.asarray(scipy.fft.irfftn(spectrum, s=(size,) * 3, axes=(1, 2, 3), workers=-1), np.float32)

    def _moved(self, frame: Frame) -> Waves:
        """Sample the map in a frame."""
        ramp = 2j * np.pi / self.grid.box_px * (self.points @ (frame.rotation.T @ frame.shift_px_xyz))
        return np.asarray(_sampled(self.cube_rft, self.grid, frame.rotation[None], self.points)[0] * np.exp(ramp))


def _sampled(cube_rft: Waves, grid: CubeGrid, rotations: Floats, points: Reals) -> Waves:
    """Sample the transform of a map, turned into some frames: complex64[R, G]."""
    values = np.empty((len(rotations), 2, len(points)), np.float32)
    power = np.empty((len(rotations), len(points)), np.float32)
    backwards = np.ascontiguousarray(np.swapaxes(rotations, 1, 2) * grid.scale, np.float32)
    turn_onto_lattice(values, power, cube_rft, backwards, points)
    return np.asarray(values[:, 0] + 1j * values[:, 1], np.complex64)
