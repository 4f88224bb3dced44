"""Axes of symmetry are found wherever they lie."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.averaging.symmetry_axis import Frame, centroid_px_xyz, find_axes, likely_axes
from napari_tomoflow.core.ops.so3 import symmetry_operators


def ball_map(points_xyz, n=32, sigma=1.6):
    offset = np.arange(n) - n // 2
    z, y, x = np.meshgrid(offset, offset, offset, indexing="ij")
    density = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / (2 * sigma**2)) for a, b, c in points_xyz)
    return np.asarray(density, np.float32)


@pytest.mark.parametrize("symmetry", ["C3", "D2", "T"])
def test_a_map_turned_and_moved_is_brought_back_onto_its_axes(symmetry):
    operators = symmetry_operators(symmetry)
    points = np.concatenate([np.array([[5.0, 2.0, 4.0], [7.0, -1.0, 1.0]]) @ operator.T for operator in operators])
    turn = Rotation.from_rotvec([0.7, -0.4, 1.1]).as_matrix()
    lost = ball_map(points @ turn.T + [1.2, -0.8, 0.6])
    frame = find_axes(lost, symmetry, 9.0)
    assert frame.agreement > 0.95
    seen = frame.seen(lost)
    for operator in operators[1:]:
        again = Frame(operator, np.zeros(3)).seen(seen)
        assert np.corrcoef(seen.ravel(), again.ravel())[0, 1] > 0.97


def rings_of(count, heights, radius=6.0):
    turns = 2 * np.pi * np.arange(count) / count
    return np.array([[radius * np.cos(turn), radius * np.sin(turn), z] for z in heights for turn in turns])


def test_what_lies_beside_the_map_does_not_draw_the_axes_away():
    turn = Rotation.from_rotvec([0.7, -0.4, 1.1]).as_matrix()
    lost = ball_map(rings_of(5, (-8, 0, 8)) @ turn.T) + ball_map([[9.0, -3.0, 9.0]], sigma=2.5)
    assert np.linalg.norm(centroid_px_xyz(lost)) > 2.0
    frames = likely_axes(lost, "D5", 6.0)
    agreements = [frame.agreement for frame in frames]
    assert agreements == sorted(agreements, reverse=True)
    assert abs(frames[0].rotation[:, 2] @ turn[:, 2]) > 0.99
    np.testing.assert_allclose(frames[0].shift_px_xyz, 0, atol=0.7)


def test_a_map_is_made_symmetric_about_the_axes_of_a_frame():
    volume = ball_map(np.array([[5.0, 2.0, 4.0]]))
    operators = symmetry_operators("C3")
    made = Frame(np.eye(3), np.zeros(3)).seen(volume, operators)
    expected = ball_map(operators @ np.array([5.0, 2.0, 4.0])) / 3
    np.testing.assert_allclose(made, expected, atol=0.01)


def test_without_symmetry_a_map_is_only_centred():
    volume = ball_map(np.array([[3.0, 1.0, -2.0]]))
    frame = find_axes(volume, "C1", 9.0)
    np.testing.assert_allclose(frame.rotation, np.eye(3))
    np.testing.assert_allclose(frame.shift_px_xyz, [3, 1, -2], atol=0.1)
    np.testing.assert_allclose(centroid_px_xyz(frame.seen(volume)), 0, atol=0.1)


def test_an_empty_map_has_its_centroid_at_the_centre():
    np.testing.assert_array_equal(centroid_px_xyz(np.zeros((8, 8, 8), np.float32)), 0)
