"""Where the symmetry axes of a map lie, and maps turned so that they lie along z and x."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.kernels.poses import turn_onto_lattice
from napari_tomoflow.core.ops.so3 import angular_distance_deg, rotation_grid, symmetry_operators

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

_STEP_DEG = 9.0
_ROUGH_RADIUS = 6.0
_STARTS = 3
_EVALUATIONS = 250
_SAME_AGREEMENT = 1e-3
"""Climbs that end this near each other in agreement ended at the same axes, or at such as are alike."""

_SAMPLES_AT_A_TIME = 2_000_000


@dataclass(frozen=True, eq=False)
class Frame:
    """A new frame for a map: ``x_old = rotation · x_new + shift``, (x, y, z) in voxels from the centre.

    Attributes
    ----------
    rotation : float64[3, 3]
    shift_px_xyz : float64[3]
    agreement : float
        Share of the map's power that its symmetrised version keeps there, 0 to 1.
    """

    rotation: Floats
    shift_px_xyz: Floats
    agreement: float = 1.0

    @property
    def inverse(self) -> "Frame":
        """Return the frame that leads back."""
        return Frame(self.rotation.T, -self.rotation.T @ self.shift_px_xyz, self.agreement)

    def seen(self, volume: Reals, operators: Floats | None = None) -> Reals:
        """Return a map in the new frame, by cubic interpolation; with operators, the mean of all it is turned by."""
        from scipy.ndimage import affine_transform

        centre, total = np.array(volume.shape) // 2, np.zeros(volume.shape, np.float64)
        turns = self.rotation[None] if operators is None else self.rotation @ operators
        for turn in turns:
            matrix = turn[::-1, ::-1]
            total += affine_transform(volume, matrix, centre + self.shift_px_xyz[::-1] - matrix @ centre, order=3)
        return np.asarray(total / len(turns), np.float32)


def centroid_px_xyz(volume: Reals) -> Floats:
    """Return the centre of mass of the densest tenth of a map, from its centre."""
    dense = np.clip(volume - np.quantile(volume, 0.9), 0.0, None).astype(np.float64)
    total = dense.sum()
    if not total > 0:
        return np.zeros(3)
    offset = np.arange(len(volume)) - len(volume) // 2
    return np.array([(dense.sum(axis=tuple({0, 1, 2} - {axis})) * offset).sum() / total for axis in (2, 1, 0)])


def find_axes(volume: Reals, symmetry: str, radius: float) -> Frame:
    """Find the frame in which a map agrees best with itself turned by a point group: the first of `likely_axes`."""
    return likely_axes(volume, symmetry, radius)[0]


def likely_axes(volume: Reals, symmetry: str, radius: float) -> list[Frame]:
    """Find the frames in which a map agrees well with itself turned by a point group, the best first.

    Parameters
    ----------
    volume : float32[n, n, n]
        Without symmetry imposed, outside the particle 0.
    symmetry : str
    radius : float
        Frequencies looked at, in steps of the box.

    Notes
    -----
    Rotations all over are compared about two centres, that of the box and the map's centroid; the best of each are
    refined together with the centre by Nelder and Mead's method. Some of what they end at may be false: a stack of
    rings, say, is nearly alike about the middle of one and half-way between two.
    """
    centroid = centroid_px_xyz(volume)
    operators = symmetry_operators(symmetry)
    if len(operators) == 1:
        return [Frame(np.eye(3), centroid)]
    grid = _directions(symmetry)
    found = []
    for centre in (np.zeros(3), centroid):
        centred = Frame(np.eye(3), centre).seen(volume)
        rough = _SelfAgreement(centred, operators, min(radius, _ROUGH_RADIUS)).of_rotations(grid)
        fine = _SelfAgreement(centred, operators, radius)
        for start in _apart(grid, rough, symmetry):
            frame = climbed(fine.of, grid[start], np.zeros(3), _STEP_DEG / 2, 1.0)
            found.append(Frame(frame.rotation, centre + frame.shift_px_xyz, frame.agreement))
    return _unlike(found)


def _apart(grid: Floats, agreement: Floats, symmetry: str) -> list[int]:
    """Choose the rotations of a grid that agree best and do not lie beside each other."""
    chosen: list[int] = []
    for number in np.argsort(-agreement, kind="stable"):
        if all(angular_distance_deg(grid[number], grid[other], symmetry) > 1.5 * _STEP_DEG for other in chosen):
            chosen.append(int(number))
        if len(chosen) == _STARTS:
            break
    return chosen


def _unlike(frames: list[Frame]) -> list[Frame]:
    """Sort frames by agreement, and leave out those that came to the same."""
    ordered = sorted(frames, key=lambda frame: -frame.agreement)
    kept = ordered[:1]
    for frame in ordered[1:]:
        if kept[-1].agreement - frame.agreement > _SAME_AGREEMENT:
            kept.append(frame)
    return kept


def self_agreement(volume: Reals, symmetry: str, radius: float) -> float:
    """Return the share of its power that a map keeps when it is averaged over a point group, up to a frequency."""
    return _SelfAgreement(volume, symmetry_operators(symmetry), radius).of(np.eye(3), np.zeros(3))


def climbed(
    agreement: Callable[[Floats, Floats], float],
    rotation: Floats,
    shift_px_xyz: Floats,
    step_deg: float,
    step_px: float,
) -> Frame:
    """Climb from a frame to the nearest that agrees best, by Nelder and Mead's method.

    Parameters
    ----------
    agreement : callable
        Of a rotation and a shift as in `Frame`.
    rotation : float64[3, 3]
    shift_px_xyz : float64[3]
    step_deg, step_px : float
        First steps; the nearest maximum is no farther away.
    """
    from scipy.optimize import minimize
    from scipy.spatial.transform import Rotation

    def turned(step: Floats) -> Floats:
        return np.asarray(rotation @ Rotation.from_rotvec(step).as_matrix())

    def lost(step: Floats) -> float:
        return -agreement(turned(step[:3]), step[3:])

    start = np.concatenate([np.zeros(3), shift_px_xyz])
    simplex = start + np.vstack([np.zeros(6), np.diag([np.deg2rad(step_deg)] * 3 + [step_px] * 3)])
    options: Any = {"initial_simplex": simplex, "maxfev": _EVALUATIONS, "xatol": 1e-3, "fatol": 1e-6}
    best = minimize(lost, start, method="Nelder-Mead", options=options)
    return Frame(turned(best.x[:3]), np.asarray(best.x[3:]), -float(best.fun))


def _directions(symmetry: str) -> Floats:
    """Return rotations that bring the axes of a group everywhere, each place once."""
    grid = rotation_grid(_STEP_DEG, symmetry)
    if not symmetry.upper().startswith("C"):
        return grid
    # Turning about the one axis changes nothing: one of the rotations that share its direction is enough.
    _, first = np.unique(np.round(grid[:, :, 2], 6), axis=0, return_index=True)
    return grid[np.sort(first)]


class _SelfAgreement:
    """How much of a map's power is left when it is averaged over a group that lies in some frame."""

    def __init__(self, volume: Reals, operators: Floats, radius: float) -> None:
        n = len(volume)
        self._grid = CubeGrid(n, 2.0, min(radius + 1.0, n / 2))
        self._cube = self._grid.cube_of(volume)
        self._operators, self._n = operators, n
        half = int(radius)
        along = np.arange(-half, half + 1)
        z, y, x = np.meshgrid(along, along, np.arange(half + 1), indexing="ij")
        distance = np.sqrt(x**2 + y**2 + z**2)
        inside = (distance <= radius) & (distance > 0)
        self._points = np.stack([x[inside], y[inside], z[inside]], axis=1)

    def of_rotations(self, rotations: Floats) -> Floats:
        """Return the share for frames that are only turned: float64[R]."""
        count = max(1, _SAMPLES_AT_A_TIME // (len(self._operators) * len(self._points)))
        parts = [self._shares(rotations[start : start + count]) for start in range(0, len(rotations), count)]
        return np.concatenate(parts)

    def of(self, rotation: Floats, shift_px_xyz: Floats) -> float:
        """Return the share for one frame."""
        turns = rotation @ self._operators
        # The centre becomes the origin: a phase at each frequency the map is sampled at.
        phase = 2j * np.pi / self._n * (np.swapaxes(turns, 1, 2) @ shift_px_xyz) @ self._points.T
        return float(self._shares(rotation[None], np.exp(phase).astype(np.complex64))[0])

    def _shares(self, rotations: Floats, ramps: NDArray[np.complex64] | None = None) -> Floats:
        """Average what is sampled in all turns of each frame, and compare its power with theirs."""
        turns = (rotations[:, None] @ self._operators).reshape(-1, 3, 3)
        values = np.empty((len(turns), 2, len(self._points)), np.float32)
        power = np.empty((len(turns), len(self._points)), np.float32)
        backwards = np.ascontiguousarray(np.swapaxes(turns, 1, 2) * self._grid.scale, np.float32)
        turn_onto_lattice(values, power, self._cube, backwards, self._points.astype(np.float32))
        sampled = values[:, 0] + 1j * values[:, 1]
        if ramps is not None:
            sampled *= ramps
        each = len(self._operators)
        mean = sampled.reshape(len(rotations), each, -1).mean(axis=1)
        kept = np.sum(mean.real**2 + mean.imag**2, axis=1, dtype=np.float64)
        whole = power.reshape(len(rotations), -1).sum(axis=1, dtype=np.float64) / each
        return np.asarray(kept / np.maximum(whole, 1e-30))
