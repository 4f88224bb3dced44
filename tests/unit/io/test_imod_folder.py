"""A folder of IMOD as a whole: transforms, angles and command files together."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError, MissingError
from napari_tomoflow.core.model import Deformation
from napari_tomoflow.io.imod import read_imod_alignment, write_imod_alignment
from napari_tomoflow.io.imod_com import newst_binning, read_tilt_com, write_tilt_com
from napari_tomoflow.io.imod_folder import list_xf, read_imod_folder
from reference import foreign_geometry as theirs
from unit.io.foreign_samples import (
    POINTS_PX_XYZ,
    SHAPES,
    TILT_DEG,
    alignment,
    assert_same,
    facts,
    pixels_xy,
    unbinned,
)


def write_folder(folder, shape_yx, com_lines=(), name="TS", pixel_ang=4.0):
    ours = alignment()
    paths = [folder / f"{name}{ending}" for ending in (".xf", ".tlt", ".xtilt")]
    write_imod_alignment(ours, paths[0], paths[1], xtilt=paths[2], pixel_ang=pixel_ang, shape_yx=shape_yx)
    if com_lines:
        lines = ["$tilt -StandardInput", f"TILTFILE {name}.tlt", f"XTILTFILE {name}.xtilt", *com_lines, "$if (-e x) x"]
        (folder / "tilt.com").write_text("\n".join(lines))
    return ours, paths


@pytest.mark.parametrize("shape_yx", SHAPES, ids=str)
def test_points_fall_where_imods_own_formula_puts_them(tmp_path, shape_yx):
    ours, (xf, tlt, xtilt) = write_folder(tmp_path, shape_yx)
    expected = theirs.imod(POINTS_PX_XYZ, shape_yx, xf, tlt, xtilt)
    np.testing.assert_allclose(pixels_xy(ours, shape_yx), expected, atol=1e-5)
    assert_same(read_imod_folder(tmp_path, facts(shape_yx)), ours)


@pytest.mark.parametrize("shape_yx", SHAPES[:2], ids=str)
def test_offset_shift_and_tilt_about_x_of_tilt_com_place_the_specimen_as_imods_volume_has_it(tmp_path, shape_yx):
    lines = ["OFFSET 2.5 3.0", "SHIFT 7.0 -12.0", "XAXISTILT 4.0", "THICKNESS 300", "IMAGEBINNED 4"]
    _, (xf, tlt, xtilt) = write_folder(tmp_path, shape_yx, lines)
    com = {"offset": (2.5, 3.0), "shift": (7.0, -12.0), "xaxistilt": 4.0}
    expected = theirs.imod(POINTS_PX_XYZ, shape_yx, xf, tlt, xtilt, com)
    read = read_imod_folder(tmp_path, facts(shape_yx))
    np.testing.assert_allclose(pixels_xy(read, shape_yx), expected, atol=1e-5)
    assert read.thickness_ang == 1200
    np.testing.assert_allclose(read.centre_ang_zyx[0], -48, rtol=0.01)


@pytest.mark.parametrize("binned_by", ["average", "crop"])
@pytest.mark.parametrize("imod_is_binned", [True, False])
def test_the_binning_between_imods_images_and_ours_is_found_and_undone(tmp_path, binned_by, imod_is_binned):
    small, large = (48, 72), (192, 288)
    imod_yx, our_yx = (small, large) if imod_is_binned else (large, small)
    _, (xf, tlt, xtilt) = write_folder(tmp_path, imod_yx, [f"FULLIMAGE {imod_yx[1]} {imod_yx[0]}"])
    our_pixel_ang = 1.0 if imod_is_binned else 16.0
    read = read_imod_folder(tmp_path, facts(our_yx, our_pixel_ang), binned_by=binned_by)
    of_imod = theirs.imod(POINTS_PX_XYZ, imod_yx, xf, tlt, xtilt)
    of_ours = pixels_xy(read, our_yx, pixel_ang=our_pixel_ang)
    if imod_is_binned:
        np.testing.assert_allclose(of_ours, unbinned(of_imod, 4, binned_by, our_yx), atol=1e-4)
    else:
        np.testing.assert_allclose(unbinned(of_ours, 4, binned_by, imod_yx), of_imod, atol=1e-4)


def test_a_transform_that_stretches_is_kept_whole(tmp_path):
    ours, (xf, tlt, xtilt) = write_folder(tmp_path, (400, 400))
    rows = np.loadtxt(xf)
    rows[:, :4] = (rows[:, :4].reshape(-1, 2, 2) @ [[1.012, 0.004], [-0.003, 0.995]]).reshape(-1, 4)
    np.savetxt(xf, rows, "%.9f")
    read = read_imod_folder(tmp_path, facts((400, 400)))
    assert "stretches images by up to 1." in read.quality["warnings"][0]
    expected = theirs.imod(POINTS_PX_XYZ, (400, 400), xf, tlt, xtilt)
    np.testing.assert_allclose(pixels_xy(read, (400, 400)), expected, atol=0.02)
    # ... and written again as the same transforms.
    again = tmp_path / "again.xf"
    assert write_imod_alignment(read, again, tmp_path / "again.tlt", pixel_ang=4.0, shape_yx=(400, 400)) == []
    np.testing.assert_allclose(np.loadtxt(again), rows, atol=1e-6)
    assert ours.deformation is None


def test_bending_a_transform_cannot_say_is_told_of(tmp_path):
    nodes = np.random.default_rng(1).normal(0, 20, (len(TILT_DEG), 4, 4, 2))
    bent = alignment().replace(deformation=Deformation(nodes_ang_yx=nodes, field_ang_yx=(256.0, 256.0)))
    (warning,) = write_imod_alignment(bent, tmp_path / "a.xf", tmp_path / "a.tlt", pixel_ang=4.0, shape_yx=(64, 64))
    assert "px of the specimen's bending are left out" in warning


def test_views_imod_leaves_out_are_marked_and_written_again(tmp_path):
    write_folder(tmp_path, (64, 96), ["EXCLUDELIST2 1-2,7"])
    read = read_imod_folder(tmp_path, facts((64, 96)))
    np.testing.assert_array_equal(np.flatnonzero(~read.kept), [0, 1, 6])
    write_tilt_com(tmp_path / "again.com", "TS", shape_yx=(64, 96), thickness_px=50, excluded=[0, 1, 6])
    com = read_tilt_com(tmp_path / "again.com")
    assert (com.excluded, com.thickness_px, com.full_image_yx) == ({0, 1, 6}, 50, (64, 96))


def test_what_is_not_taken_over_is_told_of(tmp_path):
    write_folder(tmp_path, (64, 96), ["LOCALFILE TSlocal.xf", "ZFACTORFILE TS.zfac"])
    (tmp_path / "align.com").write_text("$tiltalign -StandardInput\nLocalAlignments\t1\n$b3dcopy x y\n")
    warnings = read_imod_folder(tmp_path, facts((64, 96))).quality["warnings"]
    assert [" ".join(warning.split()[:5]) for warning in warnings] == [
        "tilt.com asks for local alignments",
        "tilt.com asks for Z factors",
        "align.com asks for local alignments",
    ]


def test_the_command_file_of_another_series_in_the_folder_is_not_taken(tmp_path):
    ours, _ = write_folder(tmp_path, (64, 96), ["OFFSET 5"])
    write_folder(tmp_path, (64, 96), name="B")
    assert_same(read_imod_folder(tmp_path, facts((64, 96), name="B")), ours)
    np.testing.assert_allclose(read_imod_folder(tmp_path, facts((64, 96))).tilt_deg, ours.tilt_deg + 5)


def test_files_are_found_in_the_folder_of_the_series_and_with_aretomos_names(tmp_path):
    (tmp_path / "TS").mkdir()
    (tmp_path / "B_Imod").mkdir()
    write_folder(tmp_path / "TS", (64, 96))
    write_folder(tmp_path / "B_Imod", (64, 96), name="B_st")
    assert read_imod_folder(tmp_path, facts((64, 96))).n_tilts == len(TILT_DEG)
    assert read_imod_folder(tmp_path, facts((64, 96), name="B")).n_tilts == len(TILT_DEG)
    (tmp_path / "TS" / "TS_fid.xf").write_text("1 0 0 1 0 0\n")
    assert [path.name for path in list_xf(tmp_path)] == ["B_st.xf", "TS.xf"]
    with pytest.raises(MissingError, match=r"holds no C\.xf; give the folder of IMOD's alignment of C"):
        read_imod_folder(tmp_path, facts((64, 96), name="C"))
    (tmp_path / "TS" / "TS.tlt").unlink()
    with pytest.raises(MissingError, match=r"holds TS\.xf but no TS\.tlt"):
        read_imod_folder(tmp_path, facts((64, 96)))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SHIFT 1.0 nan", r"tilt\.com: SHIFT 1\.0 nan is not made of numbers"),
        ("XAXISTILT flat", r"tilt\.com: XAXISTILT flat is not made of numbers"),
        ("EXCLUDELIST 1-x", r"tilt\.com: '1-x' is no list of views"),
        ("EXCLUDELIST 70", r"tilt\.com leaves out view 70 of 7"),
        ("FULLIMAGE 100 70", r"is for images of 100 × 70 px but the stack has 96 × 64 px"),
    ],
)
def test_a_damaged_command_file_is_refused_by_entry(tmp_path, line, message):
    write_folder(tmp_path, (64, 96), [line])
    with pytest.raises(DataError, match=message):
        read_imod_folder(tmp_path, facts((64, 96)))


def test_a_command_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "newst.com").write_text("$newstack -StandardInput\nBinByFactor\t4\n")
    assert newst_binning(tmp_path / "newst.com") == 4
    with pytest.raises(DataError, match=r"newst\.com does not call tilt"):
        read_tilt_com(tmp_path / "newst.com")


def test_an_alignment_of_another_stack_is_refused_with_both_counts(tmp_path):
    write_folder(tmp_path, (64, 96))
    for name in ("TS.xf", "TS.tlt", "TS.xtilt"):
        lines = (tmp_path / name).read_text().splitlines()
        (tmp_path / name).write_text("\n".join(lines[:-1]))
    with pytest.raises(DataError, match=r"TS\.xf holds 6 transforms but TS\.mrc 7 images"):
        read_imod_folder(tmp_path, facts((64, 96)))


def test_excluded_tilts_do_not_disturb_the_angles_of_the_others(tmp_path):
    ours, (xf, tlt, xtilt) = write_folder(tmp_path, (64, 96), ["EXCLUDELIST 3"])
    read = read_imod_alignment(xf, tlt, xtilt=xtilt, pixel_ang=4.0, shape_yx=(64, 96))
    assert_same(read, ours)
