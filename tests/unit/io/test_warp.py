"""Warp's XML: geometry, levelling, movements of images, CTF and hand."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import CtfSeries, Deformation, Optics, TiltSeries
from napari_tomoflow.io.warp import read_warp_alignment, read_warp_xml, write_warp_xml
from reference import foreign_geometry as theirs
from unit.io.foreign_samples import (
    PIXEL_ANG,
    POINTS_PX_XYZ,
    SHAPES,
    TILT_DEG,
    alignment,
    assert_same,
    facts,
    pixels_xy,
)

VOLUME_ANG = (384.0, 256.0, 120.0)
KEPT = np.array([True, False, True, True, True, True, False])


def series(shape_yx, kept=True):
    return TiltSeries(
        name="TS",
        images=np.zeros((len(TILT_DEG), *shape_yx), np.int8),
        tilt_deg=TILT_DEG,
        pixel_ang=PIXEL_ANG,
        dose_before_e_ang2=np.arange(7) * 3.0,
        dose_of_tilt_e_ang2=3.0,
        kept=kept,
    )


@pytest.mark.parametrize("shape_yx", SHAPES, ids=str)
def test_points_fall_where_warps_own_formula_puts_them(tmp_path, shape_yx):
    ours = alignment(xtilt_deg=1.7, kept=KEPT)
    write_warp_xml(tmp_path / "TS.xml", series(shape_yx), ours, None, 1)
    expected = theirs.warp(POINTS_PX_XYZ, shape_yx, tmp_path / "TS.xml", PIXEL_ANG)
    np.testing.assert_allclose(pixels_xy(ours, shape_yx), expected, atol=1e-8)
    assert_same(read_warp_alignment(tmp_path / "TS.xml", facts(shape_yx)), ours, atol=1e-9)


def test_levelling_about_both_axes_is_taken_over(tmp_path):
    path = tmp_path / "TS.xml"
    write_warp_xml(path, series((65, 96)), alignment(xtilt_deg=0.0), None, 1)
    path.write_text(path.read_text().replace('LevelAngleX="0.0" LevelAngleY="0"', 'LevelAngleX="4" LevelAngleY="-6"'))
    expected = theirs.warp(POINTS_PX_XYZ, (65, 96), path, PIXEL_ANG)
    np.testing.assert_allclose(pixels_xy(read_warp_alignment(path, facts((65, 96))), (65, 96)), expected, atol=1e-8)


def test_a_file_in_utf_16_is_read_like_any_other(tmp_path):
    path = tmp_path / "TS.xml"
    write_warp_xml(path, series((64, 96)), alignment(xtilt_deg=0.0), None, 1)
    path.write_bytes(path.read_text().replace("utf-8", "utf-16").encode("utf-16"))
    assert_same(read_warp_alignment(path, facts((64, 96))), alignment(xtilt_deg=0.0), atol=1e-9)


def test_the_bending_of_images_goes_to_warp_and_back(tmp_path):
    nodes = np.random.default_rng(4).normal(0, 8, (len(TILT_DEG), 3, 5, 2))
    bent = alignment(xtilt_deg=0.0).replace(deformation=Deformation(nodes_ang_yx=nodes, field_ang_yx=(256.0, 384.0)))
    write_warp_xml(tmp_path / "TS.xml", series((64, 96)), bent, None, 1)
    read = read_warp_alignment(tmp_path / "TS.xml", facts((64, 96)))
    np.testing.assert_array_equal(read.deformation.nodes_ang_yx, nodes)
    assert read.deformation.field_ang_yx == (256.0, 384.0)


def test_a_movement_of_whole_images_is_a_shift(tmp_path):
    path = tmp_path / "TS.xml"
    ours = alignment(xtilt_deg=0.0)
    write_warp_xml(path, series((64, 96)), ours, None, 1)
    node = '<Node X="0" Y="0" Z="0" Value="{}"/>'
    x, y = node.format(5.0), node.format(-3.0)
    grids = f"<GridMovementX>{x}</GridMovementX><GridMovementY>{y}</GridMovementY>"
    path.write_text(path.read_text().replace("</TiltSeries>", grids + "</TiltSeries>"))
    read = read_warp_alignment(path, facts((64, 96)))
    np.testing.assert_allclose(read.shift_ang_yx, ours.shift_ang_yx - [-3.0, 5.0])


def bent_by_height(rng):
    """Bend images smoothly, by some 5 Å at the faces of a volume 120 Å thick, in every tilt otherwise."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (5, 6)), indexing="ij")
    smooth = np.stack([np.ones_like(x), x, y, x * y, x**2])
    slopes = np.einsum("nkc,kyx->nyxc", rng.normal(0, 4, (len(TILT_DEG), 5, 2)), smooth) / 60
    deformation = Deformation(nodes_ang_yx=np.zeros_like(slopes), slopes_yx=slopes, field_ang_yx=(256.0, 384.0))
    return alignment(xtilt_deg=1.7).replace(deformation=deformation)


