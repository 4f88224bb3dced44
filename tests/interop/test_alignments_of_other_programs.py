"""Alignments other programs made, read from the files they wrote."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.alignments import read_alignment
from napari_tomoflow.io.eman2 import read_info
from napari_tomoflow.io.foreign import StackFacts
from napari_tomoflow.io.imod import read_imod_alignment
from napari_tomoflow.io.imod_com import read_tilt_com
from napari_tomoflow.io.imod_fid import read_fid
from napari_tomoflow.io.imod_resid import read_fid_xyz, read_resid
from napari_tomoflow.io.mdoc import read_mdoc
from napari_tomoflow.io.relion import read_relion_series, relion_alignment
from napari_tomoflow.io.tilts import read_tilts
from napari_tomoflow.io.warp import read_warp_xml
from reference import foreign_geometry as theirs


@pytest.mark.parametrize(
    ("name", "points", "rms_px"),
    [
        # IMOD's own residuals are 0.360, 0.343, 0.375 and 0.186 px. In the first two it frees the skew of the
        # specimen as well, which no transform of an image can say: what is left is that, not ours.
        ("BBa", "BBafid", 0.12),
        ("BBb", "BBbfid", 0.15),
        ("BBa_simple-align", "BBafid_simple-align", 0.01),
        ("BBa_patch-tracking", "BBafid_patch-tracking", 0.01),
    ],
)
def test_beads_fall_where_imods_residuals_say_it_predicts_them(shared_data, name, points, rms_px):
    folder = shared_data("imod_BB")
    residuals, xyz = read_resid(folder / f"{name}.resid"), read_fid_xyz(folder / f"{points}.xyz")
    # The residuals are those of the pre-aligned stack, and so is the .tltxf.
    alignment = read_imod_alignment(
        folder / f"{name}.tltxf", folder / f"{name}.tlt", xtilt=folder / f"{name}.xtilt",
        pixel_ang=xyz.pixel_ang, shape_yx=xyz.shape_yx,
    )  # fmt: skip
    nx_ny_half = np.array([xyz.shape_yx[1] / 2, xyz.shape_yx[0] / 2, 0.0])
    points_zyx = (xyz.position_px_xyz - nx_ny_half)[:, ::-1] * xyz.pixel_ang
    predicted_yx = residuals.position_px_yx + residuals.residual_px_yx
    got = alignment.project(points_zyx)[0][residuals.view, residuals.track] / xyz.pixel_ang
    # Pixel n // 2 has its middle at n / 2 + 1/2 from the corner.
    off = got + np.array(xyz.shape_yx) / 2 + 0.5 - predicted_yx
    rms = np.sqrt(np.mean(np.sum(off**2, axis=1)))
    assert rms < rms_px
    assert rms < residuals.rms_px


@pytest.mark.parametrize("series", ["BBa", "BBb"])
def test_an_imod_folder_is_read_as_one_alignment(shared_data, tmp_path, series):
    for ending in (".xf", ".tlt", ".xtilt"):
        shutil.copy(shared_data(f"imod_BB/{series}{ending}"), tmp_path)
    stack = StackFacts(series, Path(f"{series}.st"), 20.2, (512, 512), 61, 65.0 - 2.0 * np.arange(61))
    alignment, file = read_alignment("imod", tmp_path, stack)
    assert (file.name, alignment.n_tilts) == (f"{series}.xf", 61)
    (warning,) = alignment.quality["warnings"]
    assert "stretches images by up to 1." in warning
    assert alignment.axis_deg[0] == pytest.approx(-11, abs=2)
    with pytest.raises(DataError, match="differ from those of"):
        read_alignment("imod", tmp_path, StackFacts(series, stack.path, 20.2, (512, 512), 61, np.arange(61) % 7 * 9.0))


def test_etomos_tilt_com_tells_the_size_and_the_thickness(shared_data):
    com = read_tilt_com(shared_data("cryocat_meta/TS_017/tilt.com"))
    assert (com.full_image_yx, com.thickness_px, com.xaxistilt_deg, com.offset_deg) == ((4096, 4096), 1500, 0, 0)
    assert com.options["TILTFILE"] == "017.tlt"
    assert com.warnings == ()


def test_a_warp_series_refined_by_m_has_its_geometry_and_its_movements(shared_data):
    path = shared_data("cryocat_meta/TS_017/017.xml")
    mdoc = read_mdoc(shared_data("cryocat_meta/TS_017/017.mdoc"))
    stack = StackFacts("017", Path("017.st"), 1.971, (4096, 4096), 60, mdoc.tilt_deg)
    alignment, _ = read_alignment("warp", path, stack)
    assert (alignment.n_tilts, alignment.kept.all(), alignment.axis_deg[0]) == (60, True, 83.22321)
    np.testing.assert_array_equal(alignment.tilt_deg[[0, -1]], [52, -66])
    np.testing.assert_array_equal(alignment.shift_ang_yx[0], [-95.60207, 51.38024])
    # The grid's first rows, looked up in a text editor; nodes run along x first.
    np.testing.assert_array_equal(alignment.deformation.nodes_ang_yx[0, 0, :, 1], [-1.463246, 5.320158, 1.452159])
    np.testing.assert_array_equal(alignment.deformation.nodes_ang_yx[1, 0, :, 1], [-0.7106043, 5.864784, 3.30233])
    # Its angles have the mdoc's sign, which Warp's matrix turns the other way round.
    assert "run against those of 017.st" in alignment.quality["warnings"][-1]
    rigid = alignment.replace(deformation=None)
    points_zyx = np.random.default_rng(1).uniform(-1500, 1500, (5, 3))
    got = rigid.project(points_zyx)[0][..., ::-1] / 1.971 + 2048
    np.testing.assert_allclose(got, theirs.warp(points_zyx[:, ::-1] / 1.971, (4096, 4096), path, 1.971), atol=1e-6)


def test_warps_dose_is_that_after_each_tilt(shared_data):
    warp = read_warp_xml(shared_data("cryocat_meta/TS_017/017.xml"))
    mdoc = read_mdoc(shared_data("cryocat_meta/TS_017/017.mdoc"))
    np.testing.assert_allclose(warp.dose_e_ang2, 2.23843 * (mdoc.order + 1), atol=1e-3)


ALIGNED = "relion5_hiv_project/AlignTiltSeries/job005"


@pytest.mark.parametrize("table", [f"{ALIGNED}/aligned_tilt_series.star", f"{ALIGNED}/tilt_series/TS_03.star"])
def test_a_relion_alignment_finds_the_images_of_a_stack_by_their_angles(shared_data, table):
    whole = read_relion_series(shared_data("relion5_hiv_project/Import/job001/tilt_series/TS_03.star"))
    own = relion_alignment(read_relion_series(shared_data(f"{ALIGNED}/tilt_series/TS_03.star")))
    tilt_deg = np.array(whole.table["rlnTomoNominalStageTiltAngle"])
    stack = StackFacts("TS_03", Path("TS_03.mrc"), 1.35, (3838, 3710), len(tilt_deg), tilt_deg)
    alignment, _ = read_alignment("relion5", shared_data(table), stack)
    # 41 images were taken in the order of acquisition; those excluded before the alignment have no row.
    assert (len(tilt_deg), own.n_tilts, int(alignment.kept.sum())) == (41, own.n_tilts, own.n_tilts)
    in_order = np.argsort(tilt_deg[alignment.kept])
    np.testing.assert_array_equal(alignment.shift_ang_yx[alignment.kept][in_order], own.shift_ang_yx)
    np.testing.assert_array_equal(alignment.tilt_deg[~alignment.kept], tilt_deg[~alignment.kept])


def test_two_alignments_of_one_series_agree_on_its_axis(shared_data):
    xf = shared_data("parsers/cets_imod/alignment_files/TS_03.xf")
    tlt = shared_data("parsers/cets_imod/tilt_series/TS_03.tlt")
    imod = read_imod_alignment(xf, tlt, pixel_ang=1.0, shape_yx=(3838, 3710))
    relion = relion_alignment(read_relion_series(shared_data(f"{ALIGNED}/tilt_series/TS_03.star")))
    tilts = [int(np.abs(imod.tilt_deg - tilt).argmin()) for tilt in relion.tilt_deg]
    np.testing.assert_allclose(imod.axis_deg[tilts], relion.axis_deg, atol=0.1)
    assert read_tilts(tlt)[0] == -57


def test_models_imod_wrote_are_read_as_tracks(shared_data):
    tracks = read_fid(shared_data("parsers/imodmodel/two_contour_example.mod"))
    assert tracks.shape_yx == (128, 128)
    np.testing.assert_array_equal(np.unique(tracks.track), [0, 1])
    np.testing.assert_allclose(tracks.position_px_yx[0], [64.66666412, 64.33333588])
    assert tracks.view[0] == 80


def test_a_file_of_something_else_is_no_info_file(shared_data):
    with pytest.raises(DataError, match=r"017\.tlt is not readable JSON"):
        read_info(shared_data("cryocat_meta/TS_017/017.tlt"))
