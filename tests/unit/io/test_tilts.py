"""Lists of angles and orders of acquisition."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.tilts import match_angles, read_order, read_tilts, write_tilts


@pytest.fixture
def listed(tmp_path):
    def write(text, name="TS.tlt"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    "text",
    ["-3\n0.5\n3\n", " -3.0 \n\n 0.5\n3.00\n\n", "-3 117\n0.5 0\n3 6\n", "1 -3\n2 0.5\n3 3\n", "0,-3\n1,0.5\n2,3\n",
     "# angles\n-3 # first\n0.5\n3"],
    ids=["plain", "spaced", "dose beside", "counted from 1", "commas, counted from 0", "comments"],
)  # fmt: skip
def test_the_column_of_angles_is_found(listed, text):
    np.testing.assert_array_equal(read_tilts(listed(text)), [-3, 0.5, 3])


@pytest.mark.parametrize(
    ("text", "message"),
    [("-3\n0\nx3\n", r"TS\.tlt, line 3: 'x3' is not made of numbers"), ("-3\n999\n", r"angle 2: 999 is no tilt"),
     ("nan\n1\n", "angle 1: nan is no tilt"), ("\n\n", "holds no numbers")],
)  # fmt: skip
def test_what_is_no_angle_is_named_with_its_place(listed, text, message):
    with pytest.raises(DataError, match=message):
        read_tilts(listed(text))


def test_written_angles_read_back_the_same(tmp_path):
    angles = np.array([-60.0, 1 / 3, 0.12345])
    write_tilts(tmp_path / "out.tlt", angles)
    np.testing.assert_array_equal(read_tilts(tmp_path / "out.tlt"), angles)
    assert (tmp_path / "out.tlt").read_text().startswith("-60.0000\n")


TILTS = np.array([-3.0, 0.0, 3.0])


@pytest.mark.parametrize("text", ["3\n1\n2\n", "2\n0\n1\n", "1,0\n2,3\n3,-3\n", "1 0.01\n3 -3.02\n2 2.99\n"])
def test_an_order_is_read_in_either_form(listed, text):
    np.testing.assert_array_equal(read_order(listed(text), TILTS), [2, 0, 1])


@pytest.mark.parametrize(
    ("text", "message"),
    [("1\n2\n", "order of 2 images but the stack has 3"), ("1\n2\n2\n", "without gap or repeat"),
     ("1 0\n2 3\n3 9\n", "not those of the series")],
)  # fmt: skip
def test_an_order_that_does_not_fit_is_refused(listed, text, message):
    with pytest.raises(DataError, match=message):
        read_order(listed(text), TILTS)


def test_refined_angles_are_matched_to_nominal_ones_in_another_order():
    nominal = np.array([0.0, 3.0, -3.0, -6.0, 6.0])
    refined = np.array([-6.0, -3.0, 0.0, 3.0, 6.0]) + 2.9
    np.testing.assert_array_equal(match_angles(nominal, refined, 0.5), [3, 2, 0, 1, 4])


def test_a_thinned_stack_finds_its_angles_in_the_full_list():
    np.testing.assert_array_equal(match_angles(np.array([0.0, 3.0, -3.0]), np.array([-3.1, 0.1]), 0.5), [2, 0])
    assert match_angles(np.array([0.0, 3.0, -3.0]), np.array([-5.0, 0.1]), 0.5) is None
    assert match_angles(np.array([0.0]), np.array([0.0, 3.0]), 0.5) is None
