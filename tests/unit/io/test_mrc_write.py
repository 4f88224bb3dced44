"""Writing MRC: what mrcfile says of the files, and that nothing stays when writing fails."""

import mrcfile
import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.mrc import allocate_mrc, finish_mrc, open_mrc, write_mrc
from napari_tomoflow.io.stack_file import StackFile

RNG = np.random.default_rng(7)


@pytest.mark.parametrize("stack", [False, True], ids=["volume", "stack"])
@pytest.mark.parametrize("kind", [np.float32, np.float16, np.int16, np.uint16, np.int8])
def test_mrcfile_finds_nothing_wrong_and_the_same_values(tmp_path, kind, stack, capsys):
    values = RNG.normal(50, 20, (3, 5, 7)).astype(kind)
    path = tmp_path / "out.mrc"
    write_mrc(path, values, 1.7, stack=stack, label="a test")
    assert mrcfile.validate(str(path)), capsys.readouterr().out
    with mrcfile.open(path) as file:
        np.testing.assert_array_equal(file.data, values)
        assert file.voxel_size.x == pytest.approx(1.7)
        assert file.is_image_stack() == stack
        wide = values.astype(np.float64)
        stated = (file.header.dmin, file.header.dmax, file.header.dmean, file.header.rms)
        assert stated == pytest.approx((wide.min(), wide.max(), wide.mean(), wide.std()), rel=1e-5)
        assert bytes(file.header.label[0]).startswith(b"napari-tomoflow")
    assert [file.name for file in tmp_path.iterdir()] == ["out.mrc"]


def test_statistics_over_many_slabs_are_those_of_the_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_tomoflow.io.mrc_write._SLAB_BYTES", 200)
    values = RNG.normal(1000, 1, (17, 5, 7)).astype(np.float32)
    write_mrc(tmp_path / "out.mrc", values, 2.0)
    with mrcfile.open(tmp_path / "out.mrc") as file:
        assert file.header.rms == pytest.approx(values.astype(np.float64).std(), rel=1e-5)
        np.testing.assert_array_equal(file.data, values)


def test_an_allocated_array_is_finished_in_place(tmp_path):
    path = tmp_path / "tomogram.mrc"
    volume = allocate_mrc(path, (4, 5, 6), np.float32)
    assert not path.exists()
    volume[:] = RNG.normal(size=volume.shape)
    write_mrc(path, volume, 10.0, origin_ang_zyx=(1.0, 2.0, 3.0))
    assert [file.name for file in tmp_path.iterdir()] == ["tomogram.mrc"]
    read = open_mrc(path)
    np.testing.assert_array_equal(np.asarray(read), volume)
    assert read.header.origin_ang_zyx == pytest.approx((1.0, 2.0, 3.0))


def test_a_part_of_an_allocated_array_is_copied_not_taken_for_the_whole(tmp_path):
    other = allocate_mrc(tmp_path / "other.mrc", (4, 5, 6), np.float32)
    other[:] = 1
    write_mrc(tmp_path / "out.mrc", other[1:3], 10.0)
    assert open_mrc(tmp_path / "out.mrc").shape == (2, 5, 6)
    finish_mrc(tmp_path / "other.mrc", other, 10.0)
    assert open_mrc(tmp_path / "other.mrc").shape == (4, 5, 6)


def test_the_corner_is_where_chimera_looks_for_it(tmp_path):
    write_mrc(tmp_path / "out.mrc", np.zeros((4, 6, 9), np.float32), 10.0)
    with mrcfile.open(tmp_path / "out.mrc") as file:
        assert file.header.origin.item() == (-40.0, -30.0, -20.0)


@pytest.mark.parametrize(
    ("values", "kind"),
    [([0, 1], np.bool_), ([0, 5], np.int8), ([0, 255], np.int16), ([0, 65535], np.uint16)],
)
def test_whole_numbers_take_the_smallest_type_that_holds_them(tmp_path, values, kind):
    given = np.array(values, np.bool_ if kind is np.bool_ else np.int64).reshape(1, 1, 2)
    write_mrc(tmp_path / "out.mrc", given, 1.0)
    read = open_mrc(tmp_path / "out.mrc")
    assert read.dtype == (np.int8 if kind is np.bool_ else kind)
    np.testing.assert_array_equal(np.asarray(read), given)


@pytest.mark.parametrize("values", [np.array([[[0, 70000]]]), np.array([[[1j]]])], ids=["too large", "complex"])
def test_values_no_mode_holds_are_refused_and_leave_nothing(tmp_path, values):
    with pytest.raises(DataError, match=r"out\.mrc cannot hold"):
        write_mrc(tmp_path / "out.mrc", values, 1.0)
    assert not list(tmp_path.iterdir())


def test_a_source_that_fails_midway_leaves_nothing(tmp_path):
    write_mrc(tmp_path / "whole.mrc", np.zeros((4, 8, 8), np.float32), 1.0)
    broken = open_mrc(tmp_path / "whole.mrc")

    class Failing(StackFile):
        def __getitem__(self, key):
            raise DataError("the source is gone")

    with pytest.raises(DataError, match="gone"):
        write_mrc(tmp_path / "copy.mrc", Failing(broken.path, broken._load, broken.header), 1.0)
    assert [file.name for file in tmp_path.iterdir()] == ["whole.mrc"]
