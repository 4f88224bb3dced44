"""Nouns are checked when made and spread single values over all items."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, CtfSeries, Labels, Optics, ParticleSet, TiltSeries, Tomogram

IMAGES = np.zeros((3, 4, 5), np.float32)


def series(**changes):
    return TiltSeries(**{"name": "TS_01", "images": IMAGES, "tilt_deg": [-3, 0, 3], "pixel_ang": 2.0} | changes)


def test_single_values_stand_for_all_tilts():
    made = series(dose_of_tilt_e_ang2=3.0)
    assert made.dose_of_tilt_e_ang2.tolist() == [3, 3, 3]
    assert made.kept.all()
    assert made.order.tolist() == [0, 1, 2]
    assert made.shape_yx == (4, 5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tilt_deg": [0, 1]}, "3 images but 2 tilt angles"),
        ({"pixel_ang": 0}, "pixel size cannot be 0"),
        ({"pixel_ang": float("nan")}, "pixel size cannot be nan"),
        ({"images": np.zeros((4, 5))}, r"got \(4, 5\)"),
        ({"tilt_deg": [0, np.nan, 1]}, "tilt_deg is not a number at index 1"),
        ({"dose_before_e_ang2": [1, 2]}, "dose_before_e_ang2 has 2 entries for 3"),
    ],
)
def test_a_tilt_series_that_does_not_fit_is_refused_in_words(changes, words):
    with pytest.raises(DataError, match=words):
        series(**changes)


def test_leaving_a_tilt_out_keeps_it_and_its_reason():
    less = series().without({1: "dark"})
    assert less.n_tilts == 3
    assert less.kept_indices.tolist() == [0, 2]
    assert less.excluded_because == ("", "dark", "")


def test_nouns_cannot_be_changed_in_place():
    made = series()
    with pytest.raises(AttributeError):
        made.pixel_ang = 3.0
    with pytest.raises(ValueError, match="read-only"):
        made.tilt_deg[0] = 3.0


def test_nominal_alignment_asks_for_the_axis_by_name():
    with pytest.raises(DataError, match="--axis-deg"):
        Alignment.nominal(series())
    assert Alignment.nominal(series(axis_deg=84.0)).axis_deg.tolist() == [84, 84, 84]


def test_alignment_columns_must_fit():
    with pytest.raises(DataError, match="axis_deg has 3 entries for 2"):
        Alignment(tilt_deg=[0, 1], axis_deg=[1, 2, 3])
    with pytest.raises(DataError, match="shift_ang_yx is not a number at index 1"):
        Alignment(tilt_deg=[0, 1], axis_deg=0, shift_ang_yx=[[0, 0], [np.inf, 0]])


def test_ctf_series_knows_three_hands():
    ctf = CtfSeries(optics=Optics(), defocus_u_ang=[3e4, 3.2e4], defocus_v_ang=[2.8e4, 3e4])
    assert ctf.hand == 0
    assert ctf.defocus_ang.tolist() == [2.9e4, 3.1e4]
    with pytest.raises(DataError, match="hand cannot be 2"):
        ctf.replace(hand=2)


def test_wavelength_is_relativistic():
    # 0.0197 Å at 300 kV and 0.0251 Å at 200 kV: every textbook's table.
    assert Optics(voltage_kv=300).wavelength_ang == pytest.approx(0.01969, abs=1e-5)
    assert Optics(voltage_kv=200).wavelength_ang == pytest.approx(0.02508, abs=1e-5)


def test_volumes_have_three_axes_and_a_voxel():
    with pytest.raises(DataError, match=r"got \(2, 2\)"):
        Tomogram(name="t", volume=np.zeros((2, 2)), voxel_ang=1)
    with pytest.raises(DataError, match="voxel size cannot be 0"):
        Tomogram(name="t", volume=np.zeros((2, 2, 2)), voxel_ang=0)
    with pytest.raises(DataError, match="whole numbers"):
        Labels(name="t", volume=np.zeros((2, 2, 2)), voxel_ang=1)


def test_particles_normalise_quaternions_and_number_themselves():
    particles = ParticleSet(centers_ang_zyx=np.zeros((3, 3)), quaternions_xyzw=[0, 0, 0, 2.0], tomogram="TS_01")
    assert particles.quaternions_xyzw.tolist() == [[0, 0, 0, 1]] * 3
    assert particles.ids.tolist() == [0, 1, 2]
    assert particles.tomogram.tolist() == ["TS_01"] * 3


def test_poses_that_were_kept_come_back_to_the_last_bit():
    turns = np.random.default_rng(3).normal(size=(1000, 4))
    once = ParticleSet(centers_ang_zyx=np.zeros((1000, 3)), quaternions_xyzw=turns).quaternions_xyzw
    again = ParticleSet(centers_ang_zyx=np.zeros((1000, 3)), quaternions_xyzw=once).quaternions_xyzw
    np.testing.assert_array_equal(again, once)


def test_choosing_particles_keeps_their_columns():
    particles = ParticleSet(centers_ang_zyx=np.arange(9.0).reshape(3, 3), features={"rlnX": np.array([7, 8, 9])})
    some = particles[np.array([2, 0])]
    assert some.ids.tolist() == [2, 0]
    assert some.features["rlnX"].tolist() == [9, 7]
    assert some.centers_ang_zyx[0].tolist() == [6, 7, 8]


def test_no_particles_is_a_set_too():
    assert len(ParticleSet(centers_ang_zyx=np.zeros((0, 3)))) == 0
    assert ParticleSet(centers_ang_zyx=np.zeros((0, 3))).matrices.shape == (0, 3, 3)


def test_particles_refuse_what_cannot_be():
    with pytest.raises(DataError, match="zero quaternion"):
        ParticleSet(centers_ang_zyx=np.zeros((2, 3)), quaternions_xyzw=np.zeros((2, 4)))
    with pytest.raises(DataError, match="share an id"):
        ParticleSet(centers_ang_zyx=np.zeros((2, 3)), ids=[5, 5])
