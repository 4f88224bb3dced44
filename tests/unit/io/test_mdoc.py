"""SerialEM's mdocs, written here line by line."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.mdoc import read_mdoc

HEAD = "PixelSpacing = 1.971\nVoltage = 300\nImageFile = TS.mrc\nImageSize = 64 32\nDataMode = 1\n\n"
TITLE = (
    "[T = SerialEM: Krios    06-Jun-23  23:19:47    ]\n\n[T =     Tilt axis angle = 82.9, binning = 1  spot = 5]\n\n"
)


def section(number, tilt, **values):
    lines = [f"[ZValue = {number}]", f"TiltAngle = {tilt}", *(f"{key} = {value}" for key, value in values.items())]
    return "\n".join(lines) + "\n\n"


@pytest.fixture
def written(tmp_path):
    def write(text, name="TS.mrc.mdoc"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="latin-1")
        return path

    return write


def test_a_series_says_everything(written):
    dates = ["06-Jun-23  23:19:46", "06-Jun-2023  23:17:00", "07-Jun-23  00:01:02"]
    text = (
        HEAD
        + TITLE
        + "".join(
            section(
                z, tilt, ExposureDose=2.5, PriorRecordDose=prior, DateTime=date, RotationAngle=9, SubFramePath="X:\\µ=1"
            )
            for z, (tilt, prior, date) in enumerate(zip((-3, 0, 3), (2.5, 0, 5), dates, strict=True))
        )
    )
    mdoc = read_mdoc(written(text))
    np.testing.assert_array_equal(mdoc.tilt_deg, [-3, 0, 3])
    np.testing.assert_array_equal(mdoc.order, [1, 0, 2])
    np.testing.assert_array_equal(mdoc.dose_before_e_ang2, [2.5, 0, 5])
    np.testing.assert_array_equal(mdoc.dose_of_tilt_e_ang2, [2.5] * 3)
    assert (mdoc.axis_deg, mdoc.pixel_ang, mdoc.voltage_kv, mdoc.image_size_xy) == (82.9, 1.971, 300, (64, 32))
    assert mdoc.notes == ()


@pytest.mark.parametrize(("rotation", "axis"), [(175.3, 85.3), (3.34915, -86.65085), (0, -90), (-60, -150)])
def test_without_a_title_the_axis_is_the_rotation_angle_less_a_quarter_turn(written, rotation, axis):
    mdoc = read_mdoc(written(HEAD + section(0, 0, RotationAngle=rotation)))
    assert mdoc.axis_deg == pytest.approx(axis)
    assert "RotationAngle" in mdoc.notes[0]


def test_zero_doses_mean_that_nobody_measured(written):
    mdoc = read_mdoc(written(HEAD + section(0, -3, ExposureDose=0) + section(1, 3, ExposureDose=0)))
    assert mdoc.dose_of_tilt_e_ang2 is None
    assert mdoc.order is None


def test_the_dose_tells_the_order_where_dates_do_not(written):
    text = HEAD + "".join(section(z, z, PriorRecordDose=dose) for z, dose in enumerate((6, 0, 3)))
    np.testing.assert_array_equal(read_mdoc(written(text)).order, [2, 0, 1])


def test_a_date_that_cannot_be_is_no_date(written):
    text = HEAD + section(0, 0, DateTime="31-Feb-23  10:00:00") + section(1, 3, DateTime="01-Mai-23  10:00:00")
    assert read_mdoc(written(text)).order is None


def test_a_folder_with_one_mdoc_for_each_tilt_is_one_series(written, tmp_path):
    for number, (tilt, minute) in enumerate([(0, 10), (3, 11), (-3, 12)]):
        text = HEAD + TITLE + section(0, tilt, DateTime=f"06-Jun-23  10:{minute}:00", ExposureDose=3)
        written(text, f"tilts/TS_{number:03}.tif.mdoc")
    written(HEAD + TITLE + section(0, 0, DateTime="06-Jun-23  10:10:00", ExposureDose=3), "tilts/TS_000.tif.mrc.mdoc")
    mdoc = read_mdoc(tmp_path / "tilts")
    np.testing.assert_array_equal(mdoc.tilt_deg, [-3, 0, 3])
    np.testing.assert_array_equal(mdoc.order, [2, 0, 1])
    assert "order of their angles" in mdoc.notes[0]


def test_a_folder_of_whole_series_is_refused(written, tmp_path):
    written(HEAD + section(0, 0) + section(1, 3), "tilts/TS.mdoc")
    with pytest.raises(DataError, match=r"TS\.mdoc holds tilts from 0° to 3°; in a folder of mdocs each has one"):
        read_mdoc(tmp_path / "tilts")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds no \.mdoc file"):
        read_mdoc(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("Montage = 1\n" + HEAD + section(0, 0), "montage of 1 pieces"),
     ("[MontSection = 0]\nTiltAngle = 1\n", "montage"),
     (HEAD + "[ZValue = 0]\nDefocus = 1\n", "no tilt angle for 1 of 1 images"),
     (HEAD, "no tilt angle for 0 of 0"),
     (HEAD + "[ZValue = 0]\nTiltAngle = steep\n", "not a readable mdoc"),
     ("this is no mdoc\nat all\n", "not a readable mdoc")],
)  # fmt: skip
def test_what_is_no_series_is_refused_with_the_reason(written, text, message):
    with pytest.raises(DataError, match=message):
        read_mdoc(written(text))


def test_reading_says_nothing_on_the_console(written, capfd, caplog):
    read_mdoc(written(HEAD + section(0, 0, BrandNewKey=3, FrameDosesAndNumber="0.1 10")))
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_rows_are_chosen_with_their_order(written):
    text = HEAD + "".join(
        section(z, tilt, PriorRecordDose=dose) for z, (tilt, dose) in enumerate([(0, 0), (3, 2), (-3, 4)])
    )
    chosen = read_mdoc(written(text)).rows(np.array([2, 1]))
    np.testing.assert_array_equal(chosen.tilt_deg, [-3, 3])
    np.testing.assert_array_equal(chosen.order, [1, 0])
    np.testing.assert_array_equal(chosen.dose_before_e_ang2, [4, 2])
