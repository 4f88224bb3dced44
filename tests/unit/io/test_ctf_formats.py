"""CTF results survive every program's file, and files of other programs read as they were meant."""

import re

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, CtfSeries, Optics, TiltSeries
from napari_tomoflow.io.ctf_formats import read_ctf, write_ctffind, write_gctf, write_imod_defocus
from napari_tomoflow.io.tilts import read_tilts
from napari_tomoflow.io.warp import write_warp_xml

N = 7
TILT_DEG = np.linspace(-60, 60, N)


def series_of(n_tilts=N, tilt_deg=TILT_DEG):
    images = np.zeros((n_tilts, 8, 8), np.float32)
    return TiltSeries(name="TS", images=images, tilt_deg=tilt_deg, pixel_ang=2.5, axis_deg=85.0)


def some_ctf(phase_deg=0.0):
    rng = np.random.default_rng(2)
    mean, half = rng.uniform(2e4, 5e4, N), rng.uniform(50, 900, N)
    return CtfSeries(
        optics=Optics(),
        defocus_u_ang=mean + half,
        defocus_v_ang=mean - half,
        azimuth_deg=rng.uniform(0, 180, N),
        phase_deg=np.full(N, phase_deg),
        score=rng.uniform(0, 1, N),
        fit_ang=rng.uniform(5, 20, N),
    )


def assert_same(found, expected, within_ang, within_deg=0.01):
    np.testing.assert_allclose(found.defocus_u_ang, expected.defocus_u_ang, atol=within_ang)
    np.testing.assert_allclose(found.defocus_v_ang, expected.defocus_v_ang, atol=within_ang)
    turn = (found.azimuth_deg - expected.azimuth_deg + 90) % 180 - 90
    np.testing.assert_allclose(turn, 0, atol=within_deg)
    np.testing.assert_allclose(found.phase_deg, expected.phase_deg, atol=within_deg)
    assert found.optics == expected.optics


@pytest.mark.parametrize("phase_deg", [0.0, 77.0])
def test_a_ctf_survives_the_files_of_every_program(tmp_path, phase_deg):
    ctf, series = some_ctf(phase_deg), series_of()
    write_ctffind(tmp_path / "TS_CTF.txt", ctf, 2.5)
    write_gctf(tmp_path / "TS_gctf.star", ctf, [f"{i}.mrc" for i in range(N)])
    write_imod_defocus(tmp_path / "TS.defocus", ctf, TILT_DEG)
    write_warp_xml(tmp_path / "TS.xml", series, Alignment.nominal(series), ctf, -1)
    for name, within_ang in (("TS_CTF.txt", 1e-3), ("TS_gctf.star", 1e-9), ("TS.defocus", 0.11), ("TS.xml", 1e-3)):
        found = read_ctf(tmp_path / name, series)
        assert_same(found, ctf, within_ang)
        assert found.hand == (-1 if name.endswith("xml") else 0)
    assert_same(read_ctf(tmp_path / "TS_CTF.txt", series), ctf, 1e-3)
    np.testing.assert_allclose(read_ctf(tmp_path / "TS_CTF.txt", series).score, ctf.score, atol=1e-5)
    np.testing.assert_allclose(read_ctf(tmp_path / "TS_gctf.star", series).fit_ang, ctf.fit_ang)


def test_programs_that_know_of_no_magnification_are_given_and_give_the_ctf_as_images_show_it(tmp_path):
    lens = Optics(magnification=((1.01, 0.003), (0.003, 0.985)))
    ctf, series = some_ctf().replace(optics=lens), series_of().replace(optics=lens)
    write_ctffind(tmp_path / "TS_CTF.txt", ctf, 2.5)
    write_gctf(tmp_path / "TS_gctf.star", ctf, [f"{i}.mrc" for i in range(N)])
    write_imod_defocus(tmp_path / "TS.defocus", ctf, TILT_DEG)
    write_warp_xml(tmp_path / "TS.xml", series, Alignment.nominal(series), ctf, -1)
    # An azimuth of two decimals moves the defocus of an image that is stretched by a little.
    for name, within_ang in (("TS_CTF.txt", 1e-3), ("TS_gctf.star", 1e-6), ("TS.defocus", 0.3), ("TS.xml", 1e-3)):
        assert_same(read_ctf(tmp_path / name, series_of()), ctf.magnified(), within_ang)
        assert_same(read_ctf(tmp_path / name, series), ctf, within_ang, within_deg=0.02)


def test_the_smaller_defocus_first_is_the_same_ctf_a_quarter_turn_on(tmp_path):
    ctf = some_ctf()
    turned = ctf.replace(
        defocus_u_ang=ctf.defocus_v_ang, defocus_v_ang=ctf.defocus_u_ang, azimuth_deg=ctf.azimuth_deg - 90.0
    )
    write_ctffind(tmp_path / "TS.txt", turned, 2.5)
    assert_same(read_ctf(tmp_path / "TS.txt", series_of()), ctf, 1e-3)


