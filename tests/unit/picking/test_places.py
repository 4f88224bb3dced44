"""Where particles stand on a shape: normals as RELION's angles have them, helices, sides, dipoles."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError, ParamError
from napari_tomoflow.core.ops import poses
from napari_tomoflow.core.ops.so3 import fibonacci
from napari_tomoflow.core.picking.filament import fit_filament
from napari_tomoflow.core.picking.frames import across, poses_along, spun, z_axes
from napari_tomoflow.core.picking.height import fit_membrane
from napari_tomoflow.core.picking.places import facing, places_along, places_on_dipoles, places_on_surface
from napari_tomoflow.core.picking.sphere import fit_sphere

NORMALS = fibonacci(50)


def test_the_z_axis_lies_along_the_normal_by_relions_angles():
    # n = (-cos psi sin tilt, sin psi sin tilt, cos tilt) in (x, y, z): tilt = acos(n_z), psi = atan2(n_y, -n_x).
    matrices = poses_along(NORMALS, across(NORMALS, np.eye(3)))
    _, tilt_deg, psi_deg = poses.relion_from_matrices(matrices).T
    nz, ny, nx = NORMALS.T
    np.testing.assert_allclose(tilt_deg, np.rad2deg(np.arccos(nz)), atol=1e-6)
    np.testing.assert_allclose(psi_deg, np.rad2deg(np.arctan2(ny, -nx)), atol=1e-6)


def test_poses_are_rotations_and_a_spin_leaves_their_z_axis():
    matrices = poses_along(NORMALS, across(NORMALS, np.eye(3)))
    np.testing.assert_allclose(
        matrices @ matrices.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(matrices), 1.0)
    turned = spun(matrices, np.linspace(0, 350, 50))
    np.testing.assert_allclose(z_axes(turned), NORMALS, atol=1e-12)
    np.testing.assert_allclose(z_axes(matrices), NORMALS, atol=1e-12)


def test_a_direction_along_its_guide_takes_the_next_guide():
    perpendicular = across([[1.0, 0, 0], [0, 1, 0]], [[1.0, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(perpendicular, [[0, 0, 1], [1, 0, 0]], atol=1e-12)


def straight_filament():
    return fit_filament(np.column_stack([np.linspace(0, 1000, 8), np.zeros((8, 2))])).shape


def test_particles_on_the_axis_turn_by_the_twist():
    places = places_along(straight_filament(), 80.0, twist_deg=25.0)
    relative = places.matrices[:-1].transpose(0, 2, 1) @ places.matrices[1:]
    turn_deg = np.rad2deg(np.arctan2(relative[:, 1, 0], relative[:, 0, 0]))
    np.testing.assert_allclose(turn_deg, 25.0, atol=1e-6)
    np.testing.assert_allclose(np.diff(places.features["rlnHelicalTrackLengthAngst"]), 80.0)


def test_a_positive_twist_makes_a_right_handed_helix():
    places = places_along(straight_filament(), 10.0, twist_deg=30.0, radius_ang=50.0)
    z, y, x = places.centers_ang_zyx.T
    np.testing.assert_allclose(np.hypot(x, y), 50.0, atol=1e-6)
    turn_deg = np.rad2deg(np.unwrap(np.arctan2(y, x)))
    np.testing.assert_allclose(np.diff(turn_deg) / np.diff(z), 3.0, atol=1e-6)
    # z points away from the axis, x along the filament.
    np.testing.assert_allclose(z_axes(places.matrices)[:, 1:], places.centers_ang_zyx[:, 1:] / 50.0, atol=1e-6)
    np.testing.assert_allclose(places.matrices[:, :, 0], np.tile([0.0, 0, 1], (len(places), 1)), atol=1e-6)


def test_what_is_left_over_of_a_filament_is_shared_by_its_ends():
    along = places_along(straight_filament(), 300.0).features["rlnHelicalTrackLengthAngst"]
    np.testing.assert_allclose(along, [50, 350, 650, 950], atol=1e-6)


def test_a_rise_longer_than_the_filament_is_refused():
    with pytest.raises(ParamError, match="spacing of 120 nm is longer than a filament of 100 nm; give a smaller"):
        places_along(straight_filament(), 1200.0)


def test_a_closed_surface_is_outward_and_inward():
    surface = fit_sphere(500.0 + 100.0 * NORMALS).shape
    points = surface.at(NORMALS)
    outward = places_on_surface(surface, points, "outward")
    np.testing.assert_allclose(z_axes(outward.matrices), (points - 500.0) / 100.0, atol=1e-6)
    inward = places_on_surface(surface, points, "inward")
    np.testing.assert_allclose(z_axes(inward.matrices), -z_axes(outward.matrices), atol=1e-12)


@pytest.mark.parametrize(("bend", "up"), [(-1e-3, 1.0), (1e-3, -1.0), (0.0, 1.0)], ids=["dome", "bowl", "flat"])
def test_the_hollow_side_of_an_open_surface_is_inside_and_a_flat_one_looks_up(bend, up):
    a, b = np.random.default_rng(0).uniform(-300, 300, (2, 40))
    surface = fit_membrane(np.column_stack([bend * (a**2 + b**2), a, b])).shape
    points = surface.drop(np.column_stack([0 * a, a, b]))
    assert np.all(z_axes(places_on_surface(surface, points, "outward").matrices)[:, 0] * up > 0)
    assert np.all(z_axes(places_on_surface(surface, points, "up").matrices)[:, 0] > 0)
    assert np.all(z_axes(places_on_surface(surface, points, "down").matrices)[:, 0] < 0)


def test_a_place_said_to_be_outside_outvotes_the_bend():
    ways = np.tile([1.0, 0, 0], (5, 1))
    points = np.column_stack([np.zeros(5), np.arange(5), np.zeros(5)])
    assert facing(points, ways, "outward", np.array([-100.0, 2, 0])) == -1.0
    assert facing(points, ways, "inward", np.array([-100.0, 2, 0])) == 1.0


def test_an_offset_is_along_each_particles_own_z():
    surface = fit_sphere(100.0 * NORMALS).shape
    moved = places_on_surface(surface, surface.at(NORMALS), "outward").moved(25.0)
    np.testing.assert_allclose(np.linalg.norm(moved.centers_ang_zyx, axis=1), 125.0, atol=1e-6)


def test_dipoles_look_from_their_centre_to_their_tip():
    places = places_on_dipoles([[0, 0, 0], [0, 0, 5], [10, 10, 10], [10, 13, 14]])
    np.testing.assert_allclose(places.centers_ang_zyx, [[0, 0, 0], [10, 10, 10]])
    np.testing.assert_allclose(z_axes(places.matrices), [[0, 0, 1], [0, 0.6, 0.8]], atol=1e-12)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([[0, 0, 0], [0, 0, 1], [1, 1, 1]], "pairs of points, centre and tip; got 3"),
        ([[0, 0, 0], [0, 0, 1], [1, 1, 1], [1, 1, 1]], "Centre and tip of dipole 2 are one point"),
    ],
)
def test_half_a_dipole_is_refused(points, words):
    with pytest.raises(DataError, match=words):
        places_on_dipoles(points)
