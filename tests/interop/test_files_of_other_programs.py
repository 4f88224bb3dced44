"""Files other programs wrote, with values looked up in them by hand (hex dump, text editor)."""

import bz2
import gzip
import shutil

import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.stages.import_ import ImportParams, import_
from napari_tomoflow.io.imod import read_imod_alignment
from napari_tomoflow.io.mdoc import read_mdoc
from napari_tomoflow.io.mrc import open_mrc
from napari_tomoflow.io.particles import read_particles
from napari_tomoflow.io.relion import list_relion_series, read_relion_series, relion_alignment, relion_ctf
from napari_tomoflow.io.sources import read_raw_stack
from napari_tomoflow.io.stacks import open_stack
from napari_tomoflow.io.tilts import read_tilts
from napari_tomoflow.io.volumes import open_volume


def test_a_velox_movie_with_a_negative_pixel_size_asks_for_it(shared_data):
    path = shared_data("mrc_edge_cases/Custom_movie.mrc")
    stack = open_mrc(path)
    assert (stack.shape, stack.dtype) == ((30, 16, 16), np.uint16)
    np.testing.assert_array_equal(stack[0, 0, :4], [0x2D6, 0x2B2, 0x2BA, 0x2BE])
    assert stack.header.pixel_ang is None
    with pytest.raises(DataError, match=r"Custom_movie\.mrc: the pixel size .* -10 × -10 × 0 Å; give --pixel-ang"):
        import_(read_raw_stack(path), ImportParams(untilted=True))


def test_a_packed_map_with_its_axes_out_of_order_opens_and_is_no_tomogram(shared_data):
    path = shared_data("mrc_edge_cases/EMD-3001.map.bz2")
    values = np.frombuffer(bz2.decompress(path.read_bytes()), "<f4", offset=1024 + 160).reshape(25, 43, 73)
    stack = open_mrc(path)
    assert stack.shape == (73, 25, 43)  # columns run along z, rows along x, sections along y
    np.testing.assert_array_equal(np.asarray(stack), values.transpose(2, 0, 1))
    with pytest.raises(DataError, match=r"EMD-3001\.map\.bz2 has voxels of 0\.4482 × 0\.3925 × 0\.4587 Å; resample"):
        open_volume(path)


def test_a_cubic_map_of_the_data_bank_opens(shared_data):
    tomogram = open_volume(shared_data("mrc_edge_cases/EMD-3197.map"))
    assert (tomogram.volume.shape, tomogram.voxel_ang) == ((20, 20, 20), 11.4)
    np.testing.assert_allclose(tomogram.volume[0, 0, :3], [-1.8013091, -1.6618503, -1.5478334], rtol=1e-7)
    assert "warnings" not in tomogram.quality


def test_a_velox_scan_tells_its_tilt_and_voltage_in_the_extended_header(shared_data):
    stack = open_mrc(shared_data("mrc_edge_cases/HAADFscan.mrc"))
    assert (stack.shape, stack.dtype) == ((1, 16, 16), np.uint16)
    assert stack.header.pixel_ang == pytest.approx(908.661 / 16, rel=1e-6)
    np.testing.assert_allclose(stack.header.tilt_deg, [0.0081161], atol=1e-6)
    assert stack.header.voltage_kv == 300


def test_an_imod_tomogram_opens(shared_data):
    tomogram = open_volume(shared_data("mrc_edge_cases/new-head_int16.mrc"))
    assert (tomogram.volume.shape, tomogram.volume.dtype, tomogram.voxel_ang) == ((20, 30, 40), np.int16, 4.0)
    np.testing.assert_array_equal(tomogram.volume[0, 0, :4], [-6, -7, -6, -4])


def test_a_big_endian_file_with_a_little_endian_stamp_opens(shared_data):
    stack = open_mrc(shared_data("mrc_edge_cases/swapped_byte_order.mrc"))
    assert stack.shape == (1, 2, 10)
    assert float(stack[0, 0, 1]) == pytest.approx(-0.3407283, rel=1e-6)
    assert float(stack[0, 1, 9]) == pytest.approx(-21.38634, rel=1e-6)
    assert "byte order" in stack.header.notes[0]


def test_a_header_without_its_data_is_refused_as_cut_short(shared_data):
    with pytest.raises(DataError, match=r"headerTest\.st is cut short.*512 × 512 × 1.*526336 bytes.*2048 bytes"):
        open_mrc(shared_data("imod_BB/headerTest.st"))


