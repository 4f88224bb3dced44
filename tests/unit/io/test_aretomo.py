"""AreTomo's ``.aln``: of its three versions, with dark frames, patches and binning."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Deformation
from napari_tomoflow.core.ops.geometry import rotation_x
from napari_tomoflow.io.aretomo import read_aln, read_aretomo_alignment, write_aln
from reference import foreign_geometry as theirs
from unit.io.foreign_samples import (
    PIXEL_ANG,
    POINTS_PX_XYZ,
    POINTS_ZYX,
    SHAPES,
    TILT_DEG,
    alignment,
    assert_same,
    facts,
    pixels_xy,
    unbinned,
)

KEPT = np.array([True, True, False, True, True, True, False])

ARETOMO2 = """# AreTomo Alignment / Priims bprmMn
# RawSize = 96 64 4
# NumPatches = 0
# DarkFrame =     3    1    50.00
# SEC     ROT         GMAG       TX          TY      SMEAN     SFIT    SCALE     BASE     TILT
    2    85.0000    1.00000     10.000     -4.000     1.00     1.00     1.00     0.00    -30.00
    0    85.1000    1.00000      0.000      0.000     1.00     1.00     1.00     0.00      0.00
    3    85.2000    1.00000     -3.500      2.000     1.00     1.00     1.00     0.00     25.00
