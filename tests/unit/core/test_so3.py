"""Rotation grids, point groups and distances between poses."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.errors import ParamError
from napari_tomoflow.core.ops import so3
from napari_tomoflow.core.ops.geometry import rotation_x, rotation_z

ORDERS = {"C1": 1, "C7": 7, "D2": 4, "D7": 14, "T": 12, "O": 24, "I": 60, "I1": 60, "I2": 60}


def random_rotations(count, seed=0):
    return Rotation.random(count, random_state=np.random.default_rng(seed)).as_matrix()


@pytest.mark.parametrize(("symmetry", "order"), ORDERS.items())
def test_a_point_group_is_a_group_of_rotations_of_the_right_order(symmetry, order):
    operators = so3.symmetry_operators(symmetry)
    assert len(operators) == order
    np.testing.assert_allclose(operators[0], np.eye(3), atol=1e-12)
    np.testing.assert_allclose(
        operators @ operators.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (order, 3, 3)), atol=1e-9
    )
    products = (operators[:, None] @ operators).reshape(-1, 9)
    distances = np.abs(products[:, None] - operators.reshape(-1, 9)).max(axis=2)
    assert (distances.min(axis=1) < 1e-6).all(), "products stay in the group"


def test_axes_are_where_they_are_said_to_be():
    assert contains("D7", rotation_x(180.0))
    assert contains("O", rotation_z(90.0))
    assert not contains("T", rotation_z(90.0))
    golden = (1 + np.sqrt(5)) / 2
    next_to_z = Rotation.from_rotvec(np.deg2rad(72) * np.array([1, 0, golden]) / np.hypot(1, golden)).as_matrix()
    next_to_x = Rotation.from_rotvec(np.deg2rad(72) * np.array([golden, 0, -1]) / np.hypot(1, golden)).as_matrix()
    assert contains("I", next_to_z)
    assert not contains("I1", next_to_z)
    assert contains("I1", next_to_x)


def contains(symmetry, rotation):
    return np.abs(so3.symmetry_operators(symmetry) - rotation).max(axis=(1, 2)).min() < 1e-6


@pytest.mark.parametrize("wrong", ["", "C0", "D", "Q4", "C-3", "I3", "C1000"])
def test_an_unknown_point_group_is_refused_by_name(wrong):
    with pytest.raises(ParamError, match="point group"):
        so3.symmetry_operators(wrong)


@pytest.mark.parametrize("symmetry", ["C1", "C3", "D7", "O", "I"])
@pytest.mark.parametrize("step_deg", [20.0, 10.0])
def test_a_grid_leaves_no_gap_and_wastes_nothing(symmetry, step_deg):
    grid = so3.rotation_grid(step_deg, symmetry)
    _, away_deg = so3.nearest_in_grid(grid, random_rotations(600), symmetry)
    # A cubic lattice has 0.480 on average; as many random rotations 0.55 and 1.4.
    assert away_deg.mean() < 0.49 * step_deg
    assert away_deg.max() < 0.96 * step_deg
    even = 8 * np.pi**2 / np.deg2rad(step_deg) ** 3 / len(so3.symmetry_operators(symmetry))
    assert len(grid) < 1.25 * even + 5


def test_distance_counts_poses_that_look_alike_as_one():
    poses = random_rotations(20, 1)
    for symmetry in ("C5", "D3", "T"):
        operators = so3.symmetry_operators(symmetry)
        alike = poses @ operators[np.arange(20) % len(operators)]
        np.testing.assert_allclose(so3.angular_distance_deg(poses, alike, symmetry), 0.0, atol=1e-4)


def test_distance_without_symmetry_is_the_angle_between():
    poses = random_rotations(20, 2)
    turned = rotation_z(33.0) @ poses
    np.testing.assert_allclose(so3.angular_distance_deg(poses, turned), 33.0, atol=1e-6)
    assert so3.angular_distance_deg(np.eye(3), rotation_z(50.0), "C9").item() == pytest.approx(10.0)


def test_a_local_grid_begins_with_the_pose_and_stays_within_reach():
    pose = random_rotations(1, 3)[0]
    around = so3.local_grid(pose, 4.0, 9.0)
    away_deg = so3.angular_distance_deg(around, pose)
    assert away_deg[0] == pytest.approx(0.0, abs=1e-5)
    assert away_deg.max() <= 9.0 + 1e-6
    assert len(around) == pytest.approx(4 / 3 * np.pi * (9 / 4) ** 3, rel=0.25)


def test_what_is_within_reach_is_what_is_near():
    grid, pose = so3.rotation_grid(15.0, "D2"), random_rotations(1, 4)[0]
    found = so3.within_reach(grid, pose, 22.0, "D2")
    expected = np.flatnonzero(so3.angular_distance_deg(grid, pose, "D2") <= 22.0)
    np.testing.assert_array_equal(found, expected)
    nearest, away_deg = so3.nearest_in_grid(grid, pose[None], "D2")
    assert nearest[0] in found
    assert away_deg[0] == pytest.approx(so3.angular_distance_deg(grid, pose, "D2").min())