def test_real_tilt_images_open_and_ask_for_what_their_header_lacks(shared_data):
    path = shared_data("real_tilt_images/hiv_vlp_4tilts_cryoCAT.mrc")
    stack = open_stack(path)
    assert (stack.shape, stack.dtype, stack.header.pixel_ang) == ((4, 240, 232), np.float32, None)
    images = np.asarray(stack)
    assert (images.min(), images.max()) == (18.0, 117.0)
    with pytest.raises(DataError, match="give --pixel-ang, and --angles FILE or --mdoc FILE, or --untilted"):
        import_(read_raw_stack(path))


def test_a_dm3_tilt_series_tells_angles_pixel_and_voltage(shared_data):
    path = shared_data("real_tilt_etspy_needle/HAADF.dm3")
    stack = open_stack(path)
    assert (stack.shape, stack.dtype) == ((91, 64, 64), np.uint16)
    np.testing.assert_allclose(stack.header.tilt_deg, 2.0 * (np.arange(91) - 45))
    assert stack.header.pixel_ang == pytest.approx(179.949, abs=0.001)
    assert stack.header.voltage_kv == 300
    top_row = np.frombuffer(path.read_bytes(), "<u2", count=64, offset=70817)
    np.testing.assert_array_equal(stack[0, -1], top_row)


def test_the_needle_is_taken_in_although_a_list_of_another_series_lies_beside_it(shared_data):
    series = import_(read_raw_stack(shared_data("real_tilt_etspy_needle/HAADF.dm3")), ImportParams(contrast="bright"))
    assert series.kept.all()
    np.testing.assert_allclose(series.tilt_deg[[0, -1]], [-90, 90])
    assert "HAADF.rawtlt holds 77 angles; it is not used." in series.quality["notes"]


def test_the_mdoc_of_a_series_sorted_by_angle_tells_order_and_dose(shared_data):
    mdoc = read_mdoc(shared_data("cryocat_meta/TS_017/017.mdoc"))
    assert len(mdoc.tilt_deg) == 60
    np.testing.assert_array_equal(mdoc.tilt_deg[[0, 1, -1]], [-52.0064, -50.0066, 65.9732])
    assert (mdoc.axis_deg, mdoc.pixel_ang, mdoc.voltage_kv, mdoc.image_size_xy) == (82.9, 1.971, 300, (4096, 4096))
    np.testing.assert_array_equal(mdoc.dose_before_e_ang2[[0, 1, -1]], [134.379, 132.14, 127.663])
    np.testing.assert_array_equal(mdoc.dose_of_tilt_e_ang2[:2], [2.23843, 2.23843])
    # Taken later means more dose: dates and doses, read apart, agree.
    np.testing.assert_array_equal(mdoc.order, np.argsort(np.argsort(mdoc.dose_before_e_ang2)))
    np.testing.assert_allclose(read_tilts(shared_data("cryocat_meta/TS_017/017.tlt"))[:2], [-52.01, -50.01])


@pytest.mark.parametrize("name", ["parsers/mdocfile/tilt_series.mdoc", "parsers/tiltstack/TS_01.mrc.mdoc"])
def test_a_dose_symmetric_mdoc_is_in_the_order_of_acquisition(shared_data, name):
    mdoc = read_mdoc(shared_data(name))
    np.testing.assert_array_equal(mdoc.tilt_deg[:3], [0.000999877, 3.00113, -2.99863])
    np.testing.assert_array_equal(mdoc.order, np.arange(41))
    assert (mdoc.axis_deg, mdoc.pixel_ang, mdoc.dose_of_tilt_e_ang2) == (85.3, 5.4, None)


def test_frame_sets_are_read_as_the_tilts_they_hold(shared_data):
    single = read_mdoc(shared_data("parsers/mdocfile/frame_set_single.mdoc"))
    np.testing.assert_array_equal(single.tilt_deg, [32.984])
    assert (single.pixel_ang, single.voltage_kv) == (1.2827, 300)
    assert single.axis_deg == pytest.approx(88.414)
    np.testing.assert_array_equal(single.dose_of_tilt_e_ang2, [7.65892])
    several = read_mdoc(shared_data("parsers/mdocfile/frame_set_multiple.mdoc"))
    np.testing.assert_array_equal(several.tilt_deg, np.full(20, 33.0))
    np.testing.assert_array_equal(several.dose_before_e_ang2[[0, 1, -1]], [0, 7.66184, 145.817])


@pytest.mark.parametrize("name", ["montage_section.mdoc", "montage_section_multiple.mdoc"])
def test_a_montage_is_refused_as_one(shared_data, name):
    with pytest.raises(DataError, match=rf"{name} describes a montage of \d+ pieces, not a tilt series"):
        read_mdoc(shared_data(f"parsers/mdocfile/{name}"))


