"""Particle tables of RELION 5."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.ops.geometry import rotation_y, rotation_z
from napari_tomoflow.io.particles import read_particles, write_particles
from napari_tomoflow.io.star import read_star


def written(path, columns, *rows):
    lines = ["data_particles", "", "loop_", *(f"_{name} #{n}" for n, name in enumerate(columns, 1)), *rows, ""]
    path.write_text("\n".join(lines))
    return path


CENTERS = ("rlnCenteredCoordinateXAngst", "rlnCenteredCoordinateYAngst", "rlnCenteredCoordinateZAngst")
SUBTOMOGRAM = ("rlnTomoSubtomogramRot", "rlnTomoSubtomogramTilt", "rlnTomoSubtomogramPsi")
ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
ORIGINS = ("rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst")


def relion(rot, tilt, psi):
    return (rotation_z(rot) @ rotation_y(tilt) @ rotation_z(psi)).T


def test_subtomogram_angles_and_origins_are_multiplied_out(tmp_path):
    columns = ("rlnTomoName", *CENTERS, *SUBTOMOGRAM, *ANGLES, *ORIGINS, "rlnClassNumber", "rlnRandomSubset")
    path = written(tmp_path / "p.star", columns, "TS_01 100 200 -30 10 20 30 40 50 60 1 2 3 4 2")
    particles = read_particles(path)
    outer = relion(10, 20, 30)
    np.testing.assert_allclose(particles.matrices[0], outer @ relion(40, 50, 60), atol=1e-12)
    np.testing.assert_allclose(particles.centers_ang_zyx[0, ::-1], [100, 200, -30] - outer @ [1, 2, 3], atol=1e-9)
    assert (particles.class_ids[0], particles.half[0], particles.tomogram[0]) == (4, 2, "TS_01")
    assert not particles.features


def test_a_table_of_bare_positions_is_enough(tmp_path):
    particles = read_particles(written(tmp_path / "p.star", ("rlnTomoName", *CENTERS), "017 1 2 3", "018 4 5 6"))
    np.testing.assert_array_equal(particles.centers_ang_zyx, [[3, 2, 1], [6, 5, 4]])
    np.testing.assert_array_equal(particles.matrices, [np.eye(3)] * 2)
    assert list(particles.tomogram) == ["017", "018"]


def test_unknown_columns_are_kept_through_a_round_trip(tmp_path):
    columns = (*CENTERS, "rlnGroupNumber", "rlnImageName")
    first = read_particles(written(tmp_path / "p.star", columns, "1 2 3 7 a.mrcs", "4 5 6 8 b.mrcs"))
    write_particles(tmp_path / "q.star", first)
    second = read_particles(tmp_path / "q.star")
    np.testing.assert_array_equal(second.features["rlnGroupNumber"], [7, 8])
    assert list(second.features["rlnImageName"]) == ["a.mrcs", "b.mrcs"]


def test_relions_own_columns_hold_the_pose(tmp_path):
    particles = ParticleSet(
        centers_ang_zyx=np.array([[3.0, 2.0, 1.0]]), quaternions_xyzw=np.array([[0.1, 0.2, 0.3, 0.9]])
    )
    write_particles(tmp_path / "p.star", particles)
    row = read_star(tmp_path / "p.star")["particles"].iloc[0]
    assert [row[name] for name in CENTERS] == [1, 2, 3]
    np.testing.assert_allclose(relion(*(row[name] for name in ANGLES)), particles.matrices[0], atol=1e-12)


def test_pixel_coordinates_alone_are_refused(tmp_path):
    path = written(tmp_path / "p.star", ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ"), "1 2 3")
    with pytest.raises(DataError, match=r"p\.star has no column rlnCenteredCoordinateXAngst"):
        read_particles(path)
