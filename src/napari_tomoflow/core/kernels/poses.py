"""How well a turned and shifted map agrees with the images of a particle, and which way it would agree better.

All loops work on *samples*: coefficients of the images at the same few whole frequency steps ``places`` (u, v) in
every tilt, sorted from low to high, so that the first M of them are all within a radius. A sample of tilt t lies at
``x = u · axes[t, 0] + v · axes[t, 1]`` in the frame of the tomogram, and at ``y = Aᵀ x`` in that of the map; a pose is
the rotation A with the shift s of the particle behind it: float64[3, 4]. Per sample there are D, the image times what
weakened it, and P, the square of the latter; with M = V(y) · exp(−2πi x · s)::

    agreement = Σ Re D* M            power = Σ P |M|²

Legend: P particles, K poses of each, T tilts, M places, G points of a lattice, O rotations.
"""

import math

import numpy as np
from numba import prange

from napari_tomoflow.core.kernels._jit import inner, kernel
from napari_tomoflow.core.kernels.slices import sample_cube

# As in `kernels.slices`: indices without a sign spare the test for being negative.
_ONE = np.uintp(1)

_LONGEST_TURN_RAD = 0.2
_LONGEST_PHASE_RAD = 1.5
_CLOSE_RAD = 5e-2
"""A step is the last when it moves no sample's phase by more: most poses are then within a twentieth of what noise
does to them, and a map that is interpolated between its cells, having kinks, hardly tells any better."""
_BLOCK = 128
"""Samples whose products are summed together: they stay in the fastest memory."""
_TURN = 2.0 * math.pi


@kernel
def polish_poses(poses, sums, cube_rft, values, power, axes, places, n_steps):
    """Climb from each pose to the nearest maximum of agreement² / power, by damped Gauss-Newton steps.

    Parameters
    ----------
    poses : float64[P, K, 3, 4]
        Changed in place. The shift is in widths of the box whose frequency step is one cell of the cube.
    sums : float64[P, K, 2]
        Written: agreement and power at the pose that was reached.
    cube_rft : complex64[2 c + 1, 2 c + 1, c + 1]
        V, as in `kernels.slices`.
    values : complex64[P, T, M']
        D, with ``M' ≥ M``.
    power : float32[P, T, M']
        P.
    axes : float32[P, T, 2, 3]
        In cells of the cube to a frequency step.
    places : int64[M, 2]
    n_steps : int
        At most; 0 measures the poses as they are.

    Notes
    -----
    Not checked: shapes; every place lies within ``c - 1`` cells. Threads own whole poses. Sums are float64.
    NaN in a particle's images leaves its poses where they were.
    """
    n_poses = poses.shape[1]
    for item in prange(len(poses) * n_poses):
        particle, number = item // n_poses, item % n_poses
        pose, best = poses[particle, number], sums[particle, number]
        now, trial, changed = np.empty((7, 8)), np.empty((7, 8)), np.empty((3, 4))
        arguments = (cube_rft, values[particle], power[particle], axes[particle], places)
        measure_pose(now, pose, *arguments)
        damping = 1e-3
        for _ in range(n_steps):
            reach = _step(changed, pose, now, damping, places, axes[particle])
            if reach == 0.0:
                break
            measure_pose(trial, changed, *arguments)
            if trial[6, 7] * abs(trial[6, 7]) * now[6, 6] > now[6, 7] * abs(now[6, 7]) * trial[6, 6]:
                pose[:] = changed
                now[:] = trial
                damping *= 0.2
                if reach < _CLOSE_RAD:
                    break
            else:
                damping = max(10.0 * damping, 1e-2)
                if reach < _CLOSE_RAD or damping > 1e4:
                    break
        best[0], best[1] = now[6, 7], now[6, 6]