def test_a_folder_of_single_tilts_is_one_series(shared_data):
    mdoc = read_mdoc(shared_data("real_tilt_etspy_needle/SerialEM_Multiframe_Test"))
    np.testing.assert_array_equal(mdoc.tilt_deg, [-5.00151, -0.000488, 5.00054])
    np.testing.assert_array_equal(mdoc.order, [1, 0, 2])  # 16:24:40, 16:24:15, 16:27:05
    assert (mdoc.axis_deg, mdoc.pixel_ang) == (-90, 7.88)


def test_two_scans_of_one_tilt_are_two_images(shared_data):
    mdoc = read_mdoc(shared_data("real_tilt_etspy_needle/SerialEM_MultiTilt_Test/test_000.mdoc"))
    np.testing.assert_array_equal(mdoc.tilt_deg, [-0.000488, -0.000488])


def test_an_etomo_folder_gives_series_and_alignment(shared_data):
    folder = shared_data("parsers/etomofiles/TS_001")
    recorded = read_raw_stack(folder / "TS_001.st")
    assert recorded.images.shape == (40, 1, 1)
    np.testing.assert_array_equal(recorded.tilt_deg[[0, 1, -1]], [-60, -57, 56.99])
    alignment = read_imod_alignment(
        folder / "TS_001.xf", folder / "TS_001.tlt", xtilt=folder / "TS_001.xtilt", pixel_ang=6.192, shape_yx=(65, 65)
    )
    assert alignment.n_tilts == 40
    assert alignment.axis_deg[0] == pytest.approx(np.degrees(np.arctan2(0.9947760, 0.1020875)), abs=1e-4)
    assert (alignment.tilt_deg[0], alignment.xtilt_deg[0]) == (-57.12, -0.01)
    # r = -Aᵀ d, with the first line's d = (2.395, -3.871)
    expected_x = -6.192 * (0.1020875 * 2.395 - 0.9947760 * -3.871)
    assert alignment.shift_ang_yx[0, 1] == pytest.approx(expected_x, abs=1e-3)


def test_a_tlt_with_a_dose_beside_each_angle_is_read(shared_data):
    xf = shared_data("parsers/cets_imod/alignment_files/TS_03.xf")
    tlt = shared_data("parsers/cets_imod/tilt_series/TS_03.tlt")
    alignment = read_imod_alignment(xf, tlt, pixel_ang=0.675, shape_yx=(3838, 3710))
    np.testing.assert_array_equal(alignment.tilt_deg[[0, 1, -1]], [-57, -54, 60])
    np.testing.assert_allclose(alignment.axis_deg, 85.2, atol=0.4)


@pytest.mark.parametrize("series", ["BBa", "BBb"])
def test_beads_imod_solved_for_fall_where_imod_predicts_them(shared_data, series):
    # Our geometry has no magnification or stretch per tilt (up to 1 % here), which leaves about a pixel;
    # a wrong sense of the tilt would leave more than twenty.
    folder = shared_data("imod_BB")
    alignment = read_imod_alignment(
        folder / f"{series}.tltxf", folder / f"{series}.tlt", xtilt=folder / f"{series}.xtilt",
        pixel_ang=1.0, shape_yx=(512, 512),
    )  # fmt: skip
    beads_xyz = np.array([line.split()[1:4] for line in (folder / f"{series}fid.xyz").read_text().splitlines()], float)
    residuals = np.loadtxt(folder / f"{series}.resid", skiprows=1)
    predicted_xy = residuals[:, :2] + residuals[:, 3:]
    projected, _ = alignment.project(np.stack([beads_xyz[:, 2], beads_xyz[:, 1] - 256, beads_xyz[:, 0] - 256], axis=1))
    of_view = projected[residuals[:, 2].astype(int), :, ::-1] + 256
    nearest = np.linalg.norm(of_view - predicted_xy[:, None], axis=2).min(axis=1)
    assert np.median(nearest) < 1.1
    assert np.percentile(nearest, 95) < 2.6


ALIGNED = "relion5_hiv_project/AlignTiltSeries/job005"


def test_a_relion_series_tells_geometry_ctf_and_dose(shared_data):
    series = read_relion_series(shared_data(f"{ALIGNED}/tilt_series/TS_01.star"))
    assert series.name == "TS_01"
    alignment, ctf = relion_alignment(series), relion_ctf(series)
    last = (alignment.tilt_deg[-1], alignment.axis_deg[-1], *alignment.shift_ang_yx[-1])
    assert last == (60.0, 85.581239, -156.675694, -27.892350)
    assert (ctf.defocus_u_ang[-1], ctf.defocus_v_ang[-1], ctf.azimuth_deg[-1]) == (
        38544.476562,
        38449.148438,
        -10.13496,
    )
    assert (ctf.hand, ctf.optics.amplitude_contrast) == (-1, 0.1)
    recorded = read_raw_stack(series.path)
    assert (recorded.pixel_ang, recorded.axis_deg, recorded.voltage_kv) == (1.35, 85, 300)
    assert len(recorded.tilt_deg) == 40
    np.testing.assert_array_equal(recorded.dose_before_e_ang2[[0, -1]], [114, 120])
    with pytest.raises(DataError, match=r"lists the image MotionCorr/job002/frames/TS_01_038_-57_0\.mrc, which is not"):
        recorded.images[0]


