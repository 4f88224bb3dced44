"""RELION 5's tables as we write them, and alignments read back onto a stack."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Aberrations, CtfSeries, Optics, TiltSeries, Tomogram
from napari_tomoflow.io.columns import optics_from_columns
from napari_tomoflow.io.foreign import StackFacts
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.io.relion import list_relion_series, read_relion_series, relion_ctf, relion_raw_stack
from napari_tomoflow.io.relion_write import (
    read_relion_alignment,
    relion_row,
    write_relion_series,
    write_relion_table,
)
from napari_tomoflow.io.stacks import open_stack
from reference import foreign_geometry as theirs
from unit.io.foreign_samples import PIXEL_ANG, POINTS_PX_XYZ, SHAPES, TILT_DEG, alignment, assert_same, facts, pixels_xy

KEPT = np.array([True, False, True, True, True, True, False])
N = len(TILT_DEG)


@pytest.fixture
def stack(tmp_path):
    images = np.random.default_rng(0).normal(size=(N, 8, 12)).astype(np.float32)
    (tmp_path / "raw").mkdir()
    write_mrc(tmp_path / "raw" / "TS.mrc", images, PIXEL_ANG, stack=True)
    return tmp_path / "raw" / "TS.mrc"


def series(stack, kept=True):
    return TiltSeries(
        name="TS",
        images=open_stack(stack),
        tilt_deg=TILT_DEG,
        pixel_ang=PIXEL_ANG,
        dose_before_e_ang2=3.0 * np.arange(N),
        optics=Optics(200.0, 1.4, 0.1),
        kept=kept,
    )


def write(folder, stack, ours, ctf=None, kept=True, hand=-1):
    write_relion_series(folder, series(stack, kept), ours, ctf, stack)
    write_relion_table(folder / "aligned_tilt_series.star", [relion_row(series(stack), hand)])
    return folder / "aligned_tilt_series.star"


def stack_facts(stack, tilt_deg=TILT_DEG):
    return StackFacts("TS", stack, PIXEL_ANG, (8, 12), len(tilt_deg), tilt_deg)


@pytest.mark.parametrize("shape_yx", SHAPES, ids=str)
def test_points_fall_where_relions_own_formula_puts_them(tmp_path, stack, shape_yx):
    ours = alignment()
    table = read_relion_series(write(tmp_path / "out", stack, ours), "TS").table
    expected = theirs.relion(POINTS_PX_XYZ, shape_yx, {name: list(table[name]) for name in table}, PIXEL_ANG)
    np.testing.assert_allclose(pixels_xy(ours, shape_yx), expected, atol=1e-9)


def test_an_alignment_comes_back_with_what_was_left_out(tmp_path, stack):
    path = write(tmp_path / "out", stack, alignment(kept=KEPT), kept=~np.isin(np.arange(N), [3]))
    read = read_relion_alignment(path, stack_facts(stack))
    kept = KEPT & (np.arange(N) != 3)
    np.testing.assert_array_equal(read.kept, kept)
    for name in ("tilt_deg", "axis_deg", "xtilt_deg", "shift_ang_yx"):
        np.testing.assert_array_equal(getattr(read, name)[kept], getattr(alignment(), name)[kept])
    np.testing.assert_array_equal(read.tilt_deg[~kept], TILT_DEG[~kept])


def test_relion_finds_the_images_the_optics_and_the_ctf(tmp_path, stack):
    ctf = CtfSeries(optics=Optics(), defocus_u_ang=np.linspace(3e4, 4e4, N), defocus_v_ang=np.full(N, 2.9e4))
    path = write(tmp_path / "out", stack, alignment(kept=KEPT), ctf)
    read = read_relion_series(path, "TS")
    recorded = relion_raw_stack(read)
    np.testing.assert_array_equal(np.asarray(recorded.images), np.asarray(open_stack(stack))[KEPT])
    assert (recorded.pixel_ang, recorded.voltage_kv, recorded.cs_mm) == (PIXEL_ANG, 200, 1.4)
    np.testing.assert_array_equal(recorded.dose_before_e_ang2, 3.0 * np.arange(N)[KEPT])
    back = relion_ctf(read)
    np.testing.assert_array_equal(back.defocus_u_ang, ctf.defocus_u_ang[KEPT])
    assert back.hand == -1
    assert not [name for name in read.table.columns if name.startswith("tomoflow")]


def test_images_that_a_table_lists_are_listed_again_from_the_new_folder(tmp_path, stack):
    write(tmp_path / "first", stack, alignment())
    star = tmp_path / "first" / "tilt_series" / "TS.star"
    listed = series(stack).replace(images=open_stack(star))
    path = write_relion_series(tmp_path / "far" / "second", listed, alignment(kept=KEPT), None, star)
    np.testing.assert_array_equal(np.asarray(open_stack(path)), np.asarray(open_stack(stack))[KEPT])


def test_the_size_of_a_tomogram_is_even_and_in_unbinned_pixels(stack):
    tomogram = Tomogram(name="TS", volume=np.zeros((5, 8, 12), np.float32), voxel_ang=3 * PIXEL_ANG)
    row = relion_row(series(stack), 1, tomogram)
    assert (row["rlnTomoTomogramBinning"], row["rlnTomoHand"]) == (3, 1)
    assert [row[f"rlnTomoSize{axis}"] for axis in "XYZ"] == [36, 24, 16]


def test_relion_reads_the_aberrations_of_a_lens_in_its_own_columns(stack):
    lens = Optics(aberrations=Aberrations((0.5, -0.25), (0.0, 2.0), (1.0, 0.0, 3.0)))
    row = relion_row(series(stack).replace(optics=lens), 1)
    assert (row["rlnBeamTiltX"], row["rlnBeamTiltY"]) == (0.5, -0.25)
    assert (row["rlnOddZernike"], row["rlnEvenZernike"]) == ("[0.0,2.0]", "[1.0,0.0,3.0]")
    assert optics_from_columns(row) == lens
    assert not any("Zernike" in name or "BeamTilt" in name for name in relion_row(series(stack), 1))
    with pytest.raises(DataError, match=r"rlnOddZernike cannot be '\[0.0;2.0\]'"):
        optics_from_columns({**row, "rlnOddZernike": "[0.0;2.0]"})


def test_rows_that_name_files_find_their_images_by_angle(tmp_path, stack):
    path = write(tmp_path / "out", stack, alignment(kept=KEPT))
    star = tmp_path / "out" / "tilt_series" / "TS.star"
    star.write_text(star.read_text().replace("@", "_"))
    shuffled = np.random.default_rng(1).permutation(N)
    read = read_relion_alignment(path, stack_facts(stack, TILT_DEG[shuffled]))
    np.testing.assert_array_equal(read.kept, KEPT[shuffled])
    np.testing.assert_array_equal(read.tilt_deg[read.kept], alignment().tilt_deg[shuffled][KEPT[shuffled]])
    with pytest.raises(DataError, match=r"has 5 tilts that are not among the 7 images of .*TS\.mrc"):
        read_relion_alignment(path, stack_facts(stack, TILT_DEG + np.arange(N) ** 2))


def test_a_series_that_is_not_aligned_is_refused(tmp_path, stack):
    path = write(tmp_path / "out", stack, alignment())
    star = tmp_path / "out" / "tilt_series" / "TS.star"
    star.write_text(star.read_text().replace("rlnTomoZRot", "rlnTomoZRotNot"))
    with pytest.raises(DataError, match="holds no alignment; run AlignTiltSeries"):
        read_relion_alignment(path, stack_facts(stack))
    assert list(list_relion_series(path)) == ["TS"]


def test_an_alignment_read_from_the_stack_itself_is_taken_as_it_is(tmp_path, stack):
    write(tmp_path / "out", stack, alignment())
    star = tmp_path / "out" / "tilt_series" / "TS.star"
    own = StackFacts("TS", star, PIXEL_ANG, (8, 12), N)
    assert_same(read_relion_alignment(star, own), alignment(), atol=0)
    assert facts((8, 12)).n_tilts == N
