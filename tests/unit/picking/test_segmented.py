"""Blobs, sheets, strands and bodies of a segmentation."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.picking.boundary import boundary_of
from napari_tomoflow.core.picking.segmented import agreeing, find_objects, local_shapes, scattered, shape_radius
from napari_tomoflow.core.picking.spacing import even_points, neighbour_distances

SHAPE = (48, 64, 64)
Z, Y, X = np.indices(SHAPE).astype(float)


def ball(center, radius):
    return (Z - center[0]) ** 2 + (Y - center[1]) ** 2 + (X - center[2]) ** 2 < radius**2


def test_blobs_are_centred_and_sized():
    mask = ball((20, 20, 20), 5) | ball((30, 45, 40), 8)
    found = find_objects(mask, 10.0)
    np.testing.assert_allclose(found.centers_ang_zyx, [[-40, -120, -120], [60, 130, 80]], atol=1e-6)
    np.testing.assert_allclose(found.diameter_ang, [100, 160], rtol=0.03)


def test_blobs_too_small_or_too_large_are_passed_over_and_the_rest_numbered_anew():
    mask = ball((10, 10, 10), 3) | ball((20, 30, 30), 5) | ball((30, 50, 50), 9)
    found = find_objects(mask, 10.0, smallest_ang=80.0, largest_ang=150.0)
    np.testing.assert_allclose(found.centers_ang_zyx, [[-40, -20, -20]], atol=1e-6)
    assert np.array_equal(np.unique(found.numbers_zyx), [0, 1])


def test_blobs_that_touch_are_divided_where_they_are_narrow():
    centers = np.array([[20, 20, 20], [20, 20, 29], [20, 28, 24], [35, 50, 50]])
    mask = np.any([ball(center, 5.5) for center in centers], axis=0)
    assert len(find_objects(mask, 10.0).diameter_ang) == 2
    found = find_objects(mask, 10.0, expected_ang=110.0)
    order = np.lexsort(found.centers_ang_zyx.T)
    expected = 10.0 * (centers - np.array(SHAPE) // 2)
    np.testing.assert_allclose(found.centers_ang_zyx[order], expected[np.lexsort(expected.T)], atol=8.0)


def test_an_empty_mask_has_no_objects():
    found = find_objects(np.zeros(SHAPE, bool), 10.0, expected_ang=100.0)
    assert found.centers_ang_zyx.shape == (0, 3)


def test_scattered_places_are_apart_and_leave_no_room():
    mask = ball((24, 32, 32), 15)
    places = scattered(mask, 8.0, np.random.default_rng(0))
    assert neighbour_distances(places).min() >= 8.0
    voxels = np.argwhere(mask)
    farthest = np.min(np.linalg.norm(voxels[:, None] - places, axis=2), axis=1).max()
    # Two voxels are looked at as one, hence their diagonal more.
    assert farthest < 8.0 + 2.0 * np.sqrt(3.0)


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_a_sheet_has_its_middle_and_normal(slope):
    mask = np.abs(Z - 24 - slope * (X - 32)) < 2.5 * np.hypot(1, slope)
    numbers = mask.astype(np.int32)
    places = scattered(mask[8:-8, 8:-8, 16:-16], 6.0, np.random.default_rng(1)) + np.array([8, 8, 16])
    middles, normals = local_shapes(numbers, places, shape_radius(mask), "sheet")
    height = (middles[:, 0] - 24 - slope * (middles[:, 2] - 32)) / np.hypot(1, slope)
    assert np.abs(height).max() < 0.25
    cosine = np.abs(normals @ np.array([1.0, 0.0, -slope])) / np.hypot(1, slope)
    assert np.rad2deg(np.arccos(np.clip(cosine, 0, 1))).max() < 3.0


def test_a_strand_has_its_axis_and_direction():
    mask = np.hypot(Z - 24 - 0.3 * (X - 32), Y - 32) < 4.0
    places = scattered(mask[:, :, 12:-12], 6.0, np.random.default_rng(1)) + np.array([0, 0, 12])
    middles, ways = local_shapes(mask.astype(np.int32), places, shape_radius(mask), "strand")
    assert np.abs(middles[:, 1] - 32).max() < 0.3
    assert np.abs(middles[:, 0] - 24 - 0.3 * (middles[:, 2] - 32)).max() < 0.5
    cosine = np.abs(ways @ np.array([0.3, 0.0, 1.0])) / np.hypot(0.3, 1.0)
    assert np.rad2deg(np.arccos(np.clip(cosine, 0, 1))).max() < 3.0


def test_another_object_close_by_bends_no_normal():
    upper, lower = np.abs(Z - 20) < 2.0, np.abs(Z - 28 - 0.3 * (X - 32)) < 1.5
    numbers = np.where(upper, 1, np.where(lower, 2, 0)).astype(np.int32)
    places = np.array([[20.0, 32.0, 26.0]])
    _, normals = local_shapes(numbers, places, 8.0, "sheet")
    assert abs(normals[0, 0]) > 0.999


def test_directions_that_differ_in_sign_alone_are_made_to_agree():
    rng = np.random.default_rng(2)
    ways = rng.normal(size=(200, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    signed = agreeing(100.0 * ways, ways * rng.choice([-1.0, 1.0], (200, 1)))
    outward = np.sum(signed * ways, axis=1)
    np.testing.assert_allclose(np.abs(outward), 1.0)
    assert abs(outward.sum()) == pytest.approx(200.0)


def test_a_body_has_a_smooth_even_surface():
    numbers = (ball((24, 32, 32), 15) * 3).astype(np.int32)
    surface = boundary_of(numbers, 3, (slice(9, 40), slice(17, 48), slice(17, 48)), 10.0)
    points = even_points(surface, 40.0, np.random.default_rng(0))
    distance_ang = np.linalg.norm(points, axis=1)
    assert np.abs(distance_ang - 147.5).max() < 5.0  # voxels below 15 reach to about 14.75
    normals = surface.normals(points)
    cosine = np.sum(normals * points, axis=1) / distance_ang
    assert np.rad2deg(np.arccos(np.clip(cosine, -1, 1))).max() < 5.0
    apart = neighbour_distances(points)
    assert apart.std() < 0.1 * apart.mean()


def test_a_body_that_leaves_the_volume_has_no_surface_there():
    numbers = ball((0, 32, 32), 15).astype(np.int32)
    surface = boundary_of(numbers, 1, (slice(0, 15), slice(17, 48), slice(17, 48)), 10.0)
    points, area_ang2 = surface.pool(20.0)
    assert area_ang2 == pytest.approx(2 * np.pi * 147.5**2, rel=0.06)
    assert np.abs(np.linalg.norm(points - [-240.0, 0, 0], axis=1) - 147.5).max() < 6.0


def test_a_speck_has_no_surface():
    numbers = np.zeros(SHAPE, np.int32)
    numbers[20, 20, 20] = 1
    with pytest.raises(DataError, match="body of 1 voxels is too small or too large to have a surface"):
        boundary_of(numbers, 1, (slice(20, 21),) * 3, 10.0)