def test_a_relion_series_fresh_from_import_has_neither_alignment_nor_ctf(shared_data):
    series = read_relion_series(shared_data("relion5_hiv_project/Import/job001/tilt_series.star"), "TS_03")
    assert relion_alignment(series) is None
    assert relion_ctf(series) is None
    with pytest.raises(DataError, match="lists movies but no images"):
        read_raw_stack(series.path)


@pytest.mark.parametrize("folder", ["CtfFind/job003", "ExcludeTiltImages/job004", "Tomograms/job006", "Denoise/job007"])
def test_every_step_of_a_relion_project_opens(shared_data, folder):
    for name in ("TS_01", "TS_03"):
        recorded = read_raw_stack(shared_data(f"relion5_hiv_project/{folder}/tilt_series/{name}.star"))
        assert recorded.name == name
        assert recorded.pixel_ang == 1.35
        assert abs(recorded.tilt_deg).max() < 61


def test_tables_of_all_series_list_them(shared_data):
    names = ["TS_01", "TS_03", "TS_43", "TS_45", "TS_54"]
    assert list(list_relion_series(shared_data(f"{ALIGNED}/aligned_tilt_series.star"))) == names
    upstream = shared_data("parsers/relion_upstream/tilt_series_metadata/tilt_series.star")
    assert list(list_relion_series(upstream)) == [f"220728_{name}" for name in names]
    first = relion_alignment(read_relion_series(upstream, "220728_TS_01"))
    assert (first.tilt_deg[0], first.axis_deg[0], *first.shift_ang_yx[0]) == (9.02, 85.267461, 2.585551, -64.15332)


@pytest.mark.parametrize("name", ["parsers/tiltstack/corrected_micrographs.star", "cryocat_meta/relion_3.0.star"])
def test_a_star_of_something_else_is_refused(shared_data, name):
    with pytest.raises(DataError, match=r"is no tilt series of RELION 5"):
        open_stack(shared_data(name))


def test_cylindras_relion_job_opens(shared_data):
    job = shared_data("parsers/cylindra_relion/test_jobs")
    particles = read_particles(job / "Picks/job_picks/particles.star")
    np.testing.assert_array_equal(particles.centers_ang_zyx[0], [11.16, 765.48005, -176.94])
    assert list(particles.tomogram) == ["TS_01"] * 3 + ["TS_02"] * 2
    series = read_relion_series(job / "Tomograms/job_tomo/tilt_series/13pf_MT.star")
    np.testing.assert_array_equal(series.table["rlnTomoNominalStageTiltAngle"], [0.1, -30.1, 30.3, 59.9, -60.1])


def test_relion_particles_lie_on_the_lattice_of_their_virus_with_its_six_fold_axis(shared_data, tmp_path):
    # Hexamers of the capsid lie some 73 Å apart, in six directions of the particle's own frame. With
    # origins or one of the two sets of angles left out, or A for its transpose, the order is lost.
    packed = shared_data("relion5_hiv_project/Extract/job020/particles.star.gz")
    with gzip.open(packed) as source, (tmp_path / "particles.star").open("wb") as target:
        shutil.copyfileobj(source, target)
    particles = read_particles(tmp_path / "particles.star")
    # Tomograms far apart, so that one search for pairs does for all.
    places = np.unique(particles.tomogram, return_inverse=True)[1]
    centers_xyz = particles.centers_ang_zyx[:, ::-1] + 1e6 * places[:, None]
    first, second = cKDTree(centers_xyz).query_pairs(86.0, output_type="ndarray").T
    apart = centers_xyz[second] - centers_xyz[first]
    distance = np.linalg.norm(apart, axis=1)
    near = distance > 60
    own_frame = np.einsum("pij,pi->pj", particles.matrices[first], apart)[near]
    order = abs(np.mean(np.exp(6j * np.arctan2(own_frame[:, 1], own_frame[:, 0]))))
    assert near.sum() > 100
    assert order > 0.9
    assert np.median(distance[near]) == pytest.approx(72.9, abs=2)