@inner
def measure_pose(sums, pose, cube_rft, values, power, axes, places):
    """Sum agreement, power and their slopes: rows and columns 0 to 2 turn the map about its axes, 3 to 5 shift it.

    ``sums[j, k]``, j ≤ k < 6, is Σ P Re ∂ⱼM* ∂ₖM; ``sums[j, 6]`` is Σ P Re M* ∂ⱼM and ``sums[j, 7]`` Σ Re D* ∂ⱼM;
    ``sums[6, 6]`` is the power, ``sums[6, 7]`` the agreement.
    """
    sums[:] = 0.0
    most = 0
    for place in range(len(places)):
        most = max(most, abs(places[place, 0]), abs(places[place, 1]))
    ramp_u, ramp_v = np.empty(most + 1, np.complex64), np.empty(2 * most + 1, np.complex64)
    # √P times the six slopes and M, and D / √P, each with real and imaginary part side by side.
    block = np.empty((8, 2 * _BLOCK), np.float32)
    for tilt in range(len(axes)):
        ux, uy, uz, along_u = _in_map(pose, axes[tilt, 0])
        vx, vy, vz, along_v = _in_map(pose, axes[tilt, 1])
        for k in range(most + 1):
            ramp_u[k] = complex(math.cos(along_u * k), math.sin(along_u * k))
            ramp_v[most + k] = complex(math.cos(along_v * k), math.sin(along_v * k))
            ramp_v[most - k] = ramp_v[most + k].conjugate()
        filled = 0
        for place in range(len(places)):
            weight = power[tilt, place]
            if weight > 0:
                u, v = np.float32(places[place, 0]), np.float32(places[place, 1])
                x, y, z = u * ux + v * vx, u * uy + v * vy, u * uz + v * vz
                value, along_x, along_y, along_z = _sample_with_slope(cube_rft, x, y, z)
                ramp = ramp_u[np.uintp(places[place, 0])] * ramp_v[np.uintp(most + places[place, 1])]
                root = math.sqrt(weight)
                _fill(block, filled, root, value, along_x, along_y, along_z, x, y, z)
                seen = ramp.conjugate() * values[tilt, place] / root
                block[7, filled], block[7, filled + 1] = seen.real, seen.imag
                filled += 2
            if filled == 2 * _BLOCK or place == len(places) - 1:
                _add_products(sums, block, filled)
                filled = 0


@inner
def _add_products(sums, block, filled):
    """Add the products of all rows of a block with each other."""
    for j in range(7):
        for k in range(j, 8):
            total = np.float32(0.0)
            for i in range(filled):
                total += block[j, i] * block[k, i]
            sums[j, k] += total


@inner
def _in_map(pose, axis):
    """Turn an axis of an image into the frame of the map, and tell by how much a step along it turns the phase."""
    along = -_TURN * (axis[0] * pose[0, 3] + axis[1] * pose[1, 3] + axis[2] * pose[2, 3])
    x = np.float32(pose[0, 0] * axis[0] + pose[1, 0] * axis[1] + pose[2, 0] * axis[2])
    y = np.float32(pose[0, 1] * axis[0] + pose[1, 1] * axis[1] + pose[2, 1] * axis[2])
    z = np.float32(pose[0, 2] * axis[0] + pose[1, 2] * axis[1] + pose[2, 2] * axis[2])
    return x, y, z, along


@inner
def _sample_with_slope(cube_rft, x, y, z):
    """Interpolate a cube trilinearly, as `slices.sample_cube` does, with its three derivatives."""
    half = cube_rft.shape[2] - 1
    mirrored = x < 0
    if mirrored:
        x, y, z = -x, -y, -z
    y += np.float32(half)
    z += np.float32(half)
    x0, y0, z0 = np.uintp(x), np.uintp(y), np.uintp(z)
    x1, y1, z1 = x0 + _ONE, y0 + _ONE, z0 + _ONE
    wx, wy, wz = x - np.float32(x0), y - np.float32(y0), z - np.float32(z0)
    near, far = cube_rft[z0, y0, x0], cube_rft[z0, y1, x0]
    near_x, far_x = cube_rft[z0, y0, x1] - near, cube_rft[z0, y1, x1] - far
    near, far = near + wx * near_x, far + wx * far_x
    low_y = far - near
    low, low_x = near + wy * low_y, near_x + wy * (far_x - near_x)
    near, far = cube_rft[z1, y0, x0], cube_rft[z1, y1, x0]
    near_x, far_x = cube_rft[z1, y0, x1] - near, cube_rft[z1, y1, x1] - far
    near, far = near + wx * near_x, far + wx * far_x
    high_y = far - near
    high, high_x = near + wy * high_y, near_x + wy * (far_x - near_x)
    along_z = high - low
    value, along_x, along_y = low + wz * along_z, low_x + wz * (high_x - low_x), low_y + wz * (high_y - low_y)
    if mirrored:
        return value.conjugate(), -along_x.conjugate(), -along_y.conjugate(), -along_z.conjugate()
    return value, along_x, along_y, along_z


