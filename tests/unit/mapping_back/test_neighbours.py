"""Neighbours: who, how far, in which direction, how turned; and how many more than chance."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.mapping_back.neighbours import by_chance_deg, find_neighbours
from napari_tomoflow.core.mapping_back.radial import radial_distribution

HELIX_DEG, RISE_ANG = 35.0, 60.0


def filament(count=8, symmetry_deg=0.0):
    """Stack particles along the z of the first, each turned on from the one below, then turn the whole."""
    whole = Rotation.from_euler("zyx", [20, 50, 70], degrees=True)
    spins = np.arange(count) * HELIX_DEG + symmetry_deg * (np.arange(count) % 2)
    poses = whole * Rotation.from_rotvec(np.outer(spins, [0, 0, 1]), degrees=True)
    centres_xyz = whole.apply(np.outer(np.arange(count) * RISE_ANG, [0, 0, 1]))
    return centres_xyz[:, ::-1], poses.as_matrix()


def test_neighbours_in_a_filament_are_above_and_below_and_turned_on():
    centres, matrices = filament()
    species = np.full(8, "tubulin")
    found = find_neighbours(centres, matrices, species, {"tubulin": "C1"}, 2)
    first = found.rank == 1
    np.testing.assert_allclose(found.distance_ang[first], RISE_ANG)
    np.testing.assert_allclose(found.turned_deg[first], HELIX_DEG, atol=1e-4)
    middle = (found.of == 4) & (found.distance_ang < 1.5 * RISE_ANG)
    assert set(found.other[middle]) == {3, 5}
    above = middle & (found.other == 5)
    np.testing.assert_allclose(found.direction_xyz[above], [[0, 0, 1]], atol=1e-9)


def test_poses_that_symmetry_makes_alike_are_not_turned():
    centres, matrices = filament(symmetry_deg=180.0)
    species = np.full(8, "barrel")
    plain, symmetric = (
        find_neighbours(centres, matrices, species, {"barrel": group}, 1).turned_deg for group in ("C1", "C2")
    )
    np.testing.assert_allclose(symmetric, HELIX_DEG, atol=1e-4)
    assert plain.min() > 100


def test_turns_between_two_species_mean_nothing():
    centres, matrices = filament()
    species = np.array(["a", "b"] * 4)
    found = find_neighbours(centres, matrices, species, {"a": "C1", "b": "C1"}, 2)
    other_kind = species[found.of] != species[found.other]
    assert np.array_equal(np.isnan(found.turned_deg), other_kind)
    assert other_kind.any()


@pytest.mark.parametrize("count", [0, 1])
def test_one_alone_has_no_neighbour(count):
    centres, matrices = filament(count) if count else (np.zeros((0, 3)), np.zeros((0, 3, 3)))
    assert len(find_neighbours(centres, matrices, np.full(count, "a"), {"a": "C1"}, 6).of) == 0


def test_two_in_one_place_are_neighbours_of_each_other():
    centres = np.zeros((3, 3))
    centres[2] = 100.0
    found = find_neighbours(centres, np.tile(np.eye(3), (3, 1, 1)), np.full(3, "a"), {"a": "C1"}, 1)
    assert found.other[:2].tolist() == [1, 0]
    assert np.all(np.isfinite(found.direction_xyz))


def test_random_turns_follow_the_law_of_random_rotations():
    matrices = Rotation.random(400, random_state=1).as_matrix()
    angles = np.deg2rad(by_chance_deg(matrices, np.full(400, "a"), {"a": "C1"}))
    # P(angle < t) = (t - sin t) / π for rotations drawn evenly.
    for at in (1.0, 2.0, 2.8):
        assert np.mean(angles < at) == pytest.approx((at - np.sin(at)) / np.pi, abs=0.02)


def test_even_points_in_a_thin_box_have_as_many_neighbours_as_chance():
    rng = np.random.default_rng(2)
    points = rng.uniform(-0.5, 0.5, (1500, 3)) * [1200, 6000, 4000]
    edges = np.linspace(0, 2500, 11)
    same = radial_distribution(points, points, edges, same=True)
    np.testing.assert_allclose(same[1:], 1.0, atol=0.08)
    cross = radial_distribution(points[:700], points[700:], edges, same=False)
    np.testing.assert_allclose(cross[1:], 1.0, atol=0.1)


def test_pairs_and_exclusion_are_seen_in_the_distribution():
    rng = np.random.default_rng(3)
    singles = rng.uniform(-0.5, 0.5, (200, 3)) * [2000, 5000, 5000]
    ways = rng.normal(size=(200, 3))
    partners = singles + 150.0 * ways / np.linalg.norm(ways, axis=1, keepdims=True)
    points = np.concatenate([singles, partners])
    edges = np.arange(0.0, 1001.0, 20.0)
    over = radial_distribution(points, points, edges, same=True)
    assert over[edges[:-1] == 140.0] > 20
    assert over[edges[:-1] >= 300.0].mean() == pytest.approx(1.0, abs=0.1)


def test_no_distance_is_longer_than_the_box():
    points = np.random.default_rng(4).uniform(0, 100, (20, 3))
    assert np.isnan(radial_distribution(points, points, np.array([0.0, 50.0, 500.0, 600.0]), same=True)[2])
