"""Lenses in tables of particles: said once for all that are seen through the same, and read again."""

from dataclasses import replace

import numpy as np

from napari_tomoflow.core.model import Aberrations, Optics, ParticleSet, TiltSeries
from napari_tomoflow.io.columns import optics_from_columns
from napari_tomoflow.io.optics_groups import in_optics_groups, seen_through
from napari_tomoflow.io.particles import read_particles, table_with_optics, write_particles
from napari_tomoflow.io.relion_write import relion_row, write_relion_table
from napari_tomoflow.io.star import read_star

BAD = Optics(
    aberrations=Aberrations((0.5, -0.25), (0.0, 2.0, 3.5), (1.0, 0.0, 3.0)),
    magnification=((1.004, 0.002), (0.0015, 0.997)),
)
LENSES = {"A": Optics(), "B": BAD, "C": Optics(), "D": replace(BAD, aberrations=Aberrations())}


def series(name):
    images = np.zeros((3, 8, 8), np.float32)
    return TiltSeries(name=name, images=images, tilt_deg=np.arange(3.0), pixel_ang=2.0, optics=LENSES[name])


def particles(name):
    centers = np.random.default_rng(ord(name)).normal(size=(2, 3))
    stale = {"rlnOddZernike": np.array(["[9.0]"] * 2), "rlnMagMat00": np.full(2, 1.02), "kept": np.arange(2)}
    return seen_through(
        ParticleSet(centers_ang_zyx=centers, tomogram=np.array(name), features=stale), series(name), None
    )


def test_particles_of_different_lenses_are_groups_that_read_back_with_their_lens(tmp_path):
    path = tmp_path / "particles.star"
    joined = in_optics_groups(ParticleSet.joined([particles(name) for name in LENSES]))
    write_particles(path, joined)
    assert len(read_star(path)["optics"]) == 3
    assert "rlnMagMat00" not in read_star(path)["particles"].columns
    table = table_with_optics(path, ("rlnCenteredCoordinateXAngst",))
    for _, row in table.iterrows():
        assert optics_from_columns(row) == LENSES[row["rlnTomoName"]]
    again = in_optics_groups(read_particles(path))
    for name in ("rlnOpticsGroup", "rlnOddZernike", "rlnMagMat01", "kept"):
        np.testing.assert_array_equal(again.features[name], joined.features[name])


def test_particles_that_are_told_of_no_lens_are_in_no_group():
    plain = ParticleSet(centers_ang_zyx=np.zeros((2, 3)), features={"kept": np.arange(2)})
    assert in_optics_groups(plain) is plain


def test_a_table_of_series_says_of_each_lens_how_it_falls_short(tmp_path):
    write_relion_table(tmp_path / "all.star", [relion_row(series(name), 1) for name in LENSES])
    for _, row in read_star(tmp_path / "all.star")["global"].iterrows():
        assert optics_from_columns(row) == LENSES[row["rlnTomoName"]]
