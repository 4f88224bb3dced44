"""Laws of the exchange with other programs: what is written is read back, whatever the geometry."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_tomoflow.core.model import Alignment, TiltSeries
from napari_tomoflow.io.alignments import read_alignment
from napari_tomoflow.io.aretomo import write_aln
from napari_tomoflow.io.eman2 import write_info
from napari_tomoflow.io.foreign import StackFacts
from napari_tomoflow.io.imod import write_imod_alignment
from napari_tomoflow.io.imod_com import write_tilt_com
from napari_tomoflow.io.relion_write import write_relion_series
from napari_tomoflow.io.warp import write_warp_xml

N = 4
COMMON = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def column(low, high, shape=N):
    return arrays(np.float64, shape, elements=st.floats(low, high, width=32))


@st.composite
def alignments(draw):
    """Draw an alignment of four tilts, at least one of them in use."""
    kept = draw(arrays(bool, N).filter(np.any))
    return Alignment(
        tilt_deg=np.sort(draw(column(-75, 75))),
        axis_deg=draw(st.floats(-179, 179)) + draw(column(-2, 2)),
        xtilt_deg=draw(st.floats(-20, 20)),
        shift_ang_yx=draw(column(-2000, 2000, (N, 2))),
        kept=kept,
    )


def write_imod(folder, ours, pixel_ang, shape_yx):
    paths = [folder / f"TS{ending}" for ending in (".xf", ".tlt", ".xtilt")]
    write_imod_alignment(ours, *paths[:2], xtilt=paths[2], pixel_ang=pixel_ang, shape_yx=shape_yx)
    excluded = map(int, np.flatnonzero(~ours.kept))
    write_tilt_com(folder / "TS_tilt.com", "TS", shape_yx=shape_yx, thickness_px=10, excluded=excluded)


def write_aretomo(folder, ours, pixel_ang, shape_yx):
    write_aln(folder / "TS.aln", ours, pixel_ang=pixel_ang, shape_yx=shape_yx)


def series_of(ours, pixel_ang, shape_yx):
    images = np.zeros((N, *shape_yx), np.int8)
    return TiltSeries(name="TS", images=images, tilt_deg=ours.tilt_deg, pixel_ang=pixel_ang)


def write_relion5(folder, ours, pixel_ang, shape_yx):
    write_relion_series(folder, series_of(ours, pixel_ang, shape_yx), ours, None, folder / "TS.mrc")


def write_warp(folder, ours, pixel_ang, shape_yx):
    write_warp_xml(folder / "TS.xml", series_of(ours, pixel_ang, shape_yx), ours, None, 1)


def write_eman2(folder, ours, pixel_ang, shape_yx):
    write_info(folder / "TS_info.json", ours, pixel_ang=pixel_ang, stack="TS.hdf")


WRITERS = {
    "imod": write_imod, "aretomo": write_aretomo, "relion5": write_relion5, "warp": write_warp, "eman2": write_eman2,
}  # fmt: skip


@pytest.mark.parametrize("program", WRITERS)
@COMMON
@given(
    ours=alignments(),
    shape_yx=st.tuples(st.integers(16, 40), st.integers(16, 40)),
    pixel_ang=st.floats(0.5, 20),
    seed=st.integers(0, 9),
)
def test_points_fall_on_the_same_pixels_after_a_round_trip(tmp_path, program, ours, shape_yx, pixel_ang, seed):
    if program == "aretomo":
        ours = ours.replace(xtilt_deg=0.0)
    WRITERS[program](tmp_path, ours, pixel_ang, shape_yx)
    stack = StackFacts("TS", tmp_path / "TS.mrc", pixel_ang, shape_yx, N, ours.tilt_deg)
    read, _ = read_alignment(program, tmp_path, stack)
    np.testing.assert_array_equal(read.kept, ours.kept)
    points_zyx = np.random.default_rng(seed).uniform(-500, 500, (6, 3)) * pixel_ang
    off_px = (read.project(points_zyx)[0] - ours.project(points_zyx)[0])[ours.kept] / pixel_ang
    # AreTomo's shifts are written with five decimals, its and IMOD's angles with four or more.
    assert np.abs(off_px).max() < 1e-4