"""


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize("shape_yx", SHAPES, ids=str)
def test_points_fall_where_aretomos_own_formula_puts_them(tmp_path, shape_yx):
    ours = alignment(xtilt_deg=0.0, kept=KEPT)
    assert write_aln(tmp_path / "a.aln", ours, pixel_ang=PIXEL_ANG, shape_yx=shape_yx) == []
    expected = theirs.aretomo(POINTS_PX_XYZ, shape_yx, tmp_path / "a.aln")
    got = pixels_xy(ours, shape_yx)
    assert sorted(expected) == list(np.flatnonzero(KEPT) + 1)
    for section, pixels in expected.items():
        np.testing.assert_allclose(got[section - 1], pixels, atol=1e-4)


@pytest.mark.parametrize("shape_yx", SHAPES[:2], ids=str)
def test_an_alignment_comes_back_with_what_was_left_out(tmp_path, shape_yx):
    ours = alignment(xtilt_deg=0.0, kept=KEPT).replace(thickness_ang=400.0)
    shuffled = np.random.default_rng(2).permutation(len(TILT_DEG))
    ours = ours.replace(
        tilt_deg=ours.tilt_deg[shuffled], shift_ang_yx=ours.shift_ang_yx[shuffled], kept=ours.kept[shuffled]
    )
    write_aln(tmp_path / "a.aln", ours, pixel_ang=PIXEL_ANG, shape_yx=shape_yx)
    read = read_aretomo_alignment(tmp_path / "a.aln", facts(shape_yx))
    np.testing.assert_array_equal(read.kept, ours.kept)
    np.testing.assert_allclose(read.tilt_deg, ours.tilt_deg, atol=1e-5)
    np.testing.assert_allclose(read.shift_ang_yx[read.kept], ours.shift_ang_yx[read.kept], atol=1e-4)
    np.testing.assert_allclose(read.axis_deg[read.kept], ours.axis_deg[read.kept], atol=1e-5)
    assert read.thickness_ang == 400


@pytest.mark.parametrize(("binned_by", "binning"), [("crop", 2), ("crop", 4), ("average", 4)])
def test_an_alignment_of_a_binned_stack_serves_the_unbinned_one(tmp_path, binned_by, binning):
    raw_yx = (192, 288)
    binned_yx = tuple(n // binning for n in raw_yx)
    ours = alignment(xtilt_deg=0.0)
    write_aln(tmp_path / "a.aln", ours, pixel_ang=PIXEL_ANG, shape_yx=binned_yx)
    read = read_aretomo_alignment(tmp_path / "a.aln", facts(raw_yx, PIXEL_ANG / binning), binned_by=binned_by)
    expected = theirs.aretomo(POINTS_PX_XYZ, binned_yx, tmp_path / "a.aln")
    got = pixels_xy(read, raw_yx, pixel_ang=PIXEL_ANG / binning)
    for section, pixels in expected.items():
        np.testing.assert_allclose(got[section - 1], unbinned(pixels, binning, binned_by, raw_yx), atol=1e-3)


def test_a_tilt_about_x_common_to_all_tilts_turns_the_specimen_and_moves_no_image(tmp_path):
    ours = alignment(xtilt_deg=3.0)
    (warning,) = write_aln(tmp_path / "a.aln", ours, pixel_ang=PIXEL_ANG, shape_yx=(64, 96))
    assert "the specimen is turned by 3° about x" in warning
    turned = POINTS_PX_XYZ @ rotation_x(3.0).T
    expected = theirs.aretomo(turned, (64, 96), tmp_path / "a.aln")
    for section, pixels in expected.items():
        np.testing.assert_allclose(pixels_xy(ours, (64, 96))[section - 1], pixels, atol=1e-4)


def test_tilts_about_x_of_single_tilts_and_bending_are_told_of_when_left_out(tmp_path):
    nodes = np.ones((len(TILT_DEG), 3, 3, 2))
    ours = alignment().replace(deformation=Deformation(nodes_ang_yx=nodes, field_ang_yx=(256.0, 384.0)))
    warnings = write_aln(tmp_path / "a.aln", ours, pixel_ang=PIXEL_ANG, shape_yx=(64, 96))
    assert any("of single tilts are left out" in warning for warning in warnings)
    assert any("bending of the specimen is left out" in warning for warning in warnings)


def test_sections_that_count_from_zero_in_the_order_of_the_stack_are_put_there(tmp_path):
    stack = facts((64, 96), tilt_deg=np.array([0.0, 50.0, -30.0, 25.0]))
    stack = type(stack)(stack.name, stack.path, stack.pixel_ang, stack.shape_yx, 4, stack.tilt_deg)
    read = read_aretomo_alignment(write(tmp_path / "a.aln", ARETOMO2), stack)
    np.testing.assert_array_equal(read.tilt_deg, [0, 50, -30, 25])
    np.testing.assert_array_equal(read.kept, [True, False, True, True])
    # 10 px and half a pixel less, for an even image.
    np.testing.assert_allclose(read.shift_ang_yx[2], [4.0 * -4.5, 4.0 * 9.5])


def test_sections_numbered_anew_after_dark_frames_went_are_put_in_order_of_the_angles(tmp_path):
    text = ARETOMO2.replace("=     3    1    50.00", "=     3    0    50.00")
    for old, new in (
        ("    2    85.0", "    0    85.0"),
        ("    0    85.1", "    1    85.1"),
        ("    3    85.2", "    2    85.2"),
    ):
        text = text.replace(old, new)
    file = read_aln(write(tmp_path / "a.aln", "Hello\n" + text))
    np.testing.assert_array_equal(file.image, [0, 1, 2])
    np.testing.assert_array_equal(file.dark_image, [3])
    assert "in the order of their angles" in file.notes[0]


def patched(path, n_patches=9, shape_yx=(512, 768)):
    """Write an ``.aln`` with patches on a grid, one of them bad."""
    rng = np.random.default_rng(8)
    ours = alignment(xtilt_deg=0.0)
    write_aln(path, ours, pixel_ang=PIXEL_ANG, shape_yx=shape_yx)
    y, x = np.meshgrid([-0.3, 0.0, 0.3], [-0.3, 0.0, 0.3], indexing="ij")
    places = np.stack([x.ravel() * shape_yx[1], y.ravel() * shape_yx[0]], axis=1)
    lines = ["# Local Alignment"]
    for tilt in range(len(TILT_DEG)):
        for patch, (px, py) in enumerate(places + rng.normal(0, 5, places.shape)):
            sx, sy = rng.normal(0, 3, 2)
            lines.append(f"{tilt:4d} {patch:3d} {px:8.2f}  {py:8.2f}  {sx:8.2f}  {sy:8.2f}  {float(patch != 4):4.1f}")
    text = path.read_text().replace("NumPatches = 0", f"NumPatches = {n_patches}")
    return write(path, text + "\n".join(lines) + "\n")


def test_the_local_part_bends_images_as_aretomo_does(tmp_path):
    shape_yx = (512, 768)
    path = patched(tmp_path / "a.aln", shape_yx=shape_yx)
    read = read_aretomo_alignment(path, facts(shape_yx))
    points_zyx = POINTS_ZYX * [1, 5, 7]
    expected = theirs.aretomo(points_zyx[:, ::-1] / PIXEL_ANG, shape_yx, path)
    got = pixels_xy(read, shape_yx, points_zyx)
    rigid = pixels_xy(read.replace(deformation=None), shape_yx, points_zyx)
    off = np.array([np.linalg.norm(got[section - 1] - pixels, axis=1) for section, pixels in expected.items()])
    moved = np.array([np.linalg.norm(rigid[section - 1] - pixels, axis=1) for section, pixels in expected.items()])
    # Shifts of ±3 px at random, far rougher than a specimen's, and a spline of 41 nodes (measured: 0.017 and 0.054).
    assert np.median(moved) > 2
    assert np.sqrt((off**2).mean()) < 0.03
    assert off.max() < 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("# RawSize = 96 64 4", "# Raw = 96 64 4"), "has no line '# RawSize = nx ny n'"),
        (("# SEC ", "# "), "has no line '# SEC ROT GMAG"),
        (("  10.000     -4.000", "  nan     -4.000"), r"a\.aln: '2 .*nan.* is not 10 numbers"),
        (("RawSize = 96 64 4", "RawSize = 96 64 6"), "is for 6 images but lists 3 tilts and 1 dark frames"),
        (("    3    85.2", "    9    85.2"), "numbers its 4 sections in no order we know"),
        (("     0.00     25.00", ""), "is not 10 numbers; copy the file again"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, change, message):
    text = ARETOMO2.replace(*change)
    if "9    85.2" in change[1]:
        text = text.replace("    0.00      0.00\n", "    0.00     -60.00\n")
    with pytest.raises(DataError, match=message):
        read_aln(write(tmp_path / "a.aln", text))


def test_patches_cut_short_are_refused(tmp_path):
    path = patched(tmp_path / "a.aln")
    write(path, "\n".join(path.read_text().splitlines()[:-5]))
    with pytest.raises(DataError, match=r"announces 9 patches in 7 tilts but lists 58 of 63 local shifts"):
        read_aln(path)


def test_an_alignment_of_another_stack_is_refused(tmp_path):
    path = write(tmp_path / "a.aln", ARETOMO2)
    with pytest.raises(DataError, match=r"a\.aln is for 4 images but TS\.mrc holds 7"):
        read_aretomo_alignment(path, facts((64, 96)))
    write_aln(tmp_path / "b.aln", alignment(), pixel_ang=PIXEL_ANG, shape_yx=(64, 96))
    with pytest.raises(DataError, match=r"b\.aln is for images of 96 × 64 px but the stack has 100 × 100 px"):
        read_aretomo_alignment(tmp_path / "b.aln", facts((100, 100)))


def test_alignments_are_equal_field_by_field_after_two_round_trips(tmp_path):
    ours = alignment(xtilt_deg=0.0)
    for name in ("a.aln", "b.aln"):
        write_aln(tmp_path / name, ours, pixel_ang=PIXEL_ANG, shape_yx=(65, 96))
        ours = read_aretomo_alignment(tmp_path / name, facts((65, 96)))
    assert_same(ours, alignment(xtilt_deg=0.0), atol=1e-4)