def test_bending_that_changes_with_height_is_where_warps_own_grids_put_it(tmp_path):
    ours, path = bent_by_height(np.random.default_rng(9)), tmp_path / "TS.xml"
    warnings = write_warp_xml(path, series((64, 96)), ours, None, 1, VOLUME_ANG)
    assert warnings[1] == "The bending is that of a volume of 384 × 256 × 120 Å: give Warp and M these dimensions."
    points_zyx = np.random.default_rng(2).uniform(-0.35, 0.35, (40, 3)) * VOLUME_ANG[::-1]
    got, rigid = (
        theirs.warp(points_zyx[:, ::-1] / PIXEL_ANG, (64, 96), file, PIXEL_ANG)
        for file in (path, without_grids(path, tmp_path / "rigid.xml"))
    )
    expected = pixels_xy(ours, (64, 96), points_zyx)
    moved = np.sqrt(np.mean((rigid - expected) ** 2))
    assert moved > 0.25
    # What is left are straight lines between nodes in place of a spline.
    assert np.sqrt(np.mean((got - expected) ** 2)) < 0.1 * moved


def test_bending_that_changes_with_height_comes_back_from_warp(tmp_path):
    ours, path = bent_by_height(np.random.default_rng(9)), tmp_path / "TS.xml"
    write_warp_xml(path, series((64, 96)), ours, None, 1, VOLUME_ANG)
    read = read_warp_alignment(path, facts((64, 96)))
    points_zyx = np.random.default_rng(2).uniform(-0.35, 0.35, (40, 3)) * VOLUME_ANG[::-1]
    expected, got = (pixels_xy(one, (64, 96), points_zyx) for one in (ours, read))
    rigid = pixels_xy(ours.replace(deformation=None), (64, 96), points_zyx)
    assert np.sqrt(np.mean((got - expected) ** 2)) < 0.15 * np.sqrt(np.mean((rigid - expected) ** 2))


def test_a_volume_moved_as_a_whole_shifts_the_images(tmp_path):
    path, ours = tmp_path / "TS.xml", alignment(xtilt_deg=0.0)
    write_warp_xml(path, series((64, 96)), ours, None, 1, VOLUME_ANG)
    nodes = "".join(f'<Node X="0" Y="0" Z="0" W="{w}" Value="{w}"/>' for w in range(7))
    one = 'Width="1" Height="1" Depth="1"'
    grids = "".join(f'<GridVolumeWarp{axis} {one} Duration="7">{nodes}</GridVolumeWarp{axis}>' for axis in "XYZ")
    path.write_text(path.read_text().replace("</TiltSeries>", grids + "</TiltSeries>"))
    expected = theirs.warp(POINTS_PX_XYZ, (64, 96), path, PIXEL_ANG)
    np.testing.assert_allclose(pixels_xy(read_warp_alignment(path, facts((64, 96))), (64, 96)), expected, atol=1e-8)


def without_grids(path, other):
    text = path.read_text()
    other.write_text(text[: text.index("<GridVolumeWarpX")].rstrip() + "</TiltSeries>")
    return other


def test_what_is_not_taken_over_is_told_of(tmp_path):
    path = tmp_path / "TS.xml"
    write_warp_xml(path, series((64, 96)), alignment(xtilt_deg=0.0), None, 1)
    nodes = "".join(f'<Node X="0" Y="0" Z="{z}" W="0" Value="2.5"/>' for z in range(2))
    turn = '<GridAngleX><Node X="0" Y="0" Z="0" Value="2.5"/></GridAngleX>'
    grids = f'<GridVolumeWarpZ Depth="2">{nodes}</GridVolumeWarpZ>{turn}'
    path.write_text(path.read_text().replace("</TiltSeries>", grids + "</TiltSeries>"))
    assert read_warp_alignment(path, facts((64, 96))).quality["warnings"] == [
        "TS.xml holds turns of single tilts (GridAngle, up to 2.5), which are left out.",
        "TS.xml bends its volume (GridVolumeWarp, up to 2.5 Å) but does not say how large it is: left out.",
    ]


