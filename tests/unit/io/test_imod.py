"""IMOD's transforms, against points projected by the two programs' own formulas."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment
from napari_tomoflow.core.ops.geometry import pixels_from_ang
from napari_tomoflow.io.imod import read_imod_alignment, read_xf, write_imod_alignment

RNG = np.random.default_rng(11)
POINTS_ZYX = RNG.uniform(-1, 1, (8, 3)) * [50, 200, 200]


def alignment(n=5):
    return Alignment(
        tilt_deg=np.linspace(-60, 60, n),
        axis_deg=85.3 + RNG.normal(0, 0.2, n),
        xtilt_deg=RNG.normal(0, 1, n),
        shift_ang_yx=RNG.normal(0, 100, (n, 2)),
    )


def imod_pixels(xf, tlt, points_px_xyz, shape_yx):
    """Project as IMOD does: tilt about the image centre (N - 1) / 2, then undo the transform to the raw image."""
    centre = (np.array(shape_yx[::-1]) - 1) / 2
    found = []
    for row, tilt in zip(np.loadtxt(xf), np.deg2rad(np.loadtxt(tlt)), strict=True):
        a, d = row[:4].reshape(2, 2), row[4:]
        x, y, z = points_px_xyz.T
        aligned = np.stack([x * np.cos(tilt) + z * np.sin(tilt), y], axis=1)
        found.append(np.linalg.solve(a, (aligned - d).T).T + centre)
    return np.array(found)


@pytest.mark.parametrize("shape_yx", [(64, 96), (65, 97), (64, 97)], ids=str)
def test_our_points_fall_where_imods_do(tmp_path, shape_yx):
    ours = alignment().replace(xtilt_deg=0.0)
    write_imod_alignment(ours, tmp_path / "a.xf", tmp_path / "a.tlt", pixel_ang=4.0, shape_yx=shape_yx)
    expected = imod_pixels(tmp_path / "a.xf", tmp_path / "a.tlt", POINTS_ZYX[:, ::-1] / 4.0, shape_yx)
    got = pixels_from_ang(ours.project(POINTS_ZYX)[0], 4.0, shape_yx)[..., ::-1]
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("binning", [2, 4])
@pytest.mark.parametrize("binned_by", ["average", "crop"])
def test_points_fall_right_when_imod_worked_on_a_binned_stack(tmp_path, binning, binned_by):
    shape_yx, pixel_ang = (64, 96), 4.0
    binned_yx = tuple(n // binning for n in shape_yx)
    write_imod_alignment(
        alignment(), tmp_path / "a.xf", tmp_path / "a.tlt", pixel_ang=pixel_ang * binning, shape_yx=binned_yx
    )
    ours = read_imod_alignment(
        tmp_path / "a.xf",
        tmp_path / "a.tlt",
        pixel_ang=pixel_ang,
        shape_yx=shape_yx,
        binning=binning,
        binned_by=binned_by,
    )
    on_binned = imod_pixels(
        tmp_path / "a.xf", tmp_path / "a.tlt", POINTS_ZYX[:, ::-1] / (pixel_ang * binning), binned_yx
    )
    # Where the centre of a binned pixel lies among the unbinned ones.
    expected = on_binned * binning + ((binning - 1) / 2 if binned_by == "average" else 0)
    got = pixels_from_ang(ours.project(POINTS_ZYX)[0], pixel_ang, shape_yx)[..., ::-1]
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_the_shift_of_an_even_image_holds_imods_half_pixel(tmp_path):
    (tmp_path / "a.xf").write_text("1 0 0 1 0 0\n")
    (tmp_path / "a.tlt").write_text("0\n")
    even = read_imod_alignment(tmp_path / "a.xf", tmp_path / "a.tlt", pixel_ang=2.0, shape_yx=(64, 65))
    np.testing.assert_array_equal(even.shift_ang_yx, [[-1.0, 0.0]])


def test_a_stretched_transform_keeps_its_rotation_and_is_warned_about(tmp_path):
    (tmp_path / "a.xf").write_text("0 1.05 -1 0 3 4\n")
    (tmp_path / "a.tlt").write_text("0\n")
    read = read_imod_alignment(tmp_path / "a.xf", tmp_path / "a.tlt", pixel_ang=1.0, shape_yx=(65, 65))
    assert read.axis_deg[0] == pytest.approx(90)
    assert "5.0 %" in read.quality["warnings"][0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0 0 1 0\n", "transform 1: 5 numbers where an .xf has six"),
        ("1 0 0 1 0 0\n1 1 1 1 0 0\n", "transform 2 squeezes"),
        ("", "is empty"),
        ("1 0 0 1 0 0 a\n", "line 1"),
    ],
)
def test_a_damaged_xf_is_refused_by_place(tmp_path, text, message):
    (tmp_path / "a.xf").write_text(text)
    with pytest.raises(DataError, match=message):
        read_xf(tmp_path / "a.xf")


def test_files_of_different_series_are_refused_with_their_counts(tmp_path):
    (tmp_path / "a.xf").write_text("1 0 0 1 0 0\n" * 3)
    (tmp_path / "a.tlt").write_text("0\n1\n")
    with pytest.raises(DataError, match=r"holds 3 transforms.*a\.tlt 2 angles"):
        read_imod_alignment(tmp_path / "a.xf", tmp_path / "a.tlt", pixel_ang=1.0, shape_yx=(64, 64))