@inner
def _fill(block, at, root, value, along_x, along_y, along_z, x, y, z):
    """Write ∇V × y, what turning the map changes, −2πi y M, what shifting it changes, and M; each times a root."""
    turn_x, turn_y, turn_z = along_y * z - along_z * y, along_z * x - along_x * z, along_x * y - along_y * x
    block[0, at], block[0, at + 1] = root * turn_x.real, root * turn_x.imag
    block[1, at], block[1, at + 1] = root * turn_y.real, root * turn_y.imag
    block[2, at], block[2, at + 1] = root * turn_z.real, root * turn_z.imag
    turned_re, turned_im = np.float32(_TURN) * root * value.imag, np.float32(-_TURN) * root * value.real
    block[3, at], block[3, at + 1] = x * turned_re, x * turned_im
    block[4, at], block[4, at + 1] = y * turned_re, y * turned_im
    block[5, at], block[5, at + 1] = z * turned_re, z * turned_im
    block[6, at], block[6, at + 1] = root * value.real, root * value.imag


@inner
def _step(changed, pose, sums, damping, places, axes):
    """Write the pose one damped step ahead; return by how much it moves the phases, 0 where there is none."""
    power, agreement = sums[6, 6], sums[6, 7]
    if not power > 0 or not abs(agreement) > 0:
        return 0.0
    scale = abs(agreement) / power
    normal, step = np.empty((6, 6)), np.empty(6)
    for j in range(6):
        step[j] = (sums[j, 7] - agreement / power * sums[j, 6]) / scale
        for k in range(j, 6):
            normal[j, k] = sums[j, k] - sums[j, 6] * sums[k, 6] / power
            normal[k, j] = normal[j, k]
    for j in range(6):
        normal[j, j] = normal[j, j] * (1.0 + damping) + 1e-9 * power
    if not solve_positive(normal, step):
        return 0.0
    reach = math.sqrt(places[len(places) - 1, 0] ** 2 + places[len(places) - 1, 1] ** 2) * length(axes[0, 0])
    turn, shift = length(step[:3]), _TURN * reach * length(step[3:])
    shorter = min(1.0, _LONGEST_TURN_RAD / max(turn, 1e-12), _LONGEST_PHASE_RAD / max(shift, 1e-12))
    for j in range(6):
        step[j] *= shorter
    move_pose(changed, pose, step)
    return shorter * max(turn * reach, shift)


@inner
def length(vector):
    """Return the length of a vector of three."""
    return math.sqrt(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2])


@inner
def move_pose(changed, pose, step):
    """Shift a pose by a step in the frame of the map, then turn it by one about the map's axes."""
    angle = length(step[:3])
    sine = math.sin(angle) / angle if angle > 1e-9 else 1.0
    cosine = (1.0 - math.cos(angle)) / (angle * angle) if angle > 1e-9 else 0.5
    rest = math.cos(angle)
    for row in range(3):
        a, b, c = pose[row, 0], pose[row, 1], pose[row, 2]
        changed[row, 3] = pose[row, 3] + a * step[3] + b * step[4] + c * step[5]
        # A · exp(ω): Rodrigues' formula, row by row.
        along = cosine * (a * step[0] + b * step[1] + c * step[2])
        changed[row, 0] = rest * a + sine * (b * step[2] - c * step[1]) + along * step[0]
        changed[row, 1] = rest * b + sine * (c * step[0] - a * step[2]) + along * step[1]
        changed[row, 2] = rest * c + sine * (a * step[1] - b * step[0]) + along * step[2]


@inner
def solve_positive(matrix, vector):
    """Solve in place by Cholesky's method; return False where the matrix is not positive definite."""
    n = len(vector)
    for j in range(n):
        for k in range(j):
            total = matrix[j, k]
            for m in range(k):
                total -= matrix[j, m] * matrix[k, m]
            matrix[j, k] = total / matrix[k, k]
        total = matrix[j, j]
        for m in range(j):
            total -= matrix[j, m] * matrix[j, m]
        if not total > 0:
            return False
        matrix[j, j] = math.sqrt(total)
    for j in range(n):
        for m in range(j):
            vector[j] -= matrix[j, m] * vector[m]
        vector[j] /= matrix[j, j]
    for j in range(n - 1, -1, -1):
        for m in range(j + 1, n):
            vector[j] -= matrix[m, j] * vector[m]
        vector[j] /= matrix[j, j]
    return True