@pytest.mark.parametrize(
    ("changes", "volume_ang", "why"),
    [
        ({"dose_before_e_ang2": 0.0}, (384.0, 256.0, 120.0), "tilts share an exposure"),
        ({}, None, "the size of the volume"),
    ],
)
def test_bending_that_warp_cannot_be_told_of_is_told_of(tmp_path, changes, volume_ang, why):
    ours = bent_by_height(np.random.default_rng(9))
    told = series((64, 96)).replace(**changes)
    warnings = write_warp_xml(tmp_path / "TS.xml", told, ours, None, 1, volume_ang)
    assert f"How bending changes with height is left out: {why}" in warnings[1]
    assert "GridVolumeWarp" not in (tmp_path / "TS.xml").read_text()


def test_tilts_about_x_of_single_tilts_are_told_of_when_left_out(tmp_path):
    warnings = write_warp_xml(tmp_path / "TS.xml", series((64, 96)), alignment(), None, 1)
    assert "Warp knows one tilt about x for all" in warnings[1]


@pytest.mark.parametrize("hand", [-1, 1])
def test_ctf_and_hand_are_written_in_warps_units(tmp_path, hand):
    n = len(TILT_DEG)
    ctf = CtfSeries(
        optics=Optics(200.0, 1.4, 0.1),
        defocus_u_ang=np.linspace(3.0e4, 3.6e4, n),
        defocus_v_ang=np.linspace(2.9e4, 3.4e4, n),
        azimuth_deg=np.array(33.0),
        phase_deg=np.array(90.0),
    )
    path = tmp_path / "TS.xml"
    write_warp_xml(path, series((64, 96)), alignment(), ctf, hand)
    import xml.etree.ElementTree as ElementTree

    root = ElementTree.parse(path).getroot()
    values = {grid.tag: [float(node.get("Value")) for node in grid] for grid in root if grid.tag.startswith("GridCTF")}
    np.testing.assert_allclose(values["GridCTF"], np.linspace(2.95, 3.5, n))
    np.testing.assert_allclose(values["GridCTFDefocusDelta"], np.linspace(0.1, 0.2, n))
    assert values["GridCTFDefocusAngle"] == [33.0] * n
    assert values["GridCTFPhase"] == [0.5] * n
    params = {one.get("Name"): float(one.get("Value")) for one in root.find("CTF")}
    assert (params["Voltage"], params["Cs"], params["Amplitude"], params["PixelSize"]) == (200, 1.4, 0.1, PIXEL_ANG)
    # Warp's defocus grows with our depth unless its angles are inverted.
    assert read_warp_xml(path).hand == hand
    np.testing.assert_array_equal(read_warp_xml(path).dose_e_ang2, 3.0 * np.arange(1, n + 1))


def test_tilts_the_series_leaves_out_are_not_used(tmp_path):
    write_warp_xml(tmp_path / "TS.xml", series((64, 96), kept=KEPT), alignment(), None, 1)
    np.testing.assert_array_equal(read_warp_xml(tmp_path / "TS.xml").used, KEPT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("</TiltSeries>", ""), r"TS\.xml is not readable XML"),
        (("TiltSeries", "Movie"), "is not about a tilt series but 'Movie'"),
        (("Angles>", "Tilts>"), "without angles"),
        (("<AxisAngle>", "<AxisAngle>7 "), "has 7 angles but 8 values of AxisAngle"),
        (("<AxisOffsetX>", "<AxisOffsetX>nan"), "AxisOffsetX is not made of numbers"),
        (("<UseTilt>True", "<UseTilt>"), "says of 6 tilts whether to use them"),
        (("</TiltSeries>", '<GridMovementX Width="2"/></TiltSeries>'), "GridMovementX announces 2 nodes but holds 0"),
        (
            ("</TiltSeries>", '<GridVolumeWarpX><Node X="3"/></GridVolumeWarpX></TiltSeries>'),
            "not those of a grid of 1 ×",
        ),
        (("<TiltSeries", '<TiltSeries VolumeDimensionsAngstrom="4, 5"'), "holds 2 numbers instead of 3"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, change, message):
    path = tmp_path / "TS.xml"
    write_warp_xml(path, series((64, 96)), alignment(), None, 1)
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(DataError, match=message):
        read_warp_xml(path)


def test_an_alignment_of_another_stack_is_refused(tmp_path):
    write_warp_xml(tmp_path / "TS.xml", series((64, 96)), alignment(), None, 1)
    text = (tmp_path / "TS.xml").read_text()
    assert text.startswith('<?xml version="1.0" encoding="utf-8"?>')
    stack = facts((64, 96))
    other = type(stack)(stack.name, stack.path, 4.0, (64, 96), 9)
    with pytest.raises(DataError, match=r"TS\.xml holds 7 tilts but TS\.mrc 9 images"):
        read_warp_alignment(tmp_path / "TS.xml", other)
