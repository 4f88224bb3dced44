"""Poses keep their meaning through every program's angles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.ops import geometry, poses

PROGRAMS = ("relion", "stopgap", "dynamo", "eman")
ANGLES = st.tuples(st.floats(-360, 360), st.floats(-180, 180), st.floats(-360, 360))
# Level, upside down and barely tilted: where Euler angles lose a degree of freedom.
EDGES = [(0, 0, 0), (30, 0, 40), (30, 180, 40), (-90, 180, 0), (200, 1e-7, 10), (10, 180 - 1e-7, 20), (0, 90, 0)]


def converters(program):
    return getattr(poses, f"matrices_from_{program}"), getattr(poses, f"{program}_from_matrices")


@pytest.mark.parametrize("program", PROGRAMS)
@given(ANGLES)
def test_the_matrix_survives_every_programs_angles(program, angles):
    to_matrices, to_angles = converters(program)
    matrices = to_matrices([angles])
    np.testing.assert_allclose(to_matrices(to_angles(matrices)), matrices, atol=1e-6)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("angles", EDGES)
def test_the_matrix_survives_where_angles_degenerate(program, angles):
    to_matrices, to_angles = converters(program)
    matrices = to_matrices([angles])
    np.testing.assert_allclose(to_matrices(to_angles(matrices)), matrices, atol=1e-6)


def test_relion_angles_mean_what_relion_says():
    # The matrix of the field's reference, written out: first row and third row.
    rot, tilt, psi = np.deg2rad([25.0, 40.0, 70.0])
    a = poses.matrices_from_relion([[25.0, 40.0, 70.0]])[0]
    cr, sr, ct, st_, cp, sp = np.cos(rot), np.sin(rot), np.cos(tilt), np.sin(tilt), np.cos(psi), np.sin(psi)
    np.testing.assert_allclose(a[0], [cp * ct * cr - sp * sr, cp * ct * sr + sp * cr, -cp * st_], atol=1e-12)
    np.testing.assert_allclose(a[2], [st_ * cr, st_ * sr, ct], atol=1e-12)
    # scipy's view of the same thing.
    np.testing.assert_allclose(a, Rotation.from_euler("ZYZ", [25, 40, 70], degrees=True).inv().as_matrix(), atol=1e-12)


@given(ANGLES)
def test_the_table_of_conventions_holds(angles):
    rot, tilt, psi = angles
    expected = poses.matrices_from_relion([angles])
    same = {
        "stopgap": (90 - rot, -90 - psi, tilt),
        "dynamo": (psi - 90, tilt, rot + 90),
        "eman": (rot + 90, tilt, psi - 90),
    }
    for program, theirs in same.items():
        np.testing.assert_allclose(converters(program)[0]([theirs]), expected, atol=1e-9)


@given(ANGLES)
def test_quaternions_and_matrices_are_the_same_pose(angles):
    matrices = poses.matrices_from_relion([angles])
    quaternions = poses.quaternions_from_matrices(matrices)
    np.testing.assert_allclose(poses.matrices_from_quaternions(quaternions), matrices, atol=1e-9)


@given(ANGLES)
def test_the_reference_axis_points_along_the_given_normal(angles):
    _, tilt, psi = np.deg2rad(angles)
    normal = poses.matrices_from_relion([angles])[0] @ [0, 0, 1]
    np.testing.assert_allclose(
        normal, [-np.cos(psi) * np.sin(tilt), np.sin(psi) * np.sin(tilt), np.cos(tilt)], atol=1e-9
    )


@given(ANGLES)
def test_mirroring_in_z_is_its_own_inverse_and_turns_the_angles_as_known(angles):
    rot, tilt, psi = angles
    matrices = poses.matrices_from_relion([angles])
    mirrored = poses.mirrored_in_z(matrices)
    np.testing.assert_allclose(poses.mirrored_in_z(mirrored), matrices, atol=1e-12)
    np.testing.assert_allclose(mirrored, poses.matrices_from_relion([(rot + 180, tilt, psi + 180)]), atol=1e-9)


def test_no_particles_convert_to_no_particles():
    for program in PROGRAMS:
        to_matrices, to_angles = converters(program)
        assert to_angles(to_matrices(np.zeros((0, 3)))).shape == (0, 3)
    assert poses.quaternions_from_matrices(np.zeros((0, 3, 3))).shape == (0, 4)


def test_rotations_agree_with_scipy():
    for name, rotate in (("x", geometry.rotation_x), ("y", geometry.rotation_y), ("z", geometry.rotation_z)):
        np.testing.assert_allclose(rotate(37.0), Rotation.from_euler(name, 37, degrees=True).as_matrix(), atol=1e-12)
