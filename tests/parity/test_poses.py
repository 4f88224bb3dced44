"""Poses are measured as the reference does, climbed uphill, and gathered samples are the transpose of sampling."""

from itertools import product

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.averaging.samples import places_within
from napari_tomoflow.core.kernels import poses as fast
from napari_tomoflow.core.kernels import slices
from napari_tomoflow.core.ops.geometry import tilt_rotations
from reference import poses as slow

RADIUS = 3.5


def a_case(seed, n_poses=2):
    """Random everything: two particles in three tilts, and a random cube."""
    rng = np.random.default_rng(seed)
    places = places_within(RADIUS)
    shape = (2, 3, len(places))
    values = rng.normal(size=(2, *shape)).astype(np.float32)
    cube = rng.normal(size=(2, 15, 15, 8)).astype(np.float32)
    axes = np.tile(tilt_rotations(*rng.uniform(-180, 180, (3, 3)))[:, :2] * 1.5, (2, 1, 1, 1))
    poses = np.concatenate(
        [
            Rotation.random(2 * n_poses, random_state=rng).as_matrix().reshape(2, n_poses, 3, 3),
            rng.normal(size=(2, n_poses, 3, 1)) * 0.02,
        ],
        axis=-1,
    )
    return (
        poses,
        (cube[0] + 1j * cube[1]).astype(np.complex64),
        (values[0] + 1j * values[1]).astype(np.complex64),
        rng.uniform(0.1, 1, shape).astype(np.float32),
        axes.astype(np.float32),
        places,
    )


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_agreement_and_power_are_those_of_the_reference(seed):
    poses, cube, values, power, axes, places = a_case(seed)
    sums = np.empty((2, 2, 2))
    fast.polish_poses(poses.copy(), sums, cube, values, power, axes, places, 0)
    for particle, number in np.ndindex(2, 2):
        expected = slow.measured(
            poses[particle, number], cube, values[particle], power[particle], axes[particle], places
        )
        np.testing.assert_allclose(sums[particle, number], expected, rtol=1e-4, atol=1e-3)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_climbing_never_loses_and_keeps_rotations_rotations(seed):
    poses, *rest = a_case(seed)
    before, after = np.empty((2, 2, 2)), np.empty((2, 2, 2))
    fast.polish_poses(poses, before, *rest, 0)
    fast.polish_poses(poses, after, *rest, 6)
    gain = [np.sign(sums[..., 0]) * sums[..., 0] ** 2 / sums[..., 1] for sums in (before, after)]
    assert (gain[1] >= gain[0] - 1e-9).all()
    products = poses[..., :3] @ np.swapaxes(poses[..., :3], -1, -2)
    np.testing.assert_allclose(products, np.broadcast_to(np.eye(3), products.shape), atol=1e-6)


def test_slopes_are_the_derivatives_of_what_is_measured():
    """A step downhill in one number at a time: differences of the measured sums against the sums of slopes."""
    poses, cube, values, power, axes, places = a_case(5, 1)
    # A smooth cube, as trilinear interpolation has a kink at every cell.
    z, y, x = np.meshgrid(np.arange(-7, 8), np.arange(-7, 8), np.arange(8), indexing="ij")
    cube = (np.exp(-(x**2 + y**2 + z**2) / 60) * np.exp(0.05j * (x + 2 * y - z))).astype(np.complex64)
    sums = np.empty((7, 8))
    arguments = (cube, values[0], power[0], axes[0], places)
    fast.measure_pose(sums, poses[0, 0], *arguments)
    for number in range(6):
        step, shifted = np.zeros(6), []
        step[number] = 0.02 if number < 3 else 0.002
        for sign in (1, -1):
            moved, there = np.empty((3, 4)), np.empty((7, 8))
            fast.move_pose(moved, poses[0, 0], sign * step)
            fast.measure_pose(there, moved, *arguments)
            shifted.append(there)
        slope = (shifted[0] - shifted[1]) / (2 * step[number])
        assert slope[6, 7] == pytest.approx(sums[number, 7], rel=0.05, abs=0.02 * np.abs(sums[:6, 7]).max())
        assert slope[6, 6] == pytest.approx(2 * sums[number, 6], rel=0.05, abs=0.02 * sums[6, 6])