@kernel
def gather_on_lattice(lattice_rft, lattice_power, values, power, axes, places, points):
    """Sum the samples of each particle around the points of a lattice: the transpose of trilinear interpolation.

    Parameters
    ----------
    lattice_rft : complex64[P, G]
        Written: Σ D.
    lattice_power : float32[P, G]
        Written: Σ P.
    values : complex64[P, T, M']
    power : float32[P, T, M']
    axes : float32[P, T, 2, 3]
        In steps of the lattice to a frequency step.
    places : int64[M, 2]
    points : int64[2 c + 1, 2 c + 1, c + 1]
        Number of the point at (z + c, y + c, x), negative where it is not asked for.

    Notes
    -----
    Not checked: shapes; every place lies within ``c - 1`` steps. Threads own whole particles. NaN spreads.
    """
    half = points.shape[2] - 1
    for particle in prange(len(values)):
        sums, weights = lattice_rft[particle], lattice_power[particle]
        sums[:] = 0
        weights[:] = 0
        for tilt in range(axes.shape[1]):
            axis_u, axis_v = axes[particle, tilt, 0], axes[particle, tilt, 1]
            for place in range(len(places)):
                weight = power[particle, tilt, place]
                if weight == 0:
                    continue
                value = values[particle, tilt, place]
                u, v = np.float32(places[place, 0]), np.float32(places[place, 1])
                x, y, z = u * axis_u[0] + v * axis_v[0], u * axis_u[1] + v * axis_v[1], u * axis_u[2] + v * axis_v[2]
                if x < 0:
                    x, y, z, value = -x, -y, -z, value.conjugate()
                _spread(sums, weights, points, value, weight, x, y + np.float32(half), z + np.float32(half))


@inner
def _spread(sums, weights, points, value, weight, x, y, z):
    """Share a sample out among the eight points around it."""
    x0, y0, z0 = np.uintp(x), np.uintp(y), np.uintp(z)
    wx, wy, wz = x - np.float32(x0), y - np.float32(y0), z - np.float32(z0)
    one = np.float32(1.0)
    for dz in range(2):
        along_z = wz if dz else one - wz
        for dy in range(2):
            along_y = along_z * (wy if dy else one - wy)
            for dx in range(2):
                point = points[z0 + np.uintp(dz), y0 + np.uintp(dy), x0 + np.uintp(dx)]
                if point >= 0:
                    share = along_y * (wx if dx else one - wx)
                    sums[np.uintp(point)] += share * value
                    weights[np.uintp(point)] += share * weight


@kernel
def turn_onto_lattice(turned, turned_power, cube_rft, rotations, points):
    """Sample a map, turned many ways, on the points of a lattice.

    Parameters
    ----------
    turned : float32[O, 2, G]
        Written: real and imaginary part of V(Aᵀ x).
    turned_power : float32[O, G]
        Written: its square.
    cube_rft : complex64[2 c + 1, 2 c + 1, c + 1]
    rotations : float32[O, 3, 3]
        A, times the cells of the cube to a step of the lattice.
    points : float32[G, 3]
        x, y, z.

    Notes
    -----
    Not checked: shapes; every point lies within ``c - 1`` cells. Threads own whole rotations. NaN spreads.
    """
    for o in prange(len(rotations)):
        a = rotations[o]
        for g in range(len(points)):
            x, y, z = points[g, 0], points[g, 1], points[g, 2]
            value = sample_cube(
                cube_rft,
                a[0, 0] * x + a[1, 0] * y + a[2, 0] * z,
                a[0, 1] * x + a[1, 1] * y + a[2, 1] * z,
                a[0, 2] * x + a[1, 2] * y + a[2, 2] * z,
            )
            turned[o, 0, g], turned[o, 1, g] = value.real, value.imag
            turned_power[o, g] = value.real * value.real + value.imag * value.imag
