"""Which file has the last word, and what happens when files do not belong together."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.io.sources import read_raw_stack
from napari_tomoflow.io.tilts import write_tilts

IMAGES = np.random.default_rng(5).normal(size=(3, 6, 8)).astype(np.float32)


def mdoc_text(tilts, **values):
    head = f"PixelSpacing = {values.get('pixel', 3.0)}\nVoltage = 200\nImageSize = {values.get('size', '8 6')}\n\n"
    title = "[T =     Tilt axis angle = 84.5, binning = 1]\n\n"
    sections = [
        f"[ZValue = {z}]\nTiltAngle = {tilt}\nExposureDose = 2\nDateTime = 01-Jan-24  10:00:{z:02}\n\n"
        for z, tilt in enumerate(tilts)
    ]
    return head + title + "".join(sections)


@pytest.fixture
def stack(tmp_path):
    write_mrc(tmp_path / "TS.mrc", IMAGES, 2.0, stack=True)
    return tmp_path / "TS.mrc"


def test_a_stack_alone_says_what_its_header_says(stack):
    recorded = read_raw_stack(stack)
    assert (recorded.name, recorded.pixel_ang, recorded.tilt_deg) == ("TS", 2.0, None)
    assert recorded.said_by == {"pixel_ang": "header of TS.mrc"}


@pytest.mark.parametrize("ending", [".rawtlt", ".tlt"])
def test_a_list_of_angles_beside_the_stack_is_found(stack, ending):
    write_tilts(stack.with_suffix(ending), [-3, 0, 3])
    recorded = read_raw_stack(stack)
    np.testing.assert_array_equal(recorded.tilt_deg, [-3, 0, 3])
    assert recorded.said_by["tilt_deg"] == "TS" + ending


@pytest.mark.parametrize("name", ["TS.mrc.mdoc", "TS.mdoc"])
def test_an_mdoc_beside_the_stack_is_found_and_goes_before_the_header(stack, name):
    (stack.parent / name).write_text(mdoc_text([0, 3, -3]))
    recorded = read_raw_stack(stack)
    np.testing.assert_array_equal(recorded.tilt_deg, [0, 3, -3])
    np.testing.assert_array_equal(recorded.order, [0, 1, 2])
    assert (recorded.pixel_ang, recorded.axis_deg, recorded.voltage_kv) == (3.0, 84.5, 200)
    assert recorded.said_by["pixel_ang"] == name
    assert any("header's pixel size is 2 Å" in note for note in recorded.notes)


def test_the_stacks_own_mdoc_goes_before_a_list_beside_it(stack):
    (stack.parent / "TS.mrc.mdoc").write_text(mdoc_text([0, 3, -3]))
    write_tilts(stack.with_suffix(".rawtlt"), [-3, 0, 3])
    np.testing.assert_array_equal(read_raw_stack(stack).tilt_deg, [0, 3, -3])


def test_an_mdoc_from_before_sorting_follows_the_list_beside_the_stack(stack):
    (stack.parent / "TS.mdoc").write_text(mdoc_text([0, 3, -3]))
    write_tilts(stack.with_suffix(".rawtlt"), [-3, 0, 3])
    recorded = read_raw_stack(stack)
    np.testing.assert_array_equal(recorded.tilt_deg, [-3, 0, 3])
    np.testing.assert_array_equal(recorded.order, [2, 0, 1])
    assert recorded.said_by["tilt_deg"] == "TS.rawtlt"


def test_an_mdoc_of_more_tilts_than_were_kept_is_matched_to_the_list(stack):
    (stack.parent / "TS.mrc.mdoc").write_text(mdoc_text([0, 3, -3, -6, 6]))
    write_tilts(stack.with_suffix(".rawtlt"), [-6, 0, 3])
    recorded = read_raw_stack(stack)
    np.testing.assert_array_equal(recorded.order, [2, 0, 1])
    np.testing.assert_array_equal(recorded.tilt_deg, [-6, 0, 3])


def test_named_angles_go_before_the_mdoc_whose_order_follows_them(stack, tmp_path):
    (stack.parent / "TS.mrc.mdoc").write_text(mdoc_text([0, 3, -3]))
    write_tilts(tmp_path / "refined.tlt", [-0.1, 2.9, 5.9])
    recorded = read_raw_stack(stack, angles=tmp_path / "refined.tlt")
    np.testing.assert_array_equal(recorded.tilt_deg, [-0.1, 2.9, 5.9])
    np.testing.assert_array_equal(recorded.order, [2, 0, 1])
    assert recorded.said_by["tilt_deg"] == "refined.tlt"


def test_the_pixel_size_of_other_images_is_not_taken(stack):
    (stack.parent / "TS.mrc.mdoc").write_text(mdoc_text([0, 3, -3], pixel=1.0, size="16 12"))
    recorded = read_raw_stack(stack)
    assert recorded.pixel_ang == 2.0
    assert any("16 × 12, these are 8 × 6" in note for note in recorded.notes)


@pytest.mark.parametrize("option", ["angles", "mdoc"])
def test_a_named_file_of_another_count_is_refused_with_both_counts(stack, tmp_path, option):
    write_tilts(tmp_path / "few.tlt", [0, 3])
    (tmp_path / "few.mdoc").write_text(mdoc_text([0, 3]))
    file = tmp_path / {"angles": "few.tlt", "mdoc": "few.mdoc"}[option]
    with pytest.raises(DataError, match=rf"TS\.mrc holds 3 images but {file.name} holds 2 .*; give the file"):
        read_raw_stack(stack, **{option: file})


def test_a_companion_of_another_count_is_refused_when_nothing_else_gives_angles(stack):
    write_tilts(stack.with_suffix(".rawtlt"), np.arange(39))
    with pytest.raises(DataError, match=r"TS\.mrc holds 3 images but TS\.rawtlt holds 39 angles"):
        read_raw_stack(stack)


def test_a_companion_of_another_count_is_noted_when_another_fits(stack):
    write_tilts(stack.with_suffix(".rawtlt"), np.arange(39))
    (stack.parent / "TS.mrc.mdoc").write_text(mdoc_text([0, 3, -3]))
    recorded = read_raw_stack(stack)
    np.testing.assert_array_equal(recorded.tilt_deg, [0, 3, -3])
    assert "TS.rawtlt holds 39 angles; it is not used." in recorded.notes


def test_an_order_from_a_file_goes_before_the_mdocs(stack, tmp_path):
    (stack.parent / "TS.mrc.mdoc").write_text(mdoc_text([0, 3, -3]))
    (tmp_path / "order.txt").write_text("3\n2\n1\n")
    recorded = read_raw_stack(stack, order=str(tmp_path / "order.txt"))
    np.testing.assert_array_equal(recorded.order, [2, 1, 0])
    assert recorded.said_by["order"] == "order.txt"
    assert recorded.dose_before_e_ang2 is None


def test_an_order_that_is_neither_a_name_nor_a_file_is_refused(stack):
    write_tilts(stack.with_suffix(".rawtlt"), [-3, 0, 3])
    with pytest.raises(DataError, match=r"random does not exist; give the path of an order of acquisition"):
        read_raw_stack(stack, order="random")
    assert read_raw_stack(stack, order="monotonic").order is None