def test_gathering_on_a_lattice_is_the_transpose_of_sampling_it():
    _, _, values, power, axes, places = a_case(7)
    half = 7
    numbers = np.arange((2 * half + 1) ** 2 * (half + 1)).reshape(2 * half + 1, 2 * half + 1, half + 1)
    rng = np.random.default_rng(1)
    lattice = (rng.normal(size=numbers.size) + 1j * rng.normal(size=numbers.size)).astype(np.complex64)
    sums, weights = np.empty((2, numbers.size), np.complex64), np.empty((2, numbers.size), np.float32)
    fast.gather_on_lattice(sums, weights, values, power, axes, places, numbers)
    cube = lattice.reshape(numbers.shape)
    for particle in range(2):
        sampled = 0.0
        for tilt, (m, (u, v)) in product(range(3), enumerate(places)):
            place = u * axes[particle, tilt, 0] + v * axes[particle, tilt, 1]
            sampled += (np.conj(values[particle, tilt, m]) * slow.at(cube, place)).real
        assert np.vdot(sums[particle], lattice).real == pytest.approx(sampled, rel=1e-4)
        assert weights[particle].sum() == pytest.approx(power[particle].sum(), rel=1e-5)


def test_a_turned_map_is_sampled_where_the_reference_samples_it():
    poses, cube, *_ = a_case(9)
    points = np.array([[0, 1, 2], [2, -1, 0], [3, 0, -1]], np.float32)
    turned, squared = np.empty((2, 2, 3), np.float32), np.empty((2, 3), np.float32)
    rotations = poses[:, 0, :, :3].astype(np.float32)
    fast.turn_onto_lattice(turned, squared, cube, rotations, points)
    expected = np.array([[slow.at(cube, rotation.T @ point) for point in points] for rotation in rotations])
    np.testing.assert_allclose(turned[:, 0] + 1j * turned[:, 1], expected, atol=1e-5)
    np.testing.assert_allclose(squared, np.abs(expected) ** 2, rtol=1e-4, atol=1e-5)


def test_lattices_are_inserted_where_turned_maps_are_sampled():
    """The one is the transpose of the other, for any number of bands."""
    poses, cube, *_ = a_case(9)
    rng = np.random.default_rng(3)
    points = np.array([[0, 1, 2], [2, -1, 0], [3, 0, -1]], np.float32)
    rotations = poses[:, 0, :, :3].astype(np.float32)
    turned, squared = np.empty((2, 2, 3), np.float32), np.empty((2, 3), np.float32)
    fast.turn_onto_lattice(turned, squared, cube, rotations, points)
    values, power = rng.normal(size=(2, 2, 3)).astype(np.float32), rng.random((2, 3)).astype(np.float32)
    sums = np.zeros((2, *cube.shape, 4), np.float32)
    for own, n_bands in zip(sums, (1, 4), strict=True):
        slices.insert_lattices(own, values, power, rotations, points, n_bands)
    np.testing.assert_array_equal(sums[0], sums[1])
    across = (sums[0, ..., 0] * cube.real + sums[0, ..., 1] * cube.imag).sum()
    np.testing.assert_allclose(across, (values * turned).sum(), rtol=1e-4)
    np.testing.assert_allclose(sums[0, ..., 2].sum(), power.sum(), rtol=1e-5)


def test_the_number_of_threads_changes_nothing():
    poses, *rest = a_case(11)
    results, threads = [], numba.get_num_threads()
    try:
        for count in (1, threads):
            numba.set_num_threads(count)
            climbed, sums = poses.copy(), np.empty((2, 2, 2))
            fast.polish_poses(climbed, sums, *rest, 4)
            results.append((climbed, sums))
    finally:
        numba.set_num_threads(threads)
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)