def test_aretomo_says_its_hand_in_the_eighth_column(tmp_path):
    lines = ["# Columns: #1 micrograph number; ... #8 - dfHand"]
    lines += [f"{i + 1} 40000 39000 30 0.5 0.1 8.0 -1" for i in range(N)]
    (tmp_path / "TS_CTF.txt").write_text("\n".join(lines))
    found = read_ctf(tmp_path / "TS_CTF.txt", series_of())
    assert found.hand == -1
    np.testing.assert_allclose(found.phase_deg, np.rad2deg(0.5))


def test_imod_entries_over_several_views_are_averaged_and_gaps_interpolated(tmp_path):
    path = tmp_path / "TS.defocus"
    path.write_text("1 3 -60 -20 4000 2\n3 4 -20 0 5000\n7 7 60 60 2000\n")
    found = read_ctf(path, series_of())
    np.testing.assert_allclose(found.defocus_ang, [4e4, 4e4, 4.5e4, 5e4, 4e4, 3e4, 2e4])


FLAVOURS = {
    "plain_estimation": (13600.0, 13600.0, 0.0),
    "only_astigmatism": (16516.0, 12067.0, 0.0),
    "only_phase_shift": (13236.0, 13236.0, 10.19),
    "astigmatism_and_phase_shift": (14839.0, 10687.0, 26.49),
    "astigmatism_phase_shift_and_cutoff_freq": (13314.0, 9175.0, 29.08),
}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_flavour_of_imods_file_reads_as_it_was_meant(shared_data, flavour):
    path = shared_data(f"parsers/cets_imod/imod_defocus_files/TS_03_{flavour}.defocus")
    tilt_deg = read_tilts(shared_data("parsers/cets_imod/tilt_series/TS_03.tlt"))
    found = read_ctf(path, series_of(len(tilt_deg), tilt_deg))
    u, v, phase = FLAVOURS[flavour]
    np.testing.assert_allclose(
        [found.defocus_u_ang[0], found.defocus_v_ang[0], found.phase_deg[0]], [u, v, phase], atol=0.01
    )
    assert found.n_tilts == len(tilt_deg)


def test_files_of_ctffind_gctf_and_warp_read_as_they_were_meant(shared_data):
    ctffind = read_ctf(shared_data("cryocat_meta/TS_017/017_ctffind4.txt"), series_of(60, np.arange(60.0)))
    assert (ctffind.defocus_u_ang[-1], ctffind.fit_ang[-1]) == (18853.355469, 6.176948)
    assert ctffind.azimuth_deg[1] == pytest.approx(180 - 84.116628)
    assert ctffind.optics == Optics(300.0, 2.7, 0.07)
    gctf_path = shared_data("cryocat_meta/TS_017/017_gctf.star")
    n_gctf = len(re.findall(r"^split\.mrc", gctf_path.read_text(), re.MULTILINE))
    gctf = read_ctf(gctf_path, series_of(n_gctf, np.arange(float(n_gctf))))
    assert gctf.defocus_u_ang[1] == 35647.824219  # the second column is the larger one there
    assert gctf.azimuth_deg[1] == pytest.approx(100.495987)
    warp = read_ctf(shared_data("cryocat_meta/TS_017/017.xml"), series_of(60, np.arange(60.0)))
    assert warp.defocus_ang[0] == pytest.approx(34098.15)
    assert warp.defocus_u_ang[0] - warp.defocus_v_ang[0] == pytest.approx(191.4939)
    assert warp.hand == 1


def test_damaged_files_and_files_of_other_series_are_refused_by_name(tmp_path):
    path = tmp_path / "TS_CTF.txt"
    path.write_text("1 40000 39000 30\n")
    with pytest.raises(DataError, match=r"TS_CTF\.txt, image 1: 4 columns of 7"):
        read_ctf(path, series_of())
    write_ctffind(path, some_ctf(), 2.5)
    with pytest.raises(DataError, match="holds the CTF of 7 tilts, TS has 3"):
        read_ctf(path, series_of(3, np.arange(3.0)))
    defocus = tmp_path / "TS.defocus"
    defocus.write_text("1 9 -60 60 4000 2\n")
    with pytest.raises(DataError, match="views 1 to 9 of 7"):
        read_ctf(defocus, series_of())
    defocus.write_text("1 0 0 0 0 3\n1 1 -60 -60 4000\n")
    with pytest.raises(DataError, match="entry 1: 5 numbers of 7"):
        read_ctf(defocus, series_of())
    xml = tmp_path / "TS.xml"
    series = series_of()
    write_warp_xml(xml, series, Alignment.nominal(series), None, 1)
    with pytest.raises(DataError, match="holds no CTF"):
        read_ctf(xml, series)
