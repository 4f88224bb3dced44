"""read(write(x)) == x, for everything that is written."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_tomoflow.core.model import Alignment, ParticleSet
from napari_tomoflow.io.imod import read_imod_alignment, write_imod_alignment
from napari_tomoflow.io.mrc import open_mrc, write_mrc
from napari_tomoflow.io.results import load, save
from napari_tomoflow.io.star import read_star, write_star
from napari_tomoflow.io.tilts import read_tilts, write_tilts

quick = settings(deadline=None, max_examples=40)

MRC_KINDS = st.sampled_from([np.int8, np.int16, np.uint16, np.float16, np.float32]).map(np.dtype)
FLOATS = st.floats(-1e9, 1e9, allow_subnormal=False)
# Any text that fits on a line of a table: no control characters, no lone surrogates.
NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)


@quick
@given(st.data(), MRC_KINDS, array_shapes(min_dims=3, max_dims=3, max_side=5), st.floats(0.1, 1e4), st.booleans())
def test_mrc_values_and_voxel_size_survive(data, kind, shape, voxel_ang, stack):
    values = data.draw(arrays(kind, shape))
    with TemporaryDirectory() as folder, np.errstate(all="ignore"):
        path = Path(folder) / "a.mrc"
        write_mrc(path, values, voxel_ang, stack=stack)
        read = open_mrc(path)
        assert read.dtype == kind
        np.testing.assert_array_equal(np.asarray(read), values)
        np.testing.assert_allclose(read.header.pixel_ang, voxel_ang, rtol=1e-6)


@quick
@given(st.lists(st.floats(-180, 180), min_size=1, max_size=8))
def test_tilts_survive_with_every_digit(angles):
    with TemporaryDirectory() as folder:
        write_tilts(Path(folder) / "a.tlt", angles)
        np.testing.assert_array_equal(read_tilts(Path(folder) / "a.tlt"), angles)


@quick
@given(
    st.lists(
        st.tuples(st.floats(-70, 70), st.floats(-179, 179), st.floats(-500, 500), st.floats(-500, 500)), min_size=1
    ),
    st.floats(0.5, 20),
    st.tuples(st.integers(32, 99), st.integers(32, 99)),
)
def test_an_alignment_survives_imods_files(tilts, pixel_ang, shape_yx):
    columns = np.array(tilts)
    ours = Alignment(tilt_deg=columns[:, 0], axis_deg=columns[:, 1], shift_ang_yx=columns[:, 2:])
    with TemporaryDirectory() as folder:
        xf, tlt, xtilt = (Path(folder) / name for name in ("a.xf", "a.tlt", "a.xtilt"))
        write_imod_alignment(ours, xf, tlt, pixel_ang=pixel_ang, shape_yx=shape_yx, xtilt=xtilt)
        back = read_imod_alignment(xf, tlt, pixel_ang=pixel_ang, shape_yx=shape_yx, xtilt=xtilt)
    # An .xf has ten decimals: 1e-8 Å and 1e-8 degrees are far below anything visible.
    points = np.array([[30.0, -200.0, 100.0], [0.0, 0.0, 0.0], [-50.0, 10.0, 300.0]])
    np.testing.assert_allclose(back.project(points)[0], ours.project(points)[0], atol=1e-5)
    np.testing.assert_allclose(back.tilt_deg, ours.tilt_deg, atol=0)


@quick
@given(st.lists(st.tuples(NAMES, FLOATS, st.integers(-(2**53), 2**53)), min_size=1, max_size=6))
def test_a_star_table_survives(rows):
    table = pd.DataFrame(rows, columns=["rlnTomoName", "number", "whole"])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.star"
        write_star(path, {"general": {"rlnTomoName": rows[0][0], "number": rows[0][1]}, "table": table})
        blocks = read_star(path)
    assert list(blocks["table"]["rlnTomoName"]) == [name for name, _, _ in rows]
    np.testing.assert_array_equal(blocks["table"]["number"], [number for _, number, _ in rows])
    np.testing.assert_array_equal(blocks["table"]["whole"], [whole for _, _, whole in rows])
    assert blocks["general"] == {"rlnTomoName": rows[0][0], "number": rows[0][1]}


@quick
@given(st.integers(0, 6), st.integers(0, 2**16), st.data())
def test_particles_survive(count, seed, data):
    rng = np.random.default_rng(seed)
    particles = ParticleSet(
        centers_ang_zyx=rng.normal(0, 1000, (count, 3)),
        quaternions_xyzw=rng.normal(size=(count, 4)),
        tomogram=np.array(data.draw(st.lists(NAMES, min_size=count, max_size=count)), dtype=np.str_),
        ids=rng.permutation(count) + 5,
        score=rng.normal(size=count),
        features={"rlnDefocusU": rng.normal(size=count)},
    )
    with TemporaryDirectory() as folder:
        save(particles, Path(folder))
        back = load(ParticleSet, Path(folder))
    assert list(back.tomogram) == list(particles.tomogram)
    np.testing.assert_array_equal(back.centers_ang_zyx, particles.centers_ang_zyx)
    np.testing.assert_array_equal(back.ids, particles.ids)
    np.testing.assert_array_equal(back.score, particles.score)
    np.testing.assert_allclose(back.quaternions_xyzw, particles.quaternions_xyzw, atol=1e-15)
    np.testing.assert_array_equal(back.features["rlnDefocusU"], particles.features["rlnDefocusU"])
